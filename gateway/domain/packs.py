"""A pack: many contents in one object, as they came, with an index at the end.

    entry₀ ‖ entry₁ ‖ … ‖ index ‖ trailer

An entry is a content as stored (pieces.py), at the offset its `content.packed` names. The index repeats
digest, offset and size of each, so a pack can be read without log and rows; the trailer counts them and
has the index's SHA-256.

Source: architecture §5, ADR 0005.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.events import ContentPacked, PackEntry, Stamp
from gateway.mail.ids import new_id

# Architecture §5: one PUT for a thousand messages, and never a large part of memory.
PACK_OCTETS_MAX: Final = 8 * 1024 * 1024
PACK_CONTENTS_MAX: Final = 1000
EVENT_ENTRIES_MAX: Final = 400  # of about 130 octets each: 52 KB an event

_MAGIC: Final = b"SRBK"
_INDEX: Final = struct.Struct(">32sIIQ")  # digest, offset, octets, sequence in CT
_TRAILER: Final = struct.Struct(">I32s4s")  # contents, SHA-256 of the index, magic


class BrokenPack(Exception):
    """These octets are not a whole pack."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack as it goes into the store."""

    name: str
    octets: bytes
    entries: tuple[PackEntry, ...]

    def facts(self, stamp: Stamp) -> list[ContentPacked]:
        """What says where the contents are now: one group, at most 400 entries an event."""
        digest = hashlib.sha256(self.octets).hexdigest()
        return [
            ContentPacked(
                pack=self.name,
                octets=len(self.octets),
                digest=digest,
                entries=self.entries[start : start + EVENT_ENTRIES_MAX],
                **stamp.fields(),
            )
            for start in range(0, len(self.entries), EVENT_ENTRIES_MAX)
        ]


def pack_name(at: datetime, entropy: bytes) -> str:
    """packs/<yyyy>/<mm>/<dd>/pack_…; entropy: 10 random octets."""
    return f"packs/{at:%Y/%m/%d}/{new_id('pack', at, entropy)}"


def pack(name: str, contents: Sequence[tuple[str, bytes, int]]) -> Pack:
    """contents: digest, stored octets and sequence in CT of each, in order."""
    assert contents, "a pack holds something"
    body, index, entries = bytearray(), bytearray(), []
    for digest, octets, sequence in contents:
        index += _INDEX.pack(bytes.fromhex(digest), len(body), len(octets), sequence)
        entries.append(PackEntry(digest, len(body), len(octets), sequence))
        body += octets
    trailer = _TRAILER.pack(len(entries), hashlib.sha256(index).digest(), _MAGIC)
    return Pack(name, bytes(body + index + trailer), tuple(entries))


def read_index(octets: bytes) -> tuple[PackEntry, ...]:
    """The index of a whole pack. Raises BrokenPack."""
    count, digest, magic = _TRAILER.unpack(octets[-_TRAILER.size :].rjust(_TRAILER.size, b"\0"))
    start = len(octets) - _TRAILER.size - count * _INDEX.size
    index = octets[max(start, 0) : -_TRAILER.size]
    if magic != _MAGIC or start < 0 or hashlib.sha256(index).digest() != digest:
        raise BrokenPack("the index is not the one that was written")
    return tuple(
        PackEntry(content.hex(), offset, size, sequence)
        for content, offset, size, sequence in _INDEX.iter_unpack(index)
    )
