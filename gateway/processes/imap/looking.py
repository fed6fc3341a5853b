"""What a search reads of messages: their headers and texts. None of it leaves us, so it is no reading."""

import msgspec

from gateway.mail.collation import folded
from gateway.mail.readable import TEXT_OCTETS_MAX, readable, text_parts
from gateway.mail.summary import Summary
from gateway.processes.imap.contents import scanned
from gateway.processes.imap.mailroom import Mailroom
from gateway.processes.presenting import Opened, open_message
from projections.mailbox.query import MessageRow


async def header_of(room: Mailroom, message: MessageRow) -> bytes:
    """As it was received. Raises ContentMissing, ContentCorrupt, KeyForgotten, Unavailable."""
    opened = await _opened(room, message)
    summary = msgspec.json.decode(opened.secret.summary, type=Summary)
    return await _octets(room, opened, 0, summary.body.body_start)


async def text_of(room: Mailroom, message: MessageRow) -> str:
    """What a person reads of it, folded. Raises as `header_of`."""
    opened = await _opened(room, message)
    summary = msgspec.json.decode(opened.secret.summary, type=Summary)
    if summary.cut:
        summary = await scanned(room, opened)
    texts = []
    for part in text_parts(summary.body):
        end = min(part.body_end, part.body_start + TEXT_OCTETS_MAX)
        texts.append(readable(part, await _octets(room, opened, part.body_start, end)))
    return folded("\n".join(texts))


async def _opened(room: Mailroom, message: MessageRow) -> Opened:
    return await open_message(room.keys, message.head.mail_id, message.message, message.keys)


async def _octets(room: Mailroom, opened: Opened, start: int, end: int) -> bytes:
    if start == end:
        return b""
    return b"".join([piece async for piece in opened.stored(room.content, start, end)])
