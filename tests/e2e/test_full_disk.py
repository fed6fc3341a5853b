"""Acceptance 4: the data folder runs full and gets space again: nothing acknowledged is lost."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.storm import storm

DISK_OCTETS = 768 * 1024 * 1024
LEFT_OCTETS = 12 * 1024 * 1024
PUT_OFF = 20  # mails that were answered 4xx, or not at all, since the disk ran full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_OCTETS},mode=700", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_disk_that_runs_full_loses_nothing(small_disk: Path, tmp_path: Path) -> None:
    gateway = Gateway(small_disk / "data")
    gateway.start()
    try:
        async with storm(gateway, tmp_path) as at:
            ballast = small_disk / "ballast"
            before = len(at.load.attempts) - at.load.acknowledged
            await at.harm(lambda: _fill(ballast, LEFT_OCTETS))
            await at.until(
                lambda: len(at.load.attempts) - at.load.acknowledged >= before + PUT_OFF, "the disk runs full"
            )
            assert _free(small_disk) < LEFT_OCTETS
            await at.harm(ballast.unlink)
            await at.acknowledged()
            await at.settled()
    finally:
        gateway.stop()


def _fill(ballast: Path, left: int) -> None:
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _free(ballast.parent) - left)


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
