"""From a command to its tagged response: which handler it has, and what is said when it cannot be obeyed.

Source: RFC 9051 §6 (commands), §7.1 (OK, NO, BAD), RFC 5530 (codes).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, Self

from gateway.domain.open_tree import VALUE_OCTETS_MAX, MailboxRefused, Why
from gateway.ports import Conflict, ContentCorrupt, ContentMissing, Full, KeyForgotten, Unavailable
from gateway.processes import maillog
from gateway.processes.imap import (
    altering,
    annotating,
    appending,
    enabling,
    fetching,
    folder_commands,
    idling,
    notifying,
    searching,
    selecting,
    sharing,
)
from gateway.processes.imap.incoming import Incoming
from gateway.processes.imap.mailroom import Mailroom
from gateway.processes.imap.services import SignedIn
from gateway.processes.imap.session import Done, Session
from gateway.processes.listening.visits import Visit
from gateway.processes.reading import Reader
from gateway.protocols.imap import commands, responses
from gateway.protocols.imap.commands import Command, Tagged
from gateway.protocols.imap.errors import CannotObey, ImapError
from gateway.protocols.imap.framer import Lines
from gateway.protocols.imap.rights import TO_SELECTED
from gateway.protocols.imap.selected import names_numbers

Handler = Callable[[Session, Any], Awaitable[Done]]

HANDLERS: Final[Mapping[type[Command], Handler]] = {
    commands.Noop: selecting.noop,
    commands.Check: selecting.noop,
    commands.Enable: enabling.enable,
    commands.Select: selecting.select,
    commands.Close: selecting.close,
    commands.Unselect: selecting.unselect,
    commands.List: folder_commands.list_,
    commands.Lsub: folder_commands.lsub,
    commands.Namespace: folder_commands.namespace,
    commands.Status: folder_commands.status,
    commands.Create: folder_commands.create,
    commands.Delete: folder_commands.delete,
    commands.Rename: folder_commands.rename,
    commands.Subscribe: folder_commands.subscribe,
    commands.Unsubscribe: folder_commands.subscribe,
    commands.GetQuota: folder_commands.get_quota,
    commands.GetQuotaRoot: folder_commands.get_quota_root,
    commands.SetQuota: folder_commands.set_quota,
    commands.SetAcl: sharing.set_acl,
    commands.DeleteAcl: sharing.delete_acl,
    commands.GetAcl: sharing.get_acl,
    commands.ListRights: sharing.list_rights,
    commands.MyRights: sharing.my_rights,
    commands.GetMetadata: annotating.get_metadata,
    commands.SetMetadata: annotating.set_metadata,
    commands.Append: appending.append,
    commands.Replace: appending.replace,
    commands.Fetch: fetching.fetch,
    commands.Store: altering.store,
    commands.Copy: altering.copy,
    commands.Move: altering.move,
    commands.Expunge: altering.expunge,
    commands.Search: searching.search,
    commands.Sort: searching.sort,
    commands.Thread: searching.thread,
    commands.Idle: idling.idle,
    commands.Notify: notifying.notify,
}
_CODES: Final[Mapping[Why, str]] = {
    "exists": "ALREADYEXISTS",
    "missing": "NONEXISTENT",
    "children": "HASCHILDREN",
    "inbox": "CANNOT",
    "name": "CANNOT",
    "role": "USEATTR",
    "limit": "LIMIT",
    "value": f"METADATA MAXSIZE {VALUE_OCTETS_MAX}",  # RFC 5464 §4.3
    "entries": "METADATA TOOMANY",
}


async def execute(session: Session, tagged: Tagged) -> None:
    """Obey a command and say how it ended. Raises Over, Deposed."""
    command, session.tag, session.is_in_log = tagged.command, tagged.tag, False
    if session.state not in command.states:
        session.send(
            responses.status(tagged.tag, "BAD", "This command has no place here: select a mailbox first")
        )
        await session.flush()
        return
    done = await _outcome(session, tagged)
    await _look_and_tell(session, command)
    session.send(responses.status(tagged.tag, done.kind, done.text, done.code))
    await session.flush()


async def _outcome(session: Session, tagged: Tagged) -> Done:
    if session.is_uidonly and names_numbers(tagged.command):  # RFC 9586 §3
        return Done("With UIDONLY messages are named by UID", "UIDREQUIRED", "BAD")
    handler = HANDLERS.get(type(tagged.command))
    if handler is None:
        return Done("This command is not offered here", kind="BAD")
    try:
        await _check_rights(session, tagged.command)
        return await handler(session, tagged.command)
    except ImapError as error:
        return Done(error.text, error.code, error.kind)
    except MailboxRefused as refused:
        return Done(_sentence(str(refused)), _CODES[refused.why], "NO")
    except KeyForgotten:
        return Done("What it takes to open this was erased", kind="NO")
    except (Unavailable, Full, Conflict) as error:
        if session.is_in_log:
            session.leave_untold()
        maillog.command_put_off(command=type(tagged.command).__name__, reason=str(error))
        return Done("This cannot be done now, try again later", "UNAVAILABLE", "NO")
    except (ContentMissing, ContentCorrupt) as error:
        maillog.content_unreadable(reason=str(error))
        return Done("A message cannot be read, its server's operator was told", "SERVERBUG", "NO")


async def _check_rights(session: Session, command: Command) -> None:
    """Those to somebody else's mailbox that is selected, as they are now. Raises CannotObey, Over."""
    view = session.view
    if view is None or view.viewer is None or isinstance(command, commands.Unselect):
        return
    async with session.room.pool.rows() as rows:
        await session.check_rights(rows)
    if not view.may(TO_SELECTED.get(type(command), "")):
        raise CannotObey("", "You have no right to do that in this mailbox", "NOPERM")


async def _look_and_tell(session: Session, command: Command) -> None:
    try:
        await session.look(now=isinstance(command, commands.Noop | commands.Check))
    except Unavailable:  # then it is told the next time
        return
    await notifying.tell_news(session, command)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


class Mailboxes:
    """What a connection hands its commands to, once somebody has signed in."""

    def __init__(self, session: Session, incoming: Incoming) -> None:
        self._session, self._incoming = session, incoming

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, room: Mailroom, idle_timeout_s: float, signed_in: SignedIn, visit: Visit, incoming: Incoming
    ) -> AsyncIterator[Self]:
        """Raises Unavailable."""
        reader = Reader("fetch", signed_in.client, visit.record.remote_ip)
        async with Session.opened(room, signed_in.person, visit, reader) as session:
            session.next_line = partial(_next_line, incoming, idle_timeout_s)
            yield cls(session, incoming)

    @property
    def is_utf8(self) -> bool:
        return self._session.is_utf8

    @property
    def is_watching(self) -> bool:
        return self._session.watch is not None

    async def tell_until(self, reading: "asyncio.Task[Lines]") -> None:
        await notifying.tell_until(self._session, reading, may_expunge=False)

    def client_is(self, name: str) -> None:
        self._session.reader = replace(self._session.reader, client=name)

    async def obey(self, tagged: Tagged) -> None:
        self._session.spools = self._incoming.spools
        await execute(self._session, tagged)


async def _next_line(incoming: Incoming, within_s: float) -> bytes:
    """What a client says while it is idle; anything but a line is no DONE."""
    (line, *literals) = (await incoming.command(within_s)).parts
    return line if isinstance(line, bytes) and not literals else b""
