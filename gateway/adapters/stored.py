"""Stored contents that can be read in ranges: held in memory, or fetched piece by piece.

What is damaged raises ContentCorrupt naming object, offset and content, before any of it is given.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Protocol

from gateway.domain import pieces
from gateway.domain.pieces import Damaged, Table
from gateway.ports import ContentCorrupt, ContentMissing, ObjectStore

# Where the sweep puts an object before it is gone for good: an event may just have come to name it.
TRASH: Final = "trash/"


class Source(Protocol):
    """The clear text of a stored content. place: the object's name, for what goes wrong."""

    place: str

    async def first(self) -> bytes:
        """Its first piece."""

    def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The octets [start, end), in pieces of at most 1 MiB."""


class HeldContent:
    """A content from a pack or from the write-ahead: small, so it is opened as a whole."""

    def __init__(self, octets: bytes, key: bytes, place: str, offset: int, digest: str) -> None:
        self.place = place
        try:
            self._clear = pieces.open_whole(octets, key)
        except Damaged as damaged:
            raise _corrupt(place, offset, damaged, digest) from damaged

    async def first(self) -> bytes:
        return self._clear

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        for at in range(start, end, pieces.PIECE_OCTETS):
            yield self._clear[at : min(at + pieces.PIECE_OCTETS, end)]


class PiecedObject:
    """An object of its own, of at most `octets_max` clear octets; holds one piece."""

    def __init__(self, objects: ObjectStore, name: str, key: bytes, octets_max: int, digest: str) -> None:
        self.place = name
        self._objects, self._key, self._octets_max, self._digest = objects, key, octets_max, digest
        self._table: Table | None = None
        self._piece = (-1, b"")  # the last one that was opened, and its number

    async def first(self) -> bytes:
        return await self._open(0)

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        table = await self._read_table()
        for number in table.numbers(start, end):
            at = number * pieces.PIECE_OCTETS
            yield (await self._open(number))[max(start - at, 0) : end - at]

    async def _open(self, number: int) -> bytes:
        if number != self._piece[0]:
            table = await self._read_table()
            if number >= len(table.pieces):
                raise ContentCorrupt(f"{self.place} has no piece {number} (content {self._digest})")
            piece = table.pieces[number]
            octets = await self._objects.get(self.place, piece.offset, piece.octets)
            try:
                clear = await asyncio.to_thread(pieces.open_piece, table, number, octets, self._key)
            except Damaged as damaged:
                raise _corrupt(self.place, 0, damaged, self._digest) from damaged
            self._piece = number, clear
        return self._piece[1]

    async def _read_table(self) -> Table:
        if self._table is None:
            wanted = pieces.tail_octets_max(self._octets_max)
            try:
                tail, octets = await self._objects.tail(self.place, wanted)
            except ContentMissing:
                tail, octets = await self._objects.tail(TRASH + self.place, wanted)
                self.place = TRASH + self.place
            try:
                self._table = pieces.read_table(tail, octets, self._key)
            except Damaged as damaged:
                raise _corrupt(self.place, 0, damaged, self._digest) from damaged
        return self._table


async def get_range(objects: ObjectStore, name: str, start: int, octets: int) -> bytes:
    """Octets of an object, also when the sweep has just moved it. Raises ContentMissing, Unavailable."""
    try:
        return await objects.get(name, start, octets)
    except ContentMissing:
        return await objects.get(TRASH + name, start, octets)


def _corrupt(place: str, offset: int, damaged: Damaged, digest: str) -> ContentCorrupt:
    return ContentCorrupt(
        f"{place} is damaged at octet {offset + damaged.offset}: {damaged.reason} (content {digest})"
    )
