"""The machine's own clock, entropy and disk."""

import asyncio
import os
import resource
import time
from datetime import UTC, datetime
from pathlib import Path


class SystemClock:
    """Implements the Clock port."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def entropy(octets: int) -> bytes:
    """Implements the Entropy port: from the kernel's generator."""
    return os.urandom(octets)


def has_space(folder: Path, reserve_octets: int) -> bool:
    """Whether the disk of the folder has more free than is held in reserve."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= reserve_octets


def allow_open_files() -> int:
    """Raise the soft limit of open files to the hard one, and give it: 1,024 are soon used by connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
