"""A signed-in session: takes commands one after the other, and tells what has changed meanwhile.

Every answer is built on rows of one moment. What other sessions did is told at the end of a command, before
its tagged response, as far as RFC 9051 §7.5.1 allows it then.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NoReturn, Self

from gateway.domain.events import Actor, Event, Stamp
from gateway.domain.open_tree import SEPARATOR
from gateway.mail.ids import AccountId
from gateway.ports import Position, Spool, Unavailable
from gateway.processes.changing import EVENTS_A_GROUP
from gateway.processes.imap.mailroom import Mailroom
from gateway.processes.imap.view import View, told
from gateway.processes.imap.watch import Watch
from gateway.processes.listening.wire import Over, Wire
from gateway.processes.reading import Reader
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import State
from gateway.protocols.imap.errors import UNTAGGED, CannotObey, Kind
from projections.directory.query import Person
from projections.mailbox.query import MailboxRow, Outcome, list_mailboxes, outcome_of, paths_of
from projections.readmodel import Rows

NEWS_EVERY_S: Final = 1.0  # hints may be lost: rows are looked at again after that at the latest
ROWS_PATIENCE_S: Final = 60.0  # architecture §2
GATHERED_OCTETS_MAX: Final = 64 * 1024
ROWS_AGAIN_S: Final = 1.0  # while the server of the rows is away
PROGRESS_EVERY_S: Final = 10.0  # RFC 9585: a client that hears something does not give up


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: its tagged response, without its tag. code: as between the brackets."""

    text: str
    code: str = ""
    kind: Kind = "OK"


@dataclass(frozen=True, slots=True)
class Change:
    """A change that the log has, and what the rows say came of it."""

    position: Position
    outcome: Outcome


class Session:
    """The state that commands share. spools: the large literals of the command under way, by their index."""

    def __init__(
        self, room: Mailroom, person: Person, wire: Wire, reader: Reader, hint: asyncio.Event
    ) -> None:
        self.room, self.person, self.wire, self.reader, self.hint = room, person, wire, reader, hint
        self.enabled: set[str] = set()
        self.view: View | None = None
        self.watch: Watch | None = None  # of a client that has said NOTIFY
        self.tag = ""  # of the command under way
        self.is_in_log = False  # what that command asked for: it is never refused any more
        self.knows_quota = False  # it was told, if the account is nearly full
        self._said: list[bytes] = []  # gathered: each write is a record of TLS and a call of the kernel
        self._said_octets = 0
        self.spools: Sequence[Spool] = ()
        self.next_line: Callable[[], Coroutine[None, None, bytes]] = (
            _nobody_speaks  # while the client is idle
        )
        self._looked_at = room.clock.monotonic()

    @classmethod
    @asynccontextmanager
    async def opened(cls, room: Mailroom, person: Person, wire: Wire, reader: Reader) -> AsyncIterator[Self]:
        """Raises Unavailable. A new account gets its mailboxes now, in its own language."""
        async with room.hearing.of(person.account_id) as hint:
            session = cls(room, person, wire, reader, hint)
            position = await room.folders.furnish(person.account_id, session.actor, room.language)
            await session.reach(position)
            yield session

    @property
    def account_id(self) -> AccountId:
        return self.person.account_id

    @property
    def actor(self) -> Actor:
        return Actor("account", self.account_id)

    def stamp(self) -> Stamp:
        return Stamp(self.room.clock.now(), self.actor, self.room.by)

    @property
    def state(self) -> State:
        return State.SIGNED_IN if self.view is None else State.SELECTED

    @property
    def is_utf8(self) -> bool:
        """Names and headers are told as UTF-8 (RFC 9051 §6.3.1, RFC 6855 §3)."""
        return bool(self.enabled & {"IMAP4REV2", "UTF8=ACCEPT"})

    @property
    def is_uidonly(self) -> bool:
        """The client counts no messages (RFC 9586)."""
        return "UIDONLY" in self.enabled

    # --- saying ---------------------------------------------------------------------------------------

    def send(self, octets: bytes) -> None:
        """Say it with what comes next, until `flush` or so much that it pays."""
        self._said.append(octets)
        self._said_octets += len(octets)
        if self._said_octets >= GATHERED_OCTETS_MAX:
            self._write()

    async def flush(self) -> None:
        """Say what was gathered, and wait until the client reads. Raises Over."""
        self._write()
        await self.wire.flush()

    async def keep_pace(self) -> None:
        """Between two responses of many: wait only when there is something to wait for. Raises Over."""
        if not self._said:
            await self.wire.flush()

    def _write(self) -> None:
        if self._said:
            self.wire.write(b"".join(self._said))
            self._said.clear()
            self._said_octets = 0

    def leave_untold(self) -> NoReturn:
        """The last words, and the connection ends: what was asked is in the log, so NO would be a lie, and
        nobody can say now what came of it (architecture §2)."""
        text = "The change is stored, but its outcome is not known yet: look again later"
        self.send(responses.status(UNTAGGED, "BYE", text, "UNAVAILABLE"))
        self._write()
        raise Over("failed", text, is_told=True)

    # --- mailboxes --------------------------------------------------------------------------------------

    async def mailboxes(self, rows: Rows) -> dict[str, MailboxRow]:
        """By their whole names, INBOX first."""
        found = await list_mailboxes(rows, self.account_id)
        paths = paths_of(found)
        return {paths[row.mailbox_id]: row for row in found}

    async def mailbox(self, rows: Rows, path: str, code: str = "NONEXISTENT") -> MailboxRow:
        """Raises CannotObey. code: TRYCREATE where the client could make it (RFC 9051 §7.1)."""
        row = (await self.mailboxes(rows)).get(path.removesuffix(SEPARATOR))
        if row is None:
            raise CannotObey("", "There is no mailbox of that name", code)
        return row

    @property
    def selected(self) -> View:
        assert self.view is not None, "the state was looked at"
        return self.view

    def writable(self) -> View:
        """The selected mailbox, to change. Raises CannotObey after EXAMINE."""
        if self.selected.is_read_only:
            raise CannotObey("", "The mailbox was opened by EXAMINE", "READ-ONLY")
        return self.selected

    # --- changing ---------------------------------------------------------------------------------------

    async def change(self, events: Sequence[Event]) -> list[Change]:
        """Append changes, wait for the rows, and give what came of each. Leaves when they do not follow.

        Raises Unavailable, Full.
        """
        positions: list[Position] = []
        for start in range(0, len(events), EVENTS_A_GROUP):
            some = events[start : start + EVENTS_A_GROUP]
            positions += await self.room.changing.append(self.account_id, some)
            self.is_in_log = True
        if not positions:
            return []
        await self.reach(positions[-1])
        async with self.room.pool.snapshot() as rows:
            if self.view is not None:
                await self.view.refresh(rows)
            outcomes = [await outcome_of(rows, self.account_id, position) for position in positions]
        pairs = zip(positions, outcomes, strict=True)
        return [Change(position, outcome) for position, outcome in pairs if outcome is not None]

    async def reach(self, position: Position) -> None:
        """Wait until the rows are there; tells the client every ten seconds that it goes on."""
        if not await self.reaches(position):
            self.leave_untold()

    async def reaches(self, position: Position) -> bool:
        """False when the rows did not get there in a minute. position: of what was appended, if anything."""
        self.is_in_log |= position > 0
        clock = self.room.clock
        began = told_at = clock.monotonic()
        while clock.monotonic() - began < ROWS_PATIENCE_S:
            try:
                if await self.room.changing.await_rows(
                    self.account_id, position, PROGRESS_EVERY_S, self.hint
                ):
                    self.hint.set()  # what else it has told of is not looked at yet
                    return True
            except Unavailable:
                await clock.sleep(ROWS_AGAIN_S)
            if clock.monotonic() - told_at >= PROGRESS_EVERY_S:
                told_at = clock.monotonic()
                self.send(responses.ok("Still working", "INPROGRESS"))
                await self.flush()
        return False

    # --- news -----------------------------------------------------------------------------------------

    async def look(self, *, now: bool = False) -> None:
        """Learn what has changed in the selected mailbox and in those that are watched, when somebody said
        so or it is time again."""
        at = self.room.clock.monotonic()
        if (self.view is None and self.watch is None) or not (
            now or self.hint.is_set() or at - self._looked_at >= NEWS_EVERY_S
        ):
            return
        self.hint.clear()
        self._looked_at = at
        async with self.room.pool.snapshot() as rows:
            if self.view is not None:
                await self.view.refresh(rows)
            if self.watch is not None:
                await self.watch.refresh(rows, self.account_id)

    def tell_news(self, *, may_expunge: bool, may_flag: bool = True, tells_uid: bool = False) -> None:
        """Say what the client has not heard yet of its mailbox."""
        if self.view is not None:
            owed = self.view.selected.owed(may_expunge=may_expunge, may_flag=may_flag)
            self.send(told(owed, self.enabled, tells_uid=tells_uid))


async def _nobody_speaks() -> bytes:
    raise AssertionError("nobody listens to this client")
