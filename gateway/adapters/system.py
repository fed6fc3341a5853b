"""The machine's own clock and entropy."""

import asyncio
import os
import time
from datetime import UTC, datetime


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
