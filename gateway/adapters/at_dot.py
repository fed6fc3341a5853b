"""Which mails a relay may have ended with a final dot and the log does not know: kept where its next process
finds it.

A file mapped into memory. What is written there outlives the process, killed at any moment, and costs no
write to the disk; it does not outlive the machine: after a boot it tells nothing. The file's lock is the
process's life: whoever has it knows that the process before is dead.
"""

import fcntl
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Final

from gateway.ports import Entropy

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")  # random(4): another after each boot
BOOT_OCTETS: Final = 36
TOKEN_OCTETS: Final = 12  # twice that in the file, hexadecimal
HEADER_OCTETS: Final = 64  # boot, token
PLACES: Final = 1024  # mails at once; a relay has 500 in hand
FILE_OCTETS: Final = HEADER_OCTETS + PLACES * 8


class KeptAtDot:
    """The port AtDot, on a mapped file."""

    def __init__(self, mapped: mmap.mmap, boot: bytes) -> None:
        self._mapped, self._boot = mapped, boot
        self._places = memoryview(mapped)[HEADER_OCTETS:].cast("q")
        self._taken: dict[int, list[int]] = {}  # by position: its places
        self._free = list(range(PLACES))
        self.token = mapped[BOOT_OCTETS : BOOT_OCTETS + 2 * TOKEN_OCTETS].decode()
        is_same_boot = mapped[:BOOT_OCTETS] == boot
        self.left = frozenset(filter(None, self._places)) if is_same_boot else None

    def inherited(self) -> None:
        self._mapped[:BOOT_OCTETS] = self._boot
        self._mapped[HEADER_OCTETS:] = bytes(PLACES * 8)

    def begin(self, position: int) -> None:
        place = self._free.pop()
        self._places[place] = position
        self._taken.setdefault(position, []).append(place)

    def end(self, position: int) -> None:
        for place in self._taken.pop(position, ()):
            self._places[place] = 0
            self._free.append(place)

    def close(self) -> None:
        self._places.release()


@contextmanager
def kept_at_dot(
    file: Path, entropy: Entropy, *, read_boot: Callable[[], bytes] = BOOT.read_bytes
) -> Iterator[KeptAtDot]:
    """What the process before has left in the file, and this one's own marks from then on.

    While another process lives that has the file, this one has nothing to inherit and leaves nothing.
    """
    boot = read_boot()[:BOOT_OCTETS]
    file.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        used = stack.enter_context(os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+b"))
        if not _lock(used):
            used = stack.enter_context(tempfile.TemporaryFile())
        if os.fstat(used.fileno()).st_size != FILE_OCTETS:
            _make(used, boot, entropy)
        mapped = stack.enter_context(mmap.mmap(used.fileno(), FILE_OCTETS))
        yield stack.enter_context(closing(KeptAtDot(mapped, boot)))


def _lock(file: IO[bytes]) -> bool:
    """False when a process that lives has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make(file: IO[bytes], boot: bytes, entropy: Entropy) -> None:
    header = boot + entropy(TOKEN_OCTETS).hex().encode()
    file.truncate(0)
    file.write(header.ljust(FILE_OCTETS, b"\0"))
    file.flush()
