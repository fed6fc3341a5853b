"""The content store: small contents to the write-ahead, large parts to the object store, and back.

Made of the ports WriteAhead, ObjectStore, Places, KeyStore and EventLog, so the same code runs on real
servers and, in tests and the simulation, in memory. A message is never held as a whole: the spool is read
again, parts go up in pieces, and few large messages at a time are worked on (the rest wait).

Source: architecture §5; ADR 0005.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Final
from weakref import WeakValueDictionary

from gateway.adapters.read_ahead import ReadAhead
from gateway.adapters.stored import HeldContent, PiecedObject, Source, get_range
from gateway.domain import contents, pieces
from gateway.domain.contents import Filling, Head
from gateway.domain.events import Content
from gateway.mail import carving
from gateway.mail.carving import FillEncoder, FromHole, FromRest, Hole, Skeleton
from gateway.ports import (
    ContentCorrupt,
    ContentMissing,
    EventLog,
    KeyStore,
    ObjectStore,
    Places,
    Spooled,
    StoredContent,
    StoredObject,
    Unavailable,
    WriteAhead,
)

CT_OCTETS_MAX: Final = 128 * 1024  # architecture §5: what is larger when stored is an object of its own
INLINE_OCTETS_MAX: Final = 64 * 1024  # less is hashed and sealed at once, more in a thread
# Each holds about 20 MB (a part of 5 MiB, copied by client and TLS; a piece; zstd's tables).
LARGE_AT_ONCE: Final = 4
REACH_TIMEOUT_S: Final = 30.0
GIVEN_OCTETS: Final = 512 * 1024  # of decoded content at a time: less than 1 MiB when encoded


class KeptContents:
    """The port ContentStore."""

    def __init__(
        self, *, write_ahead: WriteAhead, objects: ObjectStore, places: Places, keys: KeyStore, log: EventLog
    ) -> None:
        self._write_ahead, self._objects, self._places = write_ahead, objects, places
        self._keys, self._log = keys, log
        self._ahead = ReadAhead(write_ahead, objects, places)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._uploading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # --- storing --------------------------------------------------------------------------------------

    async def put(
        self, message: Spooled, *, skeleton: Skeleton, data_key: bytes, salt: bytes, agency_id: str
    ) -> StoredContent:
        if message.octets <= INLINE_OCTETS_MAX:
            assert not skeleton.holes, "a part that is carved out is larger"
            digest = contents.digest_of(salt, message.read(0, message.octets))
            octets = _stored(message, Head(skeleton, ()), data_key)
            return await self._keep(Content(digest, message.octets), octets)
        async with self._large:
            return await self._put_large(message, skeleton, data_key, salt, agency_id)

    async def _put_large(
        self, message: Spooled, skeleton: Skeleton, data_key: bytes, salt: bytes, agency_id: str
    ) -> StoredContent:
        digest = await asyncio.to_thread(contents.digest_of, salt, message.read(0, message.octets))
        agency_key = await self._keys.get_or_make(f"agency.{agency_id}") if skeleton.holes else b""
        fillings = tuple(contents.filling_of(hole, agency_key) for hole in skeleton.holes)
        uploaded = [
            await self._upload(message, hole, filling)
            for filling, hole in dict(zip(fillings, skeleton.holes, strict=True)).items()
        ]
        objects = tuple(found for found in uploaded if found is not None)
        content = Content(
            digest, message.octets, attachments=tuple(dict.fromkeys(filling.object for filling in fillings))
        )
        head = Head(skeleton, fillings)
        if skeleton.rest_octets <= pieces.PIECE_OCTETS:
            octets = await asyncio.to_thread(_stored, message, head, data_key)
            if len(octets) <= CT_OCTETS_MAX:
                return await self._keep(content, octets, objects)
        name, key = contents.large_name(digest), contents.kept_key(data_key)
        large = await self._objects.put(name, lambda: pieces.stored(contents.kept(head, message.read), key))
        return StoredContent(_with(content, large=name), (*objects, large))

    async def _keep(
        self, content: Content, octets: bytes, objects: tuple[StoredObject, ...] = ()
    ) -> StoredContent:
        sequence = await self._write_ahead.append(content.digest, octets)
        return StoredContent(_with(content, hint=sequence), objects)

    async def _upload(self, message: Spooled, hole: Hole, filling: Filling) -> StoredObject | None:
        """None: the agency has this part already."""
        lock = self._uploading.setdefault(filling.object, asyncio.Lock())
        async with lock:
            if await self._objects.has(filling.object):
                return None
            return await self._objects.put(
                filling.object, lambda: pieces.stored(contents.proven(message.read, hole), filling.key)
            )

    # --- reading --------------------------------------------------------------------------------------

    async def read_ahead(self, contents: Sequence[Content]) -> None:
        await self._ahead.fetch(contents)

    async def open(
        self, content: Content, *, data_key: bytes, salt: bytes, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        end = content.octets if end is None else min(end, content.octets)
        source = await self._kept(content, contents.kept_key(data_key))
        head, rest_at = contents.split_kept(await source.first())
        if head.skeleton.octets != content.octets:
            raise ContentCorrupt(f"{source.place} has another message than {content.digest}")
        parts = self._range(content, head, source, rest_at, start, end)
        if (start, end) != (0, content.octets):
            async for octets in parts:
                yield octets
            return
        digest, held = hashlib.sha256(salt), b""
        async for octets in parts:
            digest.update(octets)
            if held:
                yield held
            held = octets
        if digest.hexdigest() != content.digest:
            raise ContentCorrupt(f"what {source.place} gives is not the content {content.digest}")
        if held:
            yield held

    async def _range(
        self, content: Content, head: Head, source: Source, rest_at: int, start: int, end: int
    ) -> AsyncIterator[bytes]:
        fillings = {
            hole.start: filling for hole, filling in zip(head.skeleton.holes, head.fillings, strict=True)
        }
        for piece in carving.plan(head.skeleton, start, end):
            match piece:
                case FromRest():
                    async for octets in source.read(rest_at + piece.start, rest_at + piece.end):
                        yield octets
                case FromHole():
                    filling = fillings[piece.hole.start]
                    part = PiecedObject(
                        self._objects, filling.object, filling.key, piece.hole.decoded_octets, content.digest
                    )
                    async for octets in _filled(piece, part):
                        yield octets

    async def _kept(self, content: Content, key: bytes) -> Source:
        """Where the kept content is: its own object, a pack, or the write-ahead."""
        if content.large:
            return PiecedObject(self._objects, content.large, key, 2 * content.octets, content.digest)
        if held := self._ahead.take(content.digest):
            return HeldContent(held.octets, key, held.place, held.offset, content.digest)
        if found := await self._packed(content, key) or await self._unpacked(content, key):
            return found
        # Neither: it was packed and purged after we looked at the rows, or it is not there at all.
        last = await self._log.last()
        if not await self._places.reach(last, REACH_TIMEOUT_S):
            raise Unavailable("content rows", f"they have not reached position {last}")
        if found := await self._packed(content, key):
            return found
        raise ContentMissing(f"no store has the content {content.digest}")

    async def _packed(self, content: Content, key: bytes) -> Source | None:
        place = (await self._places.places([content.digest])).get(content.digest)
        if place is None:
            return None
        try:
            octets = await get_range(self._objects, place.pack, place.offset, place.octets)
        except (Unavailable, ContentMissing):
            # Just packed, it may still be in the write-ahead.
            if found := await self._unpacked(content, key):
                return found
            raise
        return HeldContent(octets, key, place.pack, place.offset, content.digest)

    async def _unpacked(self, content: Content, key: bytes) -> Source | None:
        found = await self._write_ahead.get(content.hint) if content.hint else None
        if found is None or found.digest != content.digest:
            return None
        return HeldContent(found.octets, key, f"CT at {found.sequence}", 0, content.digest)


async def _filled(piece: FromHole, part: PiecedObject) -> AsyncIterator[bytes]:
    encoder = FillEncoder(piece)
    async for octets in part.read(piece.decoded_start, piece.decoded_end):
        for at in range(0, len(octets), GIVEN_OCTETS):
            if given := encoder.feed(octets[at : at + GIVEN_OCTETS]):
                yield given
    if given := encoder.finish():
        yield given


def _stored(message: Spooled, head: Head, data_key: bytes) -> bytes:
    return b"".join(pieces.stored(contents.kept(head, message.read), contents.kept_key(data_key)))


def _with(content: Content, *, hint: int = 0, large: str = "") -> Content:
    return Content(content.digest, content.octets, hint, large, content.attachments)
