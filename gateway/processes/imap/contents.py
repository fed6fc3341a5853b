"""The octets of messages and of their sections, sent as they come.

Small sections are gathered before anything of them is said, so that a content that cannot be had is a NO;
of a large one the size is said first, and what fails behind it can only end the connection.

Source: RFC 9051 §6.4.5, §7.5.2 (FETCH responses); RFC 3516 §4 (BINARY); RFC 8970 (PREVIEW).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final, assert_never

import msgspec

from gateway.mail.mime import Range
from gateway.mail.readable import preview, readable, text_parts
from gateway.mail.summary import Summary
from gateway.mail.transfer import decode, decoder_of
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
                if isinstance(content.attribute, BodySection) and (
                    large := await reading.large(content.attribute)
                ):
                    session.send(bytes(said) + b"{%d}\r\n" % large.octets)
                    said.clear()
                    has_begun = True
                    await self._stream(session, reading, large)
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

    async def _stream(self, session: Session, reading: "OpenedMessage", place: Range) -> None:
        async for piece in reading.octets(place):
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


class OpenedMessage:
    """An opened message, read by sections."""

    def __init__(self, room: Mailroom, opened: Opened) -> None:
        self._room, self._opened = room, opened
        self._summary: Summary | None = None
        stored = opened.message.content
        self._layout = Layout(len(opened.secret.front), opened.message.hidden, stored.octets)

    def octets(self, place: Range) -> AsyncIterator[bytes]:
        """A whole message is asked for as one: then its whole digest is checked."""
        end = None if place.end == self._layout.octets else place.end
        return self._opened.octets(self._room.content, place.start, end)

    async def large(self, section: BodySection) -> Range | None:
        """Where it is, if it is too large to be gathered."""
        if section.kind.startswith("HEADER"):
            return None
        place = await self._place(section)
        return place if place is not None and place.octets > GATHERED_OCTETS_MAX else None

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
        return literal(await self._gathered(place))

    async def binary(self, binary: Binary) -> bytes:
        decoded = await self._decoded(binary.path)
        return NOTHING if decoded is None else literal(decoded[_span(binary.partial)], is_binary=True)

    async def binary_size(self, path: Path) -> bytes:
        decoded = await self._decoded(path)
        return b"%d" % len(decoded or b"")

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

    async def _decoded(self, path: Path) -> bytes | None:
        """A part without its transfer encoding; None: there is no such part. Raises CannotObey."""
        place = await self._place(BodySection(path))
        if place is None:
            return None
        summary = await self._structure(path)
        part = find_part(summary.body, path) if path else None
        octets = await self._gathered(place)
        encoding = part.encoding if part is not None else ""
        if decoder_of(encoding) is None:
            raise CannotObey("", "The part has an encoding that is not known here", "UNKNOWN-CTE")
        return await asyncio.to_thread(decode, encoding, octets)


async def _alone(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


def _span(asked: Partial | None) -> slice:
    return slice(None) if asked is None else slice(asked[0], asked[0] + asked[1])


async def structure_of(room: Mailroom, message: MessageRow) -> Summary:
    """The whole structure of a message whose summary was cut. Raises as `Contents.send`."""
    opened = await open_message(room.keys, message.head.mail_id, message.message, message.keys)
    return await scanned(room.content, opened)
