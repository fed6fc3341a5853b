"""The data folder: whose it is, which format it has, and where everything is in it."""

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.processes.up.children import StartFailed
from gateway.processes.up.credentials import Credentials, write_secret

FORMAT: Final = (
    1  # counts changes after which an older build may not touch the folder, nor a newer one as it is
)
FREE_OCTETS_MIN: Final = 128 * 1024 * 1024  # PostgreSQL's empty files and first log segments
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
# What `up` makes in a data folder, beside its format and its lock.
MADE: Final = ("dld.go.th", "logs", "nats", "postgres", "run", "s3", "secrets", "spool", "tls")
# What may lie in a folder before the first start.
BEFORE: Final = frozenset({"lock", "saraban.toml", "format.new", "lost+found"})


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where everything of one gateway is. Made by `claim`, which also holds it against a second user."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def tls(self) -> Path:
        return self.root / "tls"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def gateway_file(self) -> Path:
        return gateway_file(self.root)

    @property
    def master_key(self) -> Path:
        return self.secrets / "master.key"

    def credentials(self) -> Credentials:
        """The servers' passwords, made at the first start. Raises StartFailed when lost or damaged."""
        file = self.secrets / "credentials.json"
        if (self.root / "postgres").exists() and not file.exists():
            raise StartFailed(f"{file} is missing: put it back from its copy, the servers want its passwords")
        try:
            return Credentials.kept_in(file)
        except (ValueError, TypeError) as error:
            raise StartFailed(f"{file} is damaged: put it back from its copy ({error})") from error

    def make_master_key(self) -> None:
        """32 random octets, hexadecimal, in a file only its owner reads; made once.

        Raises StartFailed when there is data that another key was made for.
        """
        if self.master_key.exists():
            return
        if (self.root / "nats").exists():
            raise StartFailed(
                f"{self.master_key} is missing: put it back from its copy; without it nothing that is "
                "encrypted here can be read again"
            )
        write_secret(self.master_key, secrets.token_hex(32).encode() + b"\n")


def gateway_file(data: Path) -> Path:
    """The file that tells commands how to reach the running gateway."""
    return data / "run" / "gateway.json"


@contextmanager
def claim(root: Path) -> Iterator[DataFolder]:
    """Make the folder if it is not there and hold it while the block runs.

    Folders made here have mode 700; a folder that was there keeps its mode. Raises StartFailed: in use, of
    another format, not writable, disk full.
    """
    root = root.absolute()
    try:
        _make(root)
        with (root / "lock").open("a+") as lock:
            _take(lock.fileno(), root)
            _check_format(root)
            _check_space(root)
            _write_format(root)
            folder = DataFolder(root)
            for each in (folder.logs, folder.run, folder.tls, folder.secrets):
                _make(each)
            yield folder
    except OSError as error:
        raise StartFailed(sentence(error, root)) from error


def sentence(error: OSError, root: Path) -> str:
    """One sentence for the operator about a folder the system refused."""
    what = error.filename or root
    if error.errno in NO_SPACE:
        return f"the disk of {root} is full: make space and start again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"the data folder {root} cannot be written ({what}: {error.strerror})"
    return f"{what}: {error.strerror}"


def wipe(root: Path) -> list[str]:
    """Remove everything the gateway has made in the folder; what else is there stays. Gives what was removed.

    Raises StartFailed when the gateway runs or the folder is not one of ours.
    """
    if not (root / "format").exists():
        raise StartFailed(f"{root} is not a data folder of saraban: nothing was removed")
    with (root / "lock").open("a+") as lock:
        _take(lock.fileno(), root)
        names = [name for name in MADE if (root / name).exists()]
        for name in names:
            path = root / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (root / "format").unlink()
    return names


def is_held(root: Path) -> bool:
    """Whether a gateway runs on the folder."""
    try:
        with (root / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _make(folder: Path) -> None:
    """Make a folder and those above it, each with mode 700; those that are there stay as they are."""
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=0o700)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(folder))


def _take(lock: int, root: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.lseek(lock, 0, os.SEEK_SET)
        owner = os.read(lock, 20).decode("ascii", "replace").strip()
        raise StartFailed(
            f"the data folder {root} is in use by process {owner or 'unknown'}: "
            "stop that, or choose another folder"
        ) from error
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())


def _check_format(root: Path) -> None:
    try:
        found = (root / "format").read_text().strip()
    except FileNotFoundError:
        if strange := sorted({each.name for each in root.iterdir()} - BEFORE):
            raise StartFailed(
                f"{root} has data without a format number ({strange[0]}): it is not a folder of saraban, "
                "choose an empty one"
            ) from None
        return
    if found != str(FORMAT):
        raise StartFailed(
            f"the data folder {root} has format {found[:20]!r}, this build reads format {FORMAT}: start the "
            "build that made it, or choose another folder"
        )


def _write_format(root: Path) -> None:
    """Once, whole or not at all: a folder with half a number is nobody's."""
    if not (root / "format").exists():
        fresh = root / "format.new"
        fresh.write_text(f"{FORMAT}\n")
        fresh.rename(root / "format")


def _check_space(root: Path) -> None:
    space = os.statvfs(root)
    free = space.f_bavail * space.f_frsize
    if free < FREE_OCTETS_MIN and not (root / "postgres").exists():
        need = FREE_OCTETS_MIN // 1024 // 1024
        raise StartFailed(
            f"the disk of {root} is full: {free // 1024 // 1024} MB are free, {need} MB are needed"
        )
