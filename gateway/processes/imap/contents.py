"""The octets of messages and of their sections, sent as they come.

Small sections are gathered before anything of them is said, so that a content that cannot be had is a NO;
of a large one the size is said first, and what fails behind it can only end the connection.

Source: RFC 9051 §6.4.5, §7.5.2 (FETCH responses); RFC 3516 §4 (BINARY); RFC 8970 (PREVIEW).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from math import inf
from typing import Final, assert_never

import msgspec

from gateway.mail.mime import Range
from gateway.mail.readable import preview, readable, text_parts
from gateway.mail.summary import Summary
from gateway.mail.transfer import decoder_of
from gateway.ports import ContentCorrupt, ContentMissing, KeyForgotten, Unavailable
from gateway.processes.imap.mailroom import Mailroom
from gateway.processes.imap.session import Session
from gateway.processes.listening.wire import Over
from gateway.processes.presenting import Opened, open_message, scanned
from gateway.protocols.imap.attributes import Binary, BinarySize, BodySection, Partial, Path, Preview
from gateway.protocols.imap.errors import CannotObey
from gateway.protocols.imap.fetching import CLOSING, Content, ContentAttribute
from gateway.protocols.imap.rendering import literal, quoted
from gateway.protocols.imap.sections import Layout, filter_fields, find_part, locate, partial
from projections.mailbox.query import MessageRow

GATHERED_OCTETS_MAX: Final = 256 * 1024  # of one response, and of one section in it
NOTHING: Final = b"NIL"
# A literal has none (RFC 9051 §4.3), but mail by BINARYMIME may. As many octets are sent as there are, and
# BINARY has them as they came. Precedent: Dovecot.
NUL: Final = b"\0"
INSTEAD_OF_NUL: Final = b"\x80"
# Of the text that a preview is made of: HTML begins with much that nobody reads.
PREVIEWED_OCTETS: Final = 64 * 1024

_summaries: Final = msgspec.json.Decoder(Summary)


class Contents:
    """Sends the contents that one FETCH asks for."""

    def __init__(self, room: Mailroom) -> None:
        self._room = room

    async def read_ahead(self, messages: Sequence[MessageRow]) -> None:
        """These come next."""
        await self._room.content.read_ahead([message.message.content for message in messages])

    async def send(
        self, session: Session, message: MessageRow, wanted: Sequence[Content], opening: bytes
    ) -> None:
        """One whole FETCH response; of a message that was erased, NIL. Raises ContentMissing, ContentCorrupt,
        Unavailable while nothing has been said of it; Over."""
        try:
            opened = await open_message(self._room.keys, message.head.mail_id, message.message, message.keys)
        except KeyForgotten:
            session.send(opening + b"".join(content.label + NOTHING for content in wanted) + CLOSING)
            return
        said = bytearray(opening)
        has_begun = False
        try:
            reading = OpenedMessage(self._room, opened)
            for content in wanted:
                said += content.label
                if large := await reading.large(content.attribute):
                    session.send(bytes(said) + large.opening)
                    said.clear()
                    has_begun = True
                    await self._stream(session, large.pieces)
                else:
                    said += await _gathered(session, reading, content.attribute)
                if len(said) > GATHERED_OCTETS_MAX:
                    session.send(bytes(said))
                    said.clear()
                    has_begun = True
                    await session.flush()
        except (ContentMissing, ContentCorrupt, Unavailable, CannotObey) as error:
            if has_begun:  # half a response: nothing but the end can follow
                raise Over("failed", f"a content broke off: {error}") from error
            raise
        session.send(bytes(said) + CLOSING)
        await session.keep_pace()

    async def _stream(self, session: Session, pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            session.send(piece)
            await session.flush()


async def _gathered(session: Session, reading: "OpenedMessage", wanted: ContentAttribute) -> bytes:
    """As it stands in the response."""
    match wanted:
        case BodySection():
            return await reading.section(wanted)
        case Binary():
            return await reading.binary(wanted)
        case BinarySize(path):
            return await reading.binary_size(path)
        case Preview():
            return await reading.preview(is_utf8=session.is_utf8)
        case _:
            assert_never(wanted)


@dataclass(frozen=True, slots=True)
class Large:
    """What is too large to be gathered. opening: of its literal."""

    opening: bytes
    pieces: AsyncIterator[bytes]


class OpenedMessage:
    """An opened message, read by sections."""

    def __init__(self, room: Mailroom, opened: Opened) -> None:
        self._room, self._opened = room, opened
        self._summary: Summary | None = None
        self._sizes: dict[Path, int] = {}  # of parts without their encoding
        stored = opened.message.content
        self._layout = Layout(len(opened.secret.front), opened.message.hidden, stored.octets)

    def octets(self, place: Range) -> AsyncIterator[bytes]:
        """A whole message is asked for as one: then its whole digest is checked."""
        end = None if place.end == self._layout.octets else place.end
        return self._opened.octets(self._room.content, place.start, end)

    async def large(self, wanted: ContentAttribute) -> Large | None:
        """What is wanted, if it is too large to be gathered. Raises CannotObey."""
        match wanted:
            case BodySection(kind=kind) if not kind.startswith("HEADER"):
                place = await self._place(wanted)
                if place is not None and place.octets > GATHERED_OCTETS_MAX:
                    return Large(b"{%d}\r\n" % place.octets, _without_nul(self.octets(place)))
            case Binary(path, span):
                place = await self._place(BodySection(path))
                if place is not None and min(place.octets, _most(span)) > GATHERED_OCTETS_MAX:
                    return await self._large_binary(wanted, place)
        return None

    async def _large_binary(self, binary: Binary, place: Range) -> Large:
        """It is decoded twice: what a literal says of its octets, nobody knows before."""
        encoding = await self._encoding(binary.path)
        octets, has_nul = 0, False
        async for piece in _within(self._decoded(place, encoding), binary.partial):
            octets += len(piece)
            has_nul = has_nul or b"\0" in piece
        pieces = _within(self._decoded(place, encoding), binary.partial)
        return Large(b"%b{%d}\r\n" % (b"~" if has_nul else b"", octets), pieces)

    async def pieces(self, section: BodySection) -> AsyncIterator[bytes] | None:
        """The octets of a section; None: there is no such part."""
        place = await self._place(section)
        if place is None:
            return None
        if section.kind.startswith("HEADER.FIELDS"):
            return _alone(await self._fields(section, place))
        return self.octets(place) if place.octets else _alone(b"")

    async def section(self, section: BodySection) -> bytes:
        """As it stands in the response: a literal, or NIL where there is no such part."""
        place = await self._place(section)
        if place is None:
            return NOTHING
        if section.kind.startswith("HEADER.FIELDS"):
            return literal(await self._fields(section, place))
        return literal((await self._gathered(place)).replace(NUL, INSTEAD_OF_NUL))

    async def binary(self, binary: Binary) -> bytes:
        """One that is not large. Raises CannotObey."""
        place = await self._place(BodySection(binary.path))
        if place is None:
            return NOTHING
        decoded = self._decoded(place, await self._encoding(binary.path))
        return literal(b"".join([piece async for piece in _within(decoded, binary.partial)]), is_binary=True)

    async def binary_size(self, path: Path) -> bytes:
        """Raises CannotObey."""
        place = await self._place(BodySection(path))
        if place is None:
            return b"0"
        if path not in self._sizes:
            decoded = self._decoded(place, await self._encoding(path))
            self._sizes[path] = sum([len(piece) async for piece in decoded])
        return b"%d" % self._sizes[path]

    async def preview(self, *, is_utf8: bool) -> bytes:
        """The beginning of the first part that has something to read; a client in a hurry gets it too."""
        summary = await self._structure(())
        for part in text_parts(summary.body):
            end = min(part.body_end, part.body_start + PREVIEWED_OCTETS)
            place = Range(self._layout.place(part.body_start), self._layout.place(end))
            if text := preview(readable(part, await self._gathered(place))):
                return quoted(text).encode() if is_utf8 or text.isascii() else literal(text.encode())
        return b'""'

    async def _place(self, section: BodySection) -> Range | None:
        """Of header fields that of the whole header, which they are chosen from."""
        summary = await self._structure(section.path)
        found = locate(summary.body, section.path, section.kind, self._layout)
        if found is None or section.kind.startswith("HEADER.FIELDS"):
            return found
        return partial(found, section.partial)

    async def _structure(self, path: Path) -> Summary:
        """The summary of the event; where it was cut and may lack the part, one of the message itself."""
        if self._summary is None:
            self._summary = _summaries.decode(self._opened.secret.summary)
        if path and self._summary.cut and find_part(self._summary.body, path) is None:
            self._summary = await scanned(self._room.content, self._opened)
        return self._summary

    async def _fields(self, section: BodySection, header: Range) -> bytes:
        octets = await self._gathered(header)
        chosen = filter_fields(octets, section.fields, is_not=section.kind.endswith("NOT"))
        return chosen[_span(section.partial)]

    async def _gathered(self, place: Range) -> bytes:
        return b"".join([piece async for piece in self.octets(place)]) if place.octets else b""

    async def _encoding(self, path: Path) -> str:
        """Of a part that is there. Raises CannotObey when nobody here can undo it."""
        part = find_part((await self._structure(path)).body, path) if path else None
        encoding = "" if part is None else part.encoding
        if decoder_of(encoding) is None:
            raise CannotObey("", "The part has an encoding that is not known here", "UNKNOWN-CTE")
        return encoding

    async def _decoded(self, place: Range, encoding: str) -> AsyncGenerator[bytes, None]:
        """Without its transfer encoding, as it comes."""
        decoder = decoder_of(encoding)
        assert decoder is not None, encoding
        if place.octets:
            async for piece in self.octets(place):
                yield decoder.feed(piece)
        yield decoder.finish()


async def _within(pieces: AsyncGenerator[bytes, None], span: Partial | None) -> AsyncIterator[bytes]:
    """What a span has of them; what lies behind it is not asked for."""
    passed, cut = 0, _span(span)
    async with aclosing(pieces):
        async for piece in pieces:
            first = max(0, (cut.start or 0) - passed)
            if wanted := piece[first : None if cut.stop is None else max(0, cut.stop - passed)]:
                yield wanted
            passed += len(piece)
            if cut.stop is not None and passed >= cut.stop:
                return


async def _without_nul(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece.replace(NUL, INSTEAD_OF_NUL)


async def _alone(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


def _most(asked: Partial | None) -> float:
    """Octets of a span at most."""
    return inf if asked is None else asked[1]


def _span(asked: Partial | None) -> slice:
    return slice(None) if asked is None else slice(asked[0], asked[0] + asked[1])


async def structure_of(room: Mailroom, message: MessageRow) -> Summary:
    """The whole structure of a message whose summary was cut. Raises as `Contents.send`."""
    opened = await open_message(room.keys, message.head.mail_id, message.message, message.keys)
    return await scanned(room.content, opened)
