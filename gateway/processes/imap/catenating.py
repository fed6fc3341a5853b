"""CATENATE: a message put together from what the client sends and from parts of messages that are here
already.

A draft with a 20 MB attachment is sent again by its few lines of text. Nothing leaves us by it, so it is no
reading.

Source: RFC 4469 §3 (APPEND … CATENATE), §5 (BADURL, TOOBIG); RFC 5092 §6 (URLs).
"""

from collections.abc import AsyncIterator

from gateway.mail.rights import READ
from gateway.ports import KeyForgotten, Spool
from gateway.processes.imap.contents import OpenedMessage
from gateway.processes.imap.session import Session
from gateway.processes.presenting import open_message
from gateway.protocols.imap.commands import Catenated, Url
from gateway.protocols.imap.errors import CannotObey
from gateway.protocols.imap.framer import Literal, Spooled
from gateway.protocols.imap.message_url import MessageUrl, parse_url
from gateway.protocols.imap.rendering import quoted
from projections.mailbox.query import read_messages

READ_OCTETS = 256 * 1024


async def catenate(session: Session, parts: Catenated, spool: Spool) -> None:
    """Write the parts into a spool, one behind the other. Raises CannotObey, ContentMissing, ContentCorrupt,
    Unavailable, Full."""
    for part in parts.parts:
        async for piece in _pieces(session, part):
            if spool.octets + len(piece) > session.room.message_octets_max:
                raise CannotObey("", "The message is too large", "TOOBIG")
            spool.write(piece)


async def _pieces(session: Session, part: Url | Literal | Spooled) -> AsyncIterator[bytes]:
    match part:
        case Literal(octets=octets):
            yield octets
        case Spooled(index=index):
            whole = session.spools[index]
            for piece in whole.read(0, whole.octets):
                yield piece
        case Url(url):
            message, named = await _named(session, url)
            pieces = await message.pieces(named.section)
            if pieces is None:
                raise _bad(url)
            async for piece in pieces:
                yield piece


async def _named(session: Session, url: str) -> tuple[OpenedMessage, MessageUrl]:
    """The message of a URL. Raises CannotObey for one that is not there, or not there any more."""
    try:
        named = parse_url(url)
    except ValueError:
        raise _bad(url) from None
    async with session.room.pool.rows() as rows:
        place = (await session.places(rows)).get(named.mailbox)
        if place is None or READ not in place.rights:
            raise _bad(url)
        if named.uidvalidity not in (None, place.row.uidvalidity):
            raise _bad(url)
        uids = [(named.uid, named.uid)]
        found = await read_messages(rows, place.account_id, place.mailbox_id, uids)
    if not found or found[0].head.is_expunged:
        raise _bad(url)
    message = found[0]
    try:
        opened = await open_message(session.room.keys, message.head.mail_id, message.message, message.keys)
    except KeyForgotten:
        raise _bad(url) from None
    return OpenedMessage(session.room, opened), named


def _bad(url: str) -> CannotObey:
    """RFC 4469 §5: the code names the URL, so that a client knows which of several."""
    return CannotObey("", "There is no such message or part", f"BADURL {quoted(url[:1_000])}")
