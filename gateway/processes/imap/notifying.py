"""NOTIFY, and telling a client what is new: of its mailbox as ever, of all mailboxes what it asked for.

A client that has asked is told between its commands as well, as soon as rows have changed.

Source: RFC 5465; RFC 9051 §5.2, §7.5.1.
"""

import asyncio
from typing import Any, Final, assert_never

from gateway.mail.mailbox_name import SEPARATOR
from gateway.mail.uids import Ranges
from gateway.ports import ContentCorrupt, ContentMissing, Full, Unavailable
from gateway.processes import maillog
from gateway.processes.imap.fetching import fetch
from gateway.processes.imap.folder_commands import listable, status_line
from gateway.processes.imap.places import PREFIX
from gateway.processes.imap.session import Done, Session
from gateway.processes.imap.watch import Watch
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import Command, Fetch, List, Notify
from gateway.protocols.imap.errors import CannotObey
from gateway.protocols.imap.listing import list_mailboxes
from gateway.protocols.imap.notifying import Counted, Gone, Named, News, Wishes
from gateway.protocols.imap.selected import may_expunge
from gateway.protocols.imap.sequence_set import SequenceSet

# Hints are lost only with the line to the log server, which comes back within seconds.
LOOK_EVERY_S: Final = 30.0
LOOK_AGAIN_S: Final = 1.0
# RFC 5465 §5.1 to §5.3 ask for some of them with each event.
_COUNTS: Final = ("MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN")
_EVERY: Final = List("", ("*",), returns=frozenset({"SUBSCRIBED", "CHILDREN"}))


async def notify(session: Session, command: Notify) -> Done:
    """What was asked for before does not count any more (§3.1)."""
    if any(f"{name}{SEPARATOR}".startswith(PREFIX) for group in command.groups for name in group.names):
        raise CannotObey("", "Of mailboxes of others one hears while they are selected", "CANNOT")
    wishes = Wishes(command)
    async with session.room.pool.snapshot() as rows:
        watch = await Watch.opened(rows, session.account_id, wishes)
    session.watch = watch
    if command.wants_status:
        _say(session, watch, list(wishes.counted(watch.now, _selected_id(session))))
    return Done("NOTIFY completed")


async def tell_news(session: Session, command: Command) -> None:
    """Before a command's tagged response."""
    await _tell(session, command, may_expunge=may_expunge(command), tells_uid=command.by_uid)


async def tell_until(session: Session, reading: "asyncio.Task[Any]", *, may_expunge: bool) -> None:
    """Tell a client what is new, as it becomes so, until it has spoken. Raises Over."""
    while not reading.done():
        await _tell(session, None, may_expunge=may_expunge)
        await session.flush()
        if await _is_hinted(session, reading):
            await look(session)


async def look(session: Session) -> None:
    """While the rows are away the client goes on waiting, and is looked for again soon."""
    try:
        await session.look(now=True)
    except Unavailable:
        await session.room.clock.sleep(LOOK_AGAIN_S)
        session.hint.set()


async def _is_hinted(session: Session, reading: "asyncio.Task[Any]") -> bool:
    """Wait for the client, for a hint, or for the time to look anyway; False: only the client has spoken."""
    hinted = asyncio.create_task(session.hint.wait())
    done, _ = await asyncio.wait({reading, hinted}, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    hinted.cancel()
    return reading not in done


async def _tell(
    session: Session, command: Command | None, *, may_expunge: bool, tells_uid: bool = False
) -> None:
    """command: that has just been carried out; None: between two, or in IDLE."""
    watch, view = session.watch, session.view
    if watch is None:
        session.tell_news(may_expunge=may_expunge, tells_uid=tells_uid)
        return
    _say(session, watch, watch.owed(_selected_id(session)))
    for path, entries in watch.owed_metadata():
        session.send(responses.metadata_changed(path, entries, is_utf8=session.is_utf8))
    if view is None or not watch.wishes.tells_selected(command):
        return
    arrived = view.selected.arrived if watch.wishes.attributes else ()
    session.tell_news(
        may_expunge=may_expunge or watch.wishes.is_immediate,
        may_flag=watch.wishes.tells_flags(command),
        tells_uid=True,  # RFC 5465 §5.1
    )
    if arrived:
        await _fetch_arrived(session, watch, arrived)


def _say(session: Session, watch: Watch, news: list[News]) -> None:
    """In the words of LIST and STATUS."""
    if not news:
        return
    rows = dict(watch.now.values())
    known = [listable(path, row) for path, row in rows.items()]
    listed = {one.path: one.attributes for one in list_mailboxes(_EVERY, known)}
    items = (*_COUNTS, "HIGHESTMODSEQ") if "CONDSTORE" in session.enabled else _COUNTS
    for one in news:
        match one:
            case Gone(path):
                session.send(responses.mailbox(path, ("\\NonExistent",), is_utf8=session.is_utf8))
            case Named(path, old_path):
                session.send(
                    responses.mailbox(path, listed[path], is_utf8=session.is_utf8, old_name=old_path)
                )
            case Counted(path):
                session.send(status_line(session, path, rows[path], items))
            case _:
                assert_never(one)


async def _fetch_arrived(session: Session, watch: Watch, arrived: Ranges) -> None:
    """§5.2: as a UID FETCH of them would. Its client has been told that they are there: what cannot be read
    now it can ask for later."""
    command = Fetch(SequenceSet(tuple(arrived)), watch.wishes.attributes, by_uid=True)
    try:
        await fetch(session, command)
    except (Unavailable, Full, ContentMissing, ContentCorrupt) as error:
        maillog.command_put_off(command="Notify", reason=str(error))


def _selected_id(session: Session) -> str | None:
    return None if session.view is None else session.view.mailbox_id
