"""Accounts, opened by any number of IMAP sessions, on real rows and a log in memory."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from gateway.adapters.aggregates import LoggedAggregates
from gateway.adapters.memory.hearing import MemoryHints
from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.adapters.spool import DiskSpool
from gateway.adapters.system import SystemClock
from gateway.domain.account import Account, account_key_name
from gateway.domain.events import Actor, Event, Stamp
from gateway.domain.mailboxtree import MailboxTree
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId, AgencyId, MailboxId
from gateway.ports import Spool
from gateway.processes.appending import Appending
from gateway.processes.changing import Changing
from gateway.processes.folders import Folders
from gateway.processes.imap.executing import execute
from gateway.processes.imap.mailroom import Mailroom
from gateway.processes.imap.session import Session
from gateway.processes.projector.following import run
from gateway.processes.reading import Reader, Reading
from gateway.processes.transfers import Transfers
from gateway.protocols.imap.errors import ImapError
from gateway.protocols.imap.framer import (
    Continue,
    Framer,
    Lines,
    LiteralBegins,
    LiteralEnds,
    LiteralOctets,
    Refused,
)
from gateway.protocols.imap.parsing import parse_command
from projections import texts
from projections.checkpoint import Projection, create
from projections.directory.project import DirectoryModel
from projections.directory.query import Person
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.readmodel import Pool, schema_of
from tests.imap_client import Answer, Response, _split_code, parse_response
from tests.processes.world import BY, Contents

SUDA = AccountId("acc_01kamz1x2y3z4a5b6c7d8e9f0g")
MALEE = AccountId("acc_01kamz1x2y3z4a5b6c7d8e9f0h")
SOMCHAI = AccountId("acc_01kamz1x2y3z4a5b6c7d8e9f0k")  # of another agency
OPM = AgencyId("ag_01kamz1x2y3z4a5b6c7d8e9f0g")
DLD = AgencyId("ag_01kamz1x2y3z4a5b6c7d8e9f0h")
BASE = 1_700_000_000
QUOTA_OCTETS = 2_000_000


class Paper:
    """What a session says, instead of a Wire."""

    def __init__(self) -> None:
        self.said = b""
        self._news = asyncio.Event()

    def write(self, octets: bytes) -> None:
        self.said += octets
        self._news.set()

    async def hears(self, octets: bytes) -> None:
        """Wait until that was said."""
        while octets not in self.said:
            self._news.clear()
            await self._news.wait()

    def news(self) -> Coroutine[None, None, bool]:
        """Wait for what is said from now on."""
        self._news.clear()
        return self._news.wait()

    async def flush(self) -> None:
        await asyncio.sleep(0)

    def responses(self) -> list[bytes]:
        """What was said since the last time, one response each with its literals."""
        said, self.said = self.said, b""
        return list(split_responses(said))


def split_responses(said: bytes) -> Iterator[bytes]:
    """Those that are whole, with their literals."""
    start = at = 0
    while (end := said.find(b"\r\n", at) + 2) > 1:
        line = said[at:end]
        if line.endswith(b"}\r\n") and line[line.rfind(b"{") + 1 : -3].isdigit():
            at = end + int(line[line.rfind(b"{") + 1 : -3])
        else:
            yield said[start:end]
            start = at = end


class Visit:
    """One session, commanded in its own octets."""

    def __init__(self, session: Session, paper: Paper, folder: Path) -> None:
        self.session, self.paper, self._folder = session, paper, folder
        self._framer = Framer(64 * 1024, 64 * 1024 * 1024)
        self._tags = 0

    async def command(self, text: str | bytes, *literals: bytes) -> Answer:
        """`{}` in the text stands for a literal each."""
        self._tags += 1
        tag = f"T{self._tags}"
        parts = (text.encode() if isinstance(text, str) else text).split(b"{}")
        octets = f"{tag} ".encode() + parts[0]
        for literal, part in zip(literals, parts[1:], strict=True):
            octets += b"{%d+}\r\n" % len(literal) + literal + part
        await self.feed(octets + b"\r\n")
        return self._answer(tag)

    async def feed(self, octets: bytes) -> None:
        """Obey whole commands."""
        spools: list[Spool] = []
        for got in self._framer.feed(octets):
            match got:
                case LiteralBegins():
                    spools.append(DiskSpool(self._folder))
                case LiteralOctets(octets=octets):
                    spools[-1].write(octets)
                case Lines():
                    await self._obey(got, spools)
                case Refused(response=response):
                    self.paper.write(response)
                case Continue() | LiteralEnds():
                    pass
        for spool in spools:
            spool.close()

    async def ok(self, text: str | bytes, *literals: bytes) -> Answer:
        answer = await self.command(text, *literals)
        assert answer.status == "OK", (text, answer)
        return answer

    async def _obey(self, lines: Lines, spools: Sequence[Spool]) -> None:
        self.session.spools = spools
        try:
            tagged = parse_command(lines, is_utf8=self.session.is_utf8)
        except ImapError as error:
            self.paper.write(error.response)
            return
        await execute(self.session, tagged)

    def _answer(self, tag: str) -> Answer:
        *untagged, last = self.paper.responses()
        said, _, rest = last.rstrip(b"\r\n").partition(b" ")
        assert said == tag.encode(), last
        status, _, text = rest.partition(b" ")
        code, text = _split_code(text)
        return Answer(status.decode(), code, text.decode(), [parse_response(one) for one in untagged])

    async def told(self) -> list[Response]:
        """What it hears without having asked."""
        return [parse_response(one) for one in self.paper.responses()]


def _person(account_id: AccountId, agency_id: AgencyId, address: str) -> Person:
    return Person(account_id, agency_id, parse_address(address), frozenset({parse_address(address)}))


class Home:
    """Everything behind the sessions. Use `home()`."""

    def __init__(self, pool: Pool, folder: Path, stack: AsyncExitStack) -> None:
        self.pool, self.folder, self._stack = pool, folder, stack
        self.log, self.keys, self.clock = MemoryLog(), MemoryKeyStore(os.urandom), SystemClock()
        self.hints, self.contents = MemoryHints(), Contents()
        self.person = _person(SUDA, OPM, "suda@opm.go.th")
        self.malee = _person(MALEE, OPM, "malee@opm.go.th")
        self.somchai = _person(SOMCHAI, DLD, "somchai@dld.go.th")

    async def furnish(self) -> None:
        aggregates = LoggedAggregates(self.log)
        actor = Actor("system", "test")
        stamp = Stamp(self.clock.now(), actor, BY)
        for number, account_id in enumerate((SUDA, MALEE, SOMCHAI)):
            await self.keys.get_or_make(account_key_name(account_id))
            account = Account.create(
                account_id, stamp, agency_id=OPM, kind="person", quota_octets=QUOTA_OCTETS, sealed=b""
            )
            inbox_id = MailboxId(f"mbx_inbox{number or ''}")
            tree = MailboxTree.create(account_id, stamp, base=BASE, inbox_id=inbox_id)
            await aggregates.save(account, tree)
        lane = await self._stack.enter_async_context(
            open_lane(self.log, "imap-test-0", clock=self.clock, actor=actor, by=BY)
        )
        model = MailboxModel(Keyring(self.keys))
        await create(self.pool, [model])
        await texts.create(self.pool)
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        task = group.create_task(run(self.log, [Projection(model, self.pool)], self.hints, self.clock))
        self._stack.callback(task.cancel)
        await self._direct()
        changing = Changing(log=self.log, lane=lane, pool=self.pool, clock=self.clock)
        self.transfers = Transfers(
            log=self.log,
            pool=self.pool,
            keys=self.keys,
            changing=changing,
            clock=self.clock,
            entropy=os.urandom,
            by=BY,
        )
        self.room = Mailroom(
            pool=self.pool,
            content=self.contents,
            folders=Folders(
                aggregates=aggregates, keys=self.keys, clock=self.clock, entropy=os.urandom, by=BY
            ),
            changing=changing,
            appending=Appending(self.contents, self.keys, os.urandom),
            keys=self.keys,
            reading=Reading(self.keys, os.urandom),
            transfers=self.transfers,
            hearing=self.hints,
            clock=self.clock,
            by=BY,
            language="en",
            new_spool=partial(DiskSpool, self.folder),
            message_octets_max=1_000_000,
        )

    async def _direct(self) -> None:
        """Who they are, as the directory's rows say."""
        model = DirectoryModel(Keyring(self.keys))
        await create(self.pool, [model])
        at = self.clock.now()
        async with self.pool.rows() as rows:
            await rows.execute(f"SET search_path = {model.schema}")
            for agency_id in (OPM, DLD):
                await rows.execute("INSERT INTO agency VALUES ($1, $1, NULL, NULL, $2)", agency_id, at)
            for person in (self.person, self.malee, self.somchai):
                account_id, address = person.account_id, str(person.address)
                await rows.execute(
                    "INSERT INTO account VALUES ($1, $2, 'person', $3, $4, '', $5)",
                    *(account_id, person.agency_id, QUOTA_OCTETS, address, at),
                )
                await rows.execute(
                    "INSERT INTO address VALUES ($1, $1, $1, $2, $3, false, $4, true)",
                    *(address, account_id, person.agency_id, at),
                )
            await rows.execute("RESET search_path")

    async def suspend(self, person: Person) -> None:
        async with self.pool.rows() as rows:
            await rows.execute(
                f"UPDATE {schema_of(DirectoryModel)}.account SET status = 'suspended' WHERE account_id = $1",
                person.account_id,
            )

    async def visit(self, person: Person | None = None) -> Visit:
        """One more session. person: None: Suda."""
        paper, person = Paper(), person or self.person
        session = await self._stack.enter_async_context(
            Session.opened(self.room, person, cast(Any, paper), Reader("fetch", "test", "192.0.2.7"))
        )
        return Visit(session, paper, self.folder)

    def events(self, kind: type[Event]) -> list[Any]:
        return [one.event for one in self.log._events if isinstance(one.event, kind)]


@asynccontextmanager
async def home(pool: Pool, folder: Path) -> AsyncIterator[Home]:
    async with AsyncExitStack() as stack:
        here = Home(pool, folder, stack)
        await here.furnish()
        yield here
