"""APPEND and REPLACE: messages that a client puts into a mailbox.

Source: RFC 9051 §6.3.12; RFC 3502 (MULTIAPPEND: all or none), RFC 4315 (APPENDUID), RFC 8508 (REPLACE),
RFC 7889 (APPENDLIMIT).
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Final

from gateway.domain.changes import MessageExpunged
from gateway.domain.events import Event, Fact
from gateway.mail.mime import Part, StructureScanner
from gateway.mail.rights import right_for_flag
from gateway.mail.uids import Ranges, count_uids, ranges_of, uids_text
from gateway.ports import Position, Spooled, Unavailable
from gateway.processes.appending import Appended
from gateway.processes.imap.altering import check_room
from gateway.processes.imap.catenating import catenate
from gateway.processes.imap.places import Place
from gateway.processes.imap.session import Done, Session
from gateway.processes.storing import INLINE_OCTETS_MAX, Octets
from gateway.protocols.imap import framer, responses
from gateway.protocols.imap.commands import Append, AppendMessage, Catenated, Replace
from gateway.protocols.imap.errors import CannotObey
from projections.mailbox.query import Outcome, outcomes_of

# All of them are one group of the log, of at most 1 MB (architecture §4, Lanes); a summary has 8 KiB.
MESSAGES_MAX: Final = 60
READ_OCTETS: Final = 256 * 1024


async def append(session: Session, command: Append) -> Done:
    if len(command.messages) > MESSAGES_MAX:
        raise CannotObey("", f"At most {MESSAGES_MAX} messages are appended at once", "LIMIT")
    async with session.room.pool.rows() as rows:
        target = await session.place(rows, command, "TRYCREATE")
    facts = await _taken(session, target, command.messages)
    return await _stored(session, "APPEND", facts, target)


async def replace(session: Session, command: Replace) -> Done:
    """RFC 8508 §3.2: the new one is there and the old one is gone, or neither."""
    view = session.writable()
    old = view.uids_of(command.numbers, by_uid=command.by_uid)
    if count_uids(old) != 1:
        raise CannotObey("", "There is no such message", "NONEXISTENT")
    async with session.room.pool.rows() as rows:
        target = await session.place(rows, command, "TRYCREATE")
    if target.account_id != view.account_id:  # two histories are no one group
        raise CannotObey("", "A message is replaced within the mailboxes of one account", "CANNOT")
    facts = await _taken(session, target, [command.message])
    gone = MessageExpunged(
        **session.stamp().fields(),
        account_id=view.account_id,
        mailbox_id=view.mailbox_id,
        uids=uids_text(old),
    )
    return await _stored(session, "REPLACE", facts, target, gone)


async def _taken(session: Session, target: Place, messages: Sequence[AppendMessage]) -> list[Fact]:
    """The messages made durable, and the facts of them, those of objects first."""
    with ExitStack() as made:
        contents = [await _octets(session, message, made) for message in messages]
        await check_room(session, target.account_id, sum(octets.octets for octets in contents))
        taken: list[Fact] = []
        for message, octets in zip(messages, contents, strict=True):
            stamp = session.stamp()
            appended = Appended(
                account_id=target.account_id,
                agency_id=session.person.agency_id,  # rights go no further than that
                mailbox_id=target.mailbox_id,
                octets=octets,
                tree=await _structure(octets),
                internal_date=message.internal_date or stamp.at,
                flags=[flag for flag in message.flags if right_for_flag(flag) in target.rights],
            )
            taken += await session.room.appending.take(appended, stamp)
        return taken


async def _stored(session: Session, name: str, facts: Sequence[Fact], target: Place, *also: Event) -> Done:
    """Append the group, and say under which UIDs it is there if that is known in time (architecture §2)."""
    history = facts[-1].subject
    events = [fact.event for fact in facts if fact.subject == history]
    beside = [fact for fact in facts if fact.subject != history]
    positions = await session.room.changing.append(target.account_id, [*events, *also], *beside)
    outcomes = await _outcomes(session, target, positions[: len(events)], positions[-1])
    if not outcomes:
        return Done(f"{name} completed, and not shown yet")
    if any(outcome.to_mailbox_id != target.mailbox_id for outcome in outcomes):
        return Done(f"{name} completed, into INBOX: the mailbox is gone")
    uids: Ranges = ranges_of(
        uid for outcome in outcomes for start, end in outcome.to_uids for uid in (start, end)
    )
    code = responses.append_uid(outcomes[0].to_uidvalidity, uids)
    if also:  # RFC 8508 §3.4
        session.send(responses.ok("Replaced", code))
        return Done(f"{name} completed")
    return Done(f"{name} completed", code)


async def _outcomes(
    session: Session, target: Place, positions: Sequence[Position], last: Position
) -> list[Outcome]:
    """What came of the messages; none: nobody can say now. last: of the group."""
    if not await session.reaches(last, target.account_id):
        return []
    session.begin_looking()
    try:
        async with session.room.pool.rows() as rows:
            await session.learn(rows)
            found = await outcomes_of(rows, target.account_id, positions)
    except Unavailable:
        return []
    return [outcome for outcome in found if outcome is not None]


async def _octets(session: Session, message: AppendMessage, made: ExitStack) -> Spooled:
    """made: closes what is put together here. Raises as `catenate`."""
    match message.content:
        case framer.Literal(octets=octets):
            return Octets(octets)
        case framer.Spooled(index=index):
            return session.spools[index]
        case Catenated() as parts:
            spool = session.room.new_spool()
            made.callback(spool.close)
            await catenate(session, parts, spool)
            return spool


async def _structure(octets: Spooled) -> Part:
    """Raises as `_scanned`."""
    if octets.octets <= INLINE_OCTETS_MAX:
        return _scanned(octets)
    return await asyncio.to_thread(_scanned, octets)


def _scanned(octets: Spooled) -> Part:
    """Raises CannotObey: a message with NUL could be fetched by BINARY alone, and is not kept (RFC 3516
    §4.4)."""
    scanner = StructureScanner()
    for piece in _pieces(octets):
        if b"\0" in piece:
            raise CannotObey("", "A message that is kept here has no NUL octets", "UNKNOWN-CTE")
        scanner.feed(piece)
    return scanner.finish()


def _pieces(octets: Spooled) -> Iterator[bytes]:
    for start in range(0, octets.octets, READ_OCTETS):
        yield from octets.read(start, min(start + READ_OCTETS, octets.octets))
