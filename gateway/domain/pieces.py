"""Octets as they are stored: compressed and encrypted in pieces of 1 MiB, their table at the end.

    piece₀ ‖ piece₁ ‖ … ‖ entry₀ ‖ entry₁ ‖ … ‖ trailer

A piece is zstd, then AES-256-GCM with its number as nonce. An entry has the piece's stored size and SHA-256,
so a part can be fetched and proven without the rest, and a scrubber needs no key. The trailer says how the
pieces were made, counts them, and carries a tag over the table: a table that was altered or moved to other
pieces does not open.

The key given is used for one content only. How it was compressed goes into the key that encrypts: the same
content stored again is either the same octets or under another key, so no nonce ever serves two texts, also
when a newer build stores it (ADR 0005).

Source: architecture §5; NIST SP 800-38D; RFC 8878 (zstd).
"""

import hashlib
import struct
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.domain.sealing import NONCE_OCTETS, derive

PIECE_OCTETS: Final = 1024 * 1024  # of clear text in every piece but the last

# zstd's own default: text to a third, and what is compressed already costs little.
LEVEL: Final = 3
_MADE: Final = f"zstd{'.'.join(map(str, zstandard.ZSTD_VERSION))}-{LEVEL}".encode()
_MAGIC: Final = b"SRB1"
_ENTRY: Final = struct.Struct(">I32s")  # stored octets, SHA-256 of them
_TRAILER: Final = struct.Struct(">16sQI16s4s")  # how it was made, clear octets, pieces, tag, magic
_TABLE_NONCE: Final = b"\xff" * NONCE_OCTETS


class Damaged(Exception):
    """Stored octets are not what was stored. offset: of the damage, from the start of the stored octets."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"{reason} at octet {offset}")
        self.offset, self.reason = offset, reason


@dataclass(frozen=True, slots=True)
class Piece:
    """Where a stored piece lies."""

    offset: int
    octets: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Table:
    """The pieces of a content of `octets` octets in the clear."""

    octets: int
    made: bytes
    pieces: tuple[Piece, ...]

    def numbers(self, start: int, end: int) -> range:
        """The pieces that the clear octets [start, end) lie in."""
        end = min(end, self.octets)
        return range(start // PIECE_OCTETS, -(-end // PIECE_OCTETS)) if start < end else range(0)


# --- storing -----------------------------------------------------------------------------------------


def stored(content: Iterable[bytes], key: bytes) -> Iterator[bytes]:
    """The octets to store, piece by piece; holds one piece. key: 32 octets, of this content alone."""
    cipher = _cipher(key, _MADE)
    compressor = _compressor()
    table, octets, count = bytearray(), 0, 0
    for clear in _cut(content):
        piece = cipher.encrypt(_nonce(count), compressor.compress(clear), None)
        table += _ENTRY.pack(len(piece), hashlib.sha256(piece).digest())
        octets, count = octets + len(clear), count + 1
        yield piece
    tag = cipher.encrypt(_TABLE_NONCE, b"", _signed(table, _MADE.ljust(16, b"\0"), octets))
    yield bytes(table) + _TRAILER.pack(_MADE, octets, count, tag, _MAGIC)


_threads = threading.local()


def _compressor() -> zstandard.ZstdCompressor:
    """One per thread: making one costs ten times what it then takes for a small mail, and sharing crashes."""
    made: zstandard.ZstdCompressor | None = getattr(_threads, "compressor", None)
    if made is None:
        made = _threads.compressor = zstandard.ZstdCompressor(level=LEVEL)
    return made


def _cut(content: Iterable[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for octets in content:
        held += octets
        while len(held) >= PIECE_OCTETS:
            yield bytes(held[:PIECE_OCTETS])
            del held[:PIECE_OCTETS]
    if held:
        yield bytes(held)


# --- reading -----------------------------------------------------------------------------------------


def tail_octets_max(octets: int) -> int:
    """How much at the end surely holds the table of a content of at most so many clear octets."""
    return _TRAILER.size + _ENTRY.size * -(-octets // PIECE_OCTETS)


def read_table(tail: bytes, stored_octets: int, key: bytes) -> Table:
    """The table, from the end of what is stored. Raises Damaged."""
    at = stored_octets - len(tail)  # of the tail
    if len(tail) < _TRAILER.size:
        raise Damaged(at, "there is no table")
    made, octets, count, tag, magic = _TRAILER.unpack(tail[-_TRAILER.size :])
    start = len(tail) - _TRAILER.size - count * _ENTRY.size
    if magic != _MAGIC or start < 0 or count != -(-octets // PIECE_OCTETS):
        raise Damaged(stored_octets - _TRAILER.size, "there is no table")
    table = tail[start : -_TRAILER.size]
    try:
        _cipher(key, made.rstrip(b"\0")).decrypt(_TABLE_NONCE, tag, _signed(table, made, octets))
    except InvalidTag as error:
        raise Damaged(at + start, "the table is not the one that was stored") from error
    entries = list(_ENTRY.iter_unpack(table))
    offsets = pairwise(accumulate((size for size, _ in entries), initial=0))
    pieces = tuple(
        Piece(offset, size, digest) for (offset, _), (size, digest) in zip(offsets, entries, strict=True)
    )
    return Table(octets, made.rstrip(b"\0"), pieces)


def open_piece(table: Table, number: int, octets: bytes, key: bytes) -> bytes:
    """The clear text of one stored piece. Raises Damaged."""
    piece = table.pieces[number]
    if hashlib.sha256(octets).digest() != piece.digest:
        raise Damaged(piece.offset, f"piece {number} is not the one that was stored")
    try:
        compressed = _cipher(key, table.made).decrypt(_nonce(number), octets, None)
    except InvalidTag as error:
        raise Damaged(piece.offset, f"piece {number} does not open") from error
    clear = zstandard.ZstdDecompressor().decompress(compressed, max_output_size=PIECE_OCTETS)
    if len(clear) != min(PIECE_OCTETS, table.octets - number * PIECE_OCTETS):
        raise Damaged(piece.offset, f"piece {number} has {len(clear)} octets")
    return clear


def open_whole(octets: bytes, key: bytes) -> bytes:
    """The clear text of what is stored, held in memory as a whole. Raises Damaged."""
    table = read_table(octets, len(octets), key)
    return b"".join(
        open_piece(table, number, octets[piece.offset : piece.offset + piece.octets], key)
        for number, piece in enumerate(table.pieces)
    )


def _cipher(key: bytes, made: bytes) -> AESGCM:
    return AESGCM(derive(key, f"pieces {made.hex()}"))


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_OCTETS, "big")


def _signed(table: bytes | bytearray, made: bytes, octets: int) -> bytes:
    return made + octets.to_bytes(8, "big") + table
