"""A small disk of its own for a test, and ballast that fills it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.needs import lacks

BALLAST = "ballast"  # the file's name
STEP_OCTETS = 16 * 1024 * 1024


@contextmanager
def small_disk(folder: Path, octets: int) -> Iterator[Path]:
    """A file system in memory, mounted at `folder`, which is made."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={octets},mode=700", "tmpfs", str(folder)]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    if tried.returncode:
        lacks(f"no tmpfs can be mounted here, which takes root: {tried.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def free_octets(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def fill(disk: Path, left: int = 0) -> None:
    """Take room until so little is left, whatever others take meanwhile; removing BALLAST gives it back."""
    with (disk / BALLAST).open("wb") as file:
        taken = 0
        while (more := min(free_octets(disk) - left, STEP_OCTETS)) > 0:
            with suppress(OSError):  # no longer as much as there was
                os.posix_fallocate(file.fileno(), taken, more)
                taken += more
