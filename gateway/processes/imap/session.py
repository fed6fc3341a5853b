"""A signed-in session: takes commands one after the other, and tells what has changed meanwhile.

Every answer is built on rows of one moment. What other sessions did is told at the end of a command, before
its tagged response, as far as RFC 9051 §7.5.1 allows it then.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol, Self

from gateway.domain.changes import Changed
from gateway.domain.events import Actor, Stamp
from gateway.domain.open_tree import SEPARATOR
from gateway.mail.ids import AccountId
from gateway.mail.rights import LOOKUP, READ
from gateway.ports import Position, Spool, Unavailable
from gateway.processes.changing import EVENTS_A_GROUP
from gateway.processes.imap.mailroom import Mailroom
from gateway.processes.imap.places import PREFIX, Named, Place, others_places, own_places, rights_to
from gateway.processes.imap.view import View, told
from gateway.processes.imap.watch import Watch
from gateway.processes.listening.wire import Over, Wire
from gateway.processes.reading import Reader
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import State
from gateway.protocols.imap.errors import UNTAGGED, CannotObey, Kind
from gateway.protocols.imap.rights import TO_NAMED
from projections.directory.query import Person
from projections.mailbox.query import Outcome, outcomes_of
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


class NamesMailbox(Protocol):
    """A command about a mailbox."""

    @property
    def mailbox(self) -> str: ...


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
        self._selection = AsyncExitStack()  # what ends with the selected mailbox

    @classmethod
    @asynccontextmanager
    async def opened(cls, room: Mailroom, person: Person, wire: Wire, reader: Reader) -> AsyncIterator[Self]:
        """Raises Unavailable. A new account gets its mailboxes now, in its own language."""
        async with room.hearing.of(person.account_id) as hint:
            session = cls(room, person, wire, reader, hint)
            position = await room.folders.furnish(person.account_id, session.actor, room.language)
            await session.reach(position)
            try:
                yield session
            finally:
                await session.leave()

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

    async def places(self, rows: Rows) -> dict[str, Place]:
        """All that this person reaches, by whole names: their own, INBOX first, then others'."""
        own, others = await own_places(rows, self.person), await others_places(rows, self.person)
        return own | {path: place for path, place in others.items() if path not in own}

    async def place(self, rows: Rows, command: NamesMailbox, code: str = "NONEXISTENT") -> Place:
        """The mailbox that a command names, with the right it needs. Raises CannotObey.

        code: TRYCREATE where the client could make it (RFC 9051 §7.1).
        """
        path = command.mailbox.removesuffix(SEPARATOR)
        reach = others_places if path.startswith(PREFIX) else own_places
        place = (await reach(rows, self.person)).get(path)
        if place is None:
            raise CannotObey("", "There is no mailbox of that name", code)
        if not place.rights.issuperset(TO_NAMED[type(command)]):
            raise CannotObey("", "You have no right to do that with this mailbox", "NOPERM")
        return place

    async def named(self, command: NamesMailbox) -> Named:
        """The same for a decision; one's own the tree looks for. Raises CannotObey."""
        if not command.mailbox.startswith(PREFIX):
            return Named(self.account_id, command.mailbox)
        async with self.room.pool.rows() as rows:
            place = await self.place(rows, command)
        return Named(place.account_id, place.inner, place.mailbox_id)

    async def enter(self, view: View) -> None:
        """Have a mailbox selected, and hear of what happens there. Raises Unavailable."""
        if view.viewer is not None:
            await self._selection.enter_async_context(self.room.hearing.of(view.account_id, self.hint))
            self.hint.set()  # what happened before it was heard of
        self.view = view

    async def leave(self) -> None:
        """Have no mailbox selected any more."""
        self.view = None
        await self._selection.aclose()
        self._selection = AsyncExitStack()

    async def check_rights(self, rows: Rows) -> None:
        """Of who has somebody else's mailbox selected: they are what they are now. Without the right to read
        it the connection ends, as nothing else tells a client that its mailbox is closed. Raises Over."""
        view = self.view
        if view is None or view.viewer is None:
            return
        view.rights = await rights_to(rows, self.person, view.account_id, view.mailbox_id)
        if not view.may(LOOKUP + READ):
            text = "The mailbox is not shared with you any more"
            self.send(responses.status(UNTAGGED, "BYE", text, "NOPERM"))
            self._write()
            raise Over("failed", text, is_told=True)

    @property
    def selected(self) -> View:
        assert self.view is not None, "the state was looked at"
        return self.view

    def writable(self) -> View:
        """The selected mailbox, to change. Raises CannotObey after EXAMINE."""
        if self.selected.is_read_only:
            raise CannotObey("", "The mailbox is open for reading only", "READ-ONLY")
        return self.selected

    # --- changing ---------------------------------------------------------------------------------------

    async def change(self, events: Sequence[Changed]) -> list[Change]:
        """Append changes of one account's mailboxes, wait for the rows, and give what came of each. Leaves
        when they do not follow.

        Raises Unavailable, Full.
        """
        if not events:
            return []
        account_id = events[0].account_id
        positions: list[Position] = []
        for start in range(0, len(events), EVENTS_A_GROUP):
            some = events[start : start + EVENTS_A_GROUP]
            positions += await self.room.changing.append(account_id, some)
            self.is_in_log = True
        await self.reach(positions[-1], account_id)
        self.begin_looking()
        async with self.room.pool.rows() as rows:
            await self.learn(rows)
            outcomes = await outcomes_of(rows, account_id, positions)
        pairs = zip(positions, outcomes, strict=True)
        return [Change(position, outcome) for position, outcome in pairs if outcome is not None]

    async def reach(self, position: Position, account_id: AccountId | None = None) -> None:
        """Wait until the rows are there; tells the client every ten seconds that it goes on.

        account_id: whose rows, if not this person's own; here and below.
        """
        if not await self.reaches(position, account_id):
            self.leave_untold()

    async def reaches(self, position: Position, account_id: AccountId | None = None) -> bool:
        """False when the rows did not get there in a minute. position: of what was appended, if anything."""
        self.is_in_log |= position > 0
        whose = account_id or self.account_id
        clock = self.room.clock
        began = told_at = clock.monotonic()
        while clock.monotonic() - began < ROWS_PATIENCE_S:
            try:
                if await self.room.changing.await_rows(whose, position, PROGRESS_EVERY_S, self.hint):
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
        self.begin_looking()
        async with self.room.pool.snapshot() as rows:
            await self.learn(rows)

    async def learn(self, rows: Rows) -> None:
        """What there is in the rows by now. Raises as `check_rights`."""
        await self.check_rights(rows)
        if self.view is not None:
            await self.view.refresh(rows)
        if self.watch is not None:
            await self.watch.refresh(rows, self.account_id)

    def begin_looking(self) -> None:
        """The rows are read after this: whatever comes behind sets the hint again."""
        self.hint.clear()
        self._looked_at = self.room.clock.monotonic()

    def tell_news(self, *, may_expunge: bool, may_flag: bool = True, tells_uid: bool = False) -> None:
        """Say what the client has not heard yet of its mailbox."""
        if self.view is not None:
            owed = self.view.selected.owed(may_expunge=may_expunge, may_flag=may_flag)
            self.send(told(owed, self.enabled, tells_uid=tells_uid))


async def _nobody_speaks() -> bytes:
    raise AssertionError("nobody listens to this client")
