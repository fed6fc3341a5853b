"""Acceptance 4: the data folder runs full and gets space again: nothing acknowledged is lost."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.storm import Storm, storm

DISK_OCTETS = 768 * 1024 * 1024
LEFT_OCTETS = 1024 * 1024  # what the load fills within seconds
FILL_OCTETS = 16 * 1024 * 1024
RESERVE_OCTETS = 64 * 1024 * 1024
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
    """Without a reserve: every server finds no room at some point, and comes back by itself."""
    gateway = Gateway(small_disk / "data", env={"SARABAN_DISK_RESERVE_OCTETS": "0"})
    await asyncio.to_thread(gateway.start)
    try:
        async with storm(gateway, tmp_path) as at:
            ballast = small_disk / "ballast"
            before = _put_off(at)
            await at.harm(lambda: _fill(ballast, LEFT_OCTETS))
            await at.until(lambda: _put_off(at) >= before + PUT_OFF, "the disk has run full")
            await at.until(lambda: "is full: mail is refused" in gateway.said(), "it is said")
            assert _free(small_disk) < LEFT_OCTETS
            await asyncio.to_thread(ballast.unlink)
            print(f"works again {await at.recovered():.1f} s after the disk began to run full")
            await at.settled()
        verdict = await asyncio.to_thread(gateway.cli, "check", "--all")
        assert verdict["verdict"] == "whole", verdict
    finally:
        await asyncio.to_thread(gateway.stop)


async def test_a_disk_at_its_reserve_refuses_mail_and_delivers_what_it_took(
    small_disk: Path, tmp_path: Path
) -> None:
    gateway = Gateway(small_disk / "data", env={"SARABAN_DISK_RESERVE_OCTETS": str(RESERVE_OCTETS)})
    gateway.start()
    try:
        async with storm(gateway, tmp_path) as at:
            ballast = small_disk / "ballast"
            await at.harm(lambda: _fill(ballast, RESERVE_OCTETS + LEFT_OCTETS))
            await at.until(lambda: _put_off(at) >= PUT_OFF, "the reserve is reached")
            told = {attempt.said[:9] for attempt in at.load.attempts if not attempt.is_acknowledged}
            assert told == {"452 4.3.1"}, gateway.log_tail(30)
            await asyncio.to_thread(gateway.wait_idle)
            assert _free(small_disk) < RESERVE_OCTETS, "all was delivered while mail was refused"
            await at.until(lambda: "is nearly full" in gateway.said(), "it is said")
            await asyncio.to_thread(ballast.unlink)
            print(f"works again {await at.recovered():.1f} s after the disk began to run full")
            await at.settled()
    finally:
        gateway.stop()


def _put_off(at: Storm) -> int:
    """Mails that did not get 250."""
    return len(at.load.attempts) - at.load.acknowledged


def _fill(ballast: Path, left: int) -> None:
    """Take room until so little is left; the load takes some meanwhile."""
    with ballast.open("wb") as file:
        taken = 0
        while (more := min(_free(ballast.parent) - left, FILL_OCTETS)) > 0:
            with suppress(OSError):  # no longer as much as there was
                os.posix_fallocate(file.fileno(), taken, more)
                taken += more


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
