"""The deflated stream that follows COMPRESS DEFLATE, both ways.

The shell answers OK, and from then on gives what it reads to `inflate` and what comes out to the framer,
piece by piece, so that a small packet that holds a flood is slowed down as the flood itself would be; and it
sends what `deflate` gives for each flush. TLS lies below it.

Source: RFC 4978 §3 and §4, RFC 1951 (DEFLATE).
"""

import zlib
from collections.abc import Iterator
from typing import Final

PIECE_OCTETS: Final = 64 * 1024
# A client may look back 32 KB (RFC 1951 §2); we do by 4 KB, which with this level of memory is 32 KB a
# session instead of 256. Responses repeat themselves within less.
_CLIENT_WINDOW: Final = -15
_OUR_WINDOW, _OUR_MEMORY = -12, 5


class BrokenStream(ValueError):
    """What came is not deflated: the connection can only end."""


class Compression:
    """One direction each way, begun when COMPRESS was answered."""

    def __init__(self) -> None:
        self._inflating = zlib.decompressobj(_CLIENT_WINDOW)
        self._deflating = zlib.compressobj(
            level=zlib.Z_DEFAULT_COMPRESSION, wbits=_OUR_WINDOW, memLevel=_OUR_MEMORY
        )

    def inflate(self, octets: bytes) -> Iterator[bytes]:
        """What a client has sent, in pieces of at most PIECE_OCTETS; all are taken before more is given.

        Raises BrokenStream.
        """
        piece = b""
        while octets or len(piece) == PIECE_OCTETS:  # a full piece: more of it may be held back
            if octets and self._inflating.eof:
                raise BrokenStream("the client ended its stream and goes on")
            try:
                piece = self._inflating.decompress(octets, PIECE_OCTETS)
            except zlib.error as error:
                raise BrokenStream("what the client sends is not deflated") from error
            octets = self._inflating.unconsumed_tail or self._inflating.unused_data
            if piece:
                yield piece

    def deflate(self, octets: bytes) -> bytes:
        """What is to be sent now; the client can read all of it (RFC 4978 §4)."""
        return self._deflating.compress(octets) + self._deflating.flush(zlib.Z_SYNC_FLUSH)
