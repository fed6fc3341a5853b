"""Messages on their way in: octets in memory, and in an unlinked file once they are many.

What is here is in clear text and never durable: it is gone with the process, whatever happens, and no name
in the folder ever shows it. Durable is what ContentStore.put has stored.
"""

import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from gateway.ports import Full, Unavailable

SERVICE: Final = "spool"
# Ordinary mail without attachments stays in memory; 100 sessions hold 25 MB at most.
MEMORY_OCTETS_MAX: Final = 256 * 1024
READ_OCTETS: Final = 256 * 1024
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


class DiskSpool:
    """The port Spool. Reading is safe from several threads, once writing has ended.

    folder: where the file goes; it needs room for every message that is being received.
    """

    def __init__(self, folder: Path, memory_octets_max: int = MEMORY_OCTETS_MAX) -> None:
        self._folder, self._memory_octets_max = folder, memory_octets_max
        self._memory = bytearray()
        self._file: BinaryIO | None = None
        self._is_closed = False
        self._reading = threading.Lock()  # so that no file is closed under a reader's feet
        self.octets = 0

    def write(self, octets: bytes) -> None:
        if self._file is None and self.octets + len(octets) <= self._memory_octets_max:
            self._memory += octets
        else:
            self._write_to_file(octets)
        self.octets += len(octets)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The octets [start, end), in pieces of at most 256 KiB. Raises ValueError once it is closed."""
        end = min(end, self.octets)
        for at in range(start, end, READ_OCTETS):
            yield self._piece(at, min(at + READ_OCTETS, end))

    def close(self) -> None:
        """Also while a thread whose caller has gone away is still reading: that read fails."""
        with self._reading:
            self._is_closed = True
            self._memory = bytearray()
            if self._file is not None:
                self._file.close()

    def _piece(self, start: int, end: int) -> bytes:
        with self._reading:
            if self._is_closed:
                raise ValueError("the spool is closed")
            if self._file is None:
                return bytes(self._memory[start:end])
            octets = os.pread(self._file.fileno(), end - start, start)
        assert len(octets) == end - start, "nobody else has this file"
        return octets

    def _write_to_file(self, octets: bytes) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115  (close)
                self._write_all(self._memory)
                self._memory = bytearray()
            self._write_all(octets)
        except OSError as error:
            kind = Full if error.errno in _NO_SPACE else Unavailable
            raise kind(SERVICE, error.strerror or str(error)) from error

    def _write_all(self, octets: bytes | bytearray) -> None:
        assert self._file is not None
        rest = memoryview(octets)
        while rest:
            rest = rest[self._file.write(rest) :]
