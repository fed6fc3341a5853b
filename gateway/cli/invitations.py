"""The file with the codes of invitations: `address,code`, one a line, read by its owner alone.

A line is written when its account is in the log; an import that takes up a killed one may write it a second
time. The last line of an address is the one that counts, and the end leaves that alone.
"""

import asyncio
import csv
import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.cli.output import fail
from gateway.mail.address import Address

HEADER: Final = ("address", "code")


class InvitationsFile:
    """Made by `open_invitations`."""

    def __init__(self, file: Path, descriptor: int) -> None:
        self._file, self._descriptor = file, descriptor

    async def keep(self, codes: Mapping[Address, str]) -> None:
        """Add lines; they are on the disk when it returns."""
        octets = _lines((str(address), code) for address, code in codes.items())
        await asyncio.to_thread(self._append, octets)

    def _append(self, octets: bytes) -> None:
        while octets:
            octets = octets[os.write(self._descriptor, octets) :]
        os.fsync(self._descriptor)

    def tidy(self) -> None:
        """Leave one line for each address, the last. A crash on the way leaves the file as it is."""
        latest = dict(_read(self._file))
        beside = self._file.with_name(self._file.name + ".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new:
            new.write(_lines([HEADER, *latest.items()]))
            new.flush()
            os.fsync(new.fileno())
        beside.replace(self._file)


@contextmanager
def open_invitations(file: Path) -> Iterator[InvitationsFile]:
    """Open the file to add to it. Ends the command when it has something else, or others may read it."""
    descriptor = -1
    try:
        if file.exists() and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
            fail(f"{file} has mode {mode:03o}, expected 600: others could read the codes")
        for _ in _read(file):
            pass
        is_cut = file.exists() and not file.read_bytes().endswith(b"\n")
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if not os.fstat(descriptor).st_size:
            os.write(descriptor, _lines([HEADER]))
        elif is_cut:
            os.write(descriptor, b"\n")
        yield InvitationsFile(file, descriptor)
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}")
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _read(file: Path) -> Iterator[tuple[str, str]]:
    """Its addresses and codes, in order; a line that a crash cut short is left out."""
    try:
        octets = file.read_bytes()
    except FileNotFoundError:
        return
    whole, _, _ = octets.rpartition(b"\n")
    try:
        rows = list(csv.reader(io.StringIO(whole.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error):
        rows = [[]]
    if rows and tuple(rows[0]) != HEADER:
        fail(f"{file} is no file of invitations: it does not begin with {','.join(HEADER)}")
    for row in rows[1:]:
        if len(row) == len(HEADER):
            yield row[0], row[1]


def _lines(rows: Iterable[tuple[str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
