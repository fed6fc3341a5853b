"""Large parts carved out of a message, and the message rebuilt from its rest and them, octet for octet.

A skeleton says which ranges of a message are holes; all between them is the *rest*, kept as it came. A
hole is filled by the decoded content where encoding it again gives exactly the same octets, else by the
octets verbatim. So equal attachments of different mails are equal content, whatever their headers.

Storing: `carve` (two looks at each large part: is it regular, then `decoded` for the upload) and `rest`.
Reading: `plan` names what is needed for a range of the message; `rebuild` does it all where the parts can be
read at once; who has to wait for them feeds a `FillEncoder` itself.

Source: RFC 2045 §6.8 (base64), ADR 0004.
"""

import binascii
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.mail.mime import Part, Range

Read = Callable[[int, int], Iterable[bytes]]  # the octets [start, end), in pieces

CARVE_OCTETS_MIN = 64 * 1024  # architecture §5: of the encoded part
_PROBE_OCTETS = 16 * 1024  # a base64 line that has not ended by then is taken as a single one
_TAIL_OCTETS_MAX = 1024  # white space after the last line of base64
_BLOCK_OCTETS = 192 * 1024  # decoded at once; a multiple of 3


class CarvingError(Exception):
    """What should fill a hole is not what was carved out of it."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A range of the message that is kept elsewhere, and how to get its octets back.

    base64: the content in lines of `line_octets` characters (0: a single line) with `line_break` between
    them, then `tail`. verbatim: the content is the octets themselves; the last three fields are empty.
    """

    start: int  # place in the message
    encoded_octets: int
    decoded_octets: int
    encoding: Literal["base64", "verbatim"]
    decoded_sha256: bytes
    encoded_sha256: bytes
    line_octets: int = 0
    line_break: bytes = b""
    tail: bytes = b""

    @property
    def end(self) -> int:
        return self.start + self.encoded_octets


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A message of `octets` with its holes in order; what is not in a hole is the rest."""

    octets: int
    holes: tuple[Hole, ...] = ()

    @property
    def rest_octets(self) -> int:
        return self.octets - sum(hole.encoded_octets for hole in self.holes)


@dataclass(frozen=True, slots=True)
class FromRest:
    """Octets [start, end) of the rest, to be copied."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FromHole:
    """The encoded octets [start, end) of a hole, made from [decoded_start, decoded_end) of its content."""

    hole: Hole
    start: int
    end: int
    decoded_start: int
    decoded_end: int


# --- carving --------------------------------------------------------------------------------------


def carve(tree: Part, read: Read) -> Skeleton:
    """Make holes of the leaves that are large. Holds a block of a part at most."""
    large = [leaf for leaf in tree.leaves() if leaf.body.octets >= CARVE_OCTETS_MIN]
    holes = (_base64_hole(leaf.body, read) if leaf.encoding == "base64" else None for leaf in large)
    return Skeleton(
        octets=tree.body.end,
        holes=tuple(hole or _verbatim_hole(leaf.body, read) for leaf, hole in zip(large, holes, strict=True)),
    )


def rest(skeleton: Skeleton, read: Read) -> Iterator[bytes]:
    """What is not in a hole, in its order: with the skeleton, all that a small store has to hold."""
    at = 0
    for hole in skeleton.holes:
        yield from read(at, hole.start)
        at = hole.end
    yield from read(at, skeleton.octets)


def decoded(read: Read, hole: Hole) -> Iterator[bytes]:
    """The content of a hole, from the message it was carved out of.

    Raises CarvingError when the message is not the one the hole was made of.
    """
    if hole.encoding == "verbatim":
        yield from read(hole.start, hole.end)
        return
    end = hole.end - len(hole.tail)
    for block in _decoded_blocks(read, Range(hole.start, end), hole.line_octets, hole.line_break):
        if block is None:
            raise CarvingError(f"the part at octet {hole.start} is not the one that was carved")
        yield block


def _verbatim_hole(body: Range, read: Read) -> Hole:
    digest = hashlib.sha256()
    for octets in read(body.start, body.end):
        digest.update(octets)
    return Hole(
        start=body.start,
        encoded_octets=body.octets,
        decoded_octets=body.octets,
        encoding="verbatim",
        decoded_sha256=digest.digest(),
        encoded_sha256=digest.digest(),
    )


def _base64_hole(body: Range, read: Read) -> Hole | None:
    """The hole, when encoding the decoded content gives back every octet; else None."""
    line_octets, line_break = _line_shape(b"".join(read(body.start, body.start + _PROBE_OCTETS)))
    last = b"".join(read(max(body.start, body.end - _TAIL_OCTETS_MAX), body.end))
    tail = last[len(last.rstrip(b"\r\n \t")) :]
    encoded_sha256, decoded_sha256, decoded_octets = hashlib.sha256(), hashlib.sha256(), 0
    text = Range(body.start, body.end - len(tail))

    def hashed(start: int, end: int) -> Iterator[bytes]:
        for octets in read(start, end):
            encoded_sha256.update(octets)
            yield octets

    for block in _decoded_blocks(hashed, text, line_octets, line_break):
        if block is None:
            return None
        decoded_sha256.update(block)
        decoded_octets += len(block)
    encoded_sha256.update(tail)
    return Hole(
        start=body.start,
        encoded_octets=body.octets,
        decoded_octets=decoded_octets,
        encoding="base64",
        decoded_sha256=decoded_sha256.digest(),
        encoded_sha256=encoded_sha256.digest(),
        line_octets=line_octets,
        line_break=line_break,
        tail=tail,
    )


def _line_shape(probe: bytes) -> tuple[int, bytes]:
    """Characters in a line and what ends it, by the first line; (0, b"") when there is only one."""
    first, found, _ = probe.partition(b"\n")
    if not found:
        return 0, b""
    return (len(first) - 1, b"\r\n") if first.endswith(b"\r") else (len(first), b"\n")


def _decoded_blocks(read: Read, text: Range, line_octets: int, line_break: bytes) -> Iterator[bytes | None]:
    """Decode blocks of whole lines, each proven by encoding it again; None (and no more) when one is not.

    A block has a multiple of four lines, so that it ends between two groups of four characters.
    """
    if line_break and line_octets == 0:
        yield None
        return
    line = line_octets + len(line_break) or 4
    encoder = _LineEncoder(
        line_octets, line_break, characters=_characters(text.octets, line_octets, line_break)
    )
    at = text.start
    for encoded in _blocks(read(text.start, text.end), 4 * line * max(1, _BLOCK_OCTETS // (4 * line))):
        at += len(encoded)
        try:
            block = binascii.a2b_base64(encoded)
        except binascii.Error:
            yield None
            return
        if encoder.encode(block) != encoded or (len(block) % 3 and at < text.end):
            yield None
            return
        yield block


def _blocks(pieces: Iterable[bytes], octets: int) -> Iterator[bytes]:
    """The same octets in blocks of exactly that size; the last may be shorter."""
    held = bytearray()
    for piece in pieces:
        held += piece
        whole = len(held) - len(held) % octets
        for start in range(0, whole, octets):
            yield bytes(held[start : start + octets])
        del held[:whole]
    if held:
        yield bytes(held)


# --- rebuilding -------------------------------------------------------------------------------------


def plan(skeleton: Skeleton, start: int = 0, end: int | None = None) -> Iterator[FromRest | FromHole]:
    """What makes up the octets [start, end) of the message, in order; nothing outside is touched."""
    end = skeleton.octets if end is None else min(end, skeleton.octets)
    at = rest_at = 0
    for hole in skeleton.holes:
        yield from _rest_piece(at, hole.start, rest_at, start, end)
        rest_at += hole.start - at
        at = hole.end
        if max(start, hole.start) < min(end, hole.end):
            yield _hole_piece(hole, max(start, hole.start) - hole.start, min(end, hole.end) - hole.start)
    yield from _rest_piece(at, skeleton.octets, rest_at, start, end)


def _rest_piece(at: int, until: int, rest_at: int, start: int, end: int) -> Iterator[FromRest]:
    """The part of [start, end) in [at, until) of the message, which begins at rest_at of the rest."""
    first, last = max(at, start), min(until, end)
    if first < last:
        yield FromRest(rest_at + first - at, rest_at + last - at)


def _hole_piece(hole: Hole, start: int, end: int) -> FromHole:
    if hole.encoding == "verbatim":
        return FromHole(hole, start, end, start, end)
    first = _character_at(hole, start) // 4 * 3
    last = -(-(_character_at(hole, end - 1) + 1) // 4) * 3
    return FromHole(hole, start, end, min(first, hole.decoded_octets), min(last, hole.decoded_octets))


def _character_at(hole: Hole, place: int) -> int:
    """Which base64 character stands at a place of the encoded octets, or last before it."""
    characters = _base64_characters(hole.decoded_octets)
    if hole.line_octets == 0:
        return min(place, characters - 1)
    line, column = divmod(place, hole.line_octets + len(hole.line_break))
    return min(line * hole.line_octets + min(column, hole.line_octets - 1), characters - 1)


class FillEncoder:
    """Turns the content a `FromHole` asks for into the octets of the message it stands for.

    Any split of the content gives the same octets.
    """

    def __init__(self, piece: FromHole) -> None:
        hole = piece.hole
        self._piece = piece
        self._wanted = piece.decoded_end - piece.decoded_start  # content still to come
        self._left = piece.end - piece.start  # octets still to give
        self._held = b""
        self._lines: _LineEncoder | None = None
        self._skip = 0
        if hole.encoding == "base64":
            first = piece.decoded_start // 3 * 4
            characters = _base64_characters(hole.decoded_octets)
            self._lines = _LineEncoder(hole.line_octets, hole.line_break, characters, first)
            self._skip = (
                piece.start
                - first
                - (first // hole.line_octets * len(hole.line_break) if hole.line_octets else 0)
            )

    def feed(self, octets: bytes) -> bytes:
        """Take content, give the message octets it completes."""
        self._wanted -= len(octets)
        if self._wanted < 0:
            raise CarvingError(f"the content of the part at octet {self._piece.hole.start} is too long")
        if self._lines is None:
            return self._given(octets)
        held = self._held + octets
        whole = len(held) - len(held) % 3 if self._wanted else len(held)
        self._held = held[whole:]
        return self._given(self._lines.encode(held[:whole]))

    def finish(self) -> bytes:
        """The content is complete: the octets that are left. Raises CarvingError when it was too short."""
        if self._wanted:
            raise CarvingError(f"the content of the part at octet {self._piece.hole.start} is too short")
        given = self._given(self._piece.hole.tail)
        assert self._left == 0, "a complete content gives every octet asked for"
        return given

    def _given(self, octets: bytes) -> bytes:
        given = octets[self._skip : self._skip + self._left]
        self._skip = max(0, self._skip - len(octets))
        self._left -= len(given)
        return given


def encoded(hole: Hole, content: Iterable[bytes]) -> Iterator[bytes]:
    """The octets of a hole from its whole content."""
    return _filled(_hole_piece(hole, 0, hole.encoded_octets), content)


def rebuild(
    skeleton: Skeleton,
    read_rest: Read,
    open_hole: Callable[[Hole, int, int], Iterable[bytes]],
    start: int = 0,
    end: int | None = None,
) -> Iterator[bytes]:
    """The message, or a range of it. open_hole: gives [start, end) of a hole's content; only holes the
    range touches are opened."""
    for piece in plan(skeleton, start, end):
        match piece:
            case FromRest():
                yield from read_rest(piece.start, piece.end)
            case FromHole():
                yield from _filled(piece, open_hole(piece.hole, piece.decoded_start, piece.decoded_end))


def _filled(piece: FromHole, content: Iterable[bytes]) -> Iterator[bytes]:
    encoder = FillEncoder(piece)
    for octets in content:
        for start in range(0, len(octets), _BLOCK_OCTETS):
            yield encoder.feed(octets[start : start + _BLOCK_OCTETS])
    yield encoder.finish()


class _LineEncoder:
    """Base64 in lines of equal length, from any character on; no line break after the last character.

    characters: in the whole text. first: the character to begin with, a multiple of 4.
    """

    def __init__(self, line_octets: int, line_break: bytes, characters: int, first: int = 0) -> None:
        self._line_octets, self._line_break = line_octets, line_break
        self._characters, self._at = characters, first

    def encode(self, content: bytes) -> bytes:
        """Content in multiples of 3 octets, but the last."""
        text = binascii.b2a_base64(content, newline=False)
        line = self._line_octets
        if line == 0 or not text:
            return text
        head = line - self._at % line
        lines = [text[:head], *(text[start : start + line] for start in range(head, len(text), line))]
        self._at += len(text)
        if self._at % line == 0 and self._at < self._characters:
            lines.append(b"")
        return self._line_break.join(lines)


def _base64_characters(decoded_octets: int) -> int:
    return -(-decoded_octets // 3) * 4


def _characters(octets: int, line_octets: int, line_break: bytes) -> int:
    """How many characters are in a text of so many octets when every line but the last is whole."""
    if line_octets == 0:
        return octets
    lines, last = divmod(octets, line_octets + len(line_break))
    return lines * line_octets + min(last, line_octets)
