"""An edge on a real socket of loopback, with log, lane, keys and content in memory, and its clients."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.adapters.content import KeptContents
from gateway.adapters.memory.content import MemoryObjects, MemoryPlaces, MemoryWriteAhead
from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.adapters.spool import DiskSpool
from gateway.domain.agency import Limits
from gateway.domain.events import Actor, By, EnvelopeSecret, MailAccepted
from gateway.domain.quota import Room
from gateway.domain.sealing import unseal
from gateway.ports import (
    START,
    Certificates,
    Fact,
    Lane,
    Position,
    ServerContext,
    Spool,
    Unavailable,
)
from gateway.processes.edge.acceptance import Acceptance
from gateway.processes.edge.listener import Edge, EdgeConfig, Listener
from gateway.processes.edge.outward import Outward
from gateway.processes.edge.rates import RateLimits, Rates
from gateway.processes.edge.recipients import Recipients
from gateway.processes.edge.refusals import Refusals
from gateway.processes.edge.services import EdgeServices
from gateway.processes.intake import Intake
from gateway.processes.listening.certificates import ShownCertificates
from gateway.processes.listening.sessions import Sessions
from gateway.processes.listening.sockets import hold
from gateway.processes.presenting import Opened, open_message
from gateway.processes.return_paths import ReturnPaths
from gateway.processes.signin.banning import Banning
from gateway.processes.signin.bans import BanRule, Bans
from gateway.processes.signin.signin import SignIns
from gateway.protocols.sasl.mechanisms import EVERY
from gateway.protocols.smtp.config import SessionConfig
from gateway.settings import split_networks
from gateway.wiring.edge import HOLD_S_MAX
from tests.processes.doors import (
    AGENCIES,
    HOSTNAME,
    MAILBOXES,
    FixedCertificates,
    KeptInMemory,
    Line,
    PeopleInMemory,
    until,
)
from tests.processes.kept_bans import KeptBans
from tests.processes.world import MovedClock

BY = By("edge", "0", "")
# Since when each mailbox has its owner.
OWNER_SINCE = datetime(2020, 3, 1, 9, tzinfo=UTC)
FIRST_HAND = "somchai@opm.go.th"  # nobody is on record who had it before
MESSAGE = b"From: ann@example.org\r\nSubject: hello\r\n\r\n.dotted\r\nHello.\r\n"


class DirectoryRows:
    """The directory's rows as its query reads them."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.asked = 0
        self.rooms: dict[str, Room] = {}
        self.limits: dict[str, Limits] = {}  # by agency
        self.rules: dict[str, dict[str, Any]] = {}  # by account: to whom it forwards
        self.servers: dict[str, str] = {}  # by agency: the host of its own mail server

    @asynccontextmanager
    async def rows(self) -> AsyncIterator["DirectoryRows"]:
        if self.fault is not None:
            raise self.fault
        yield self

    async def fetch(
        self, query: str, addresses: Sequence[str] | None = None, domains: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        if addresses is None:
            return [
                {"agency_id": agency_id, "relay_host": host, "relay_port": 25, "route": None}
                for agency_id, host in self.servers.items()
            ]
        if domains is None:  # rules of accounts, by their ids
            return [self.rules[account_id] for account_id in addresses if account_id in self.rules]
        self.asked += 1
        await asyncio.sleep(0)
        return [self._row(*pair) for pair in zip(addresses, domains, strict=True)]

    async def fetchval(self, query: str, domain: str) -> str | None:
        return AGENCIES.get(domain)

    async def fetchrow(self, query: str, agency_id: str) -> tuple[Any, ...] | None:
        limits = self.limits.get(agency_id)
        return limits and msgspec.structs.astuple(limits)

    def _row(self, address: str, domain: str) -> dict[str, Any]:
        is_relayed, is_here = domain == "dld.go.th", address in MAILBOXES
        room = self.rooms.get(address)
        return {
            "quota_octets": room and room.quota_octets,
            "octets": room and room.octets,
            "full_since": room and room.full_since,
            "kind": "office" if room and room.is_office else "person",
            "agency_id": AGENCIES.get(domain),
            "plus_addressing": True,
            "catch_all_id": None,
            "was_held": False,
            "relay_host": "192.0.2.25" if is_relayed else None,
            "relay_port": 25 if is_relayed else None,
            "account_id": f"acc_{address}" if is_here else None,
            "mailbox_id": f"mbx_{address}" if is_here else None,
            "owner_since": OWNER_SINCE if is_here else None,
            "is_first": address == FIRST_HAND if is_here else None,
        }


class WatchedSpool(DiskSpool):
    is_closed = False

    def close(self) -> None:
        super().close()
        self.is_closed = True


class GatedLane:
    """A lane whose appends wait at a gate, for what happens meanwhile. It is open until a test shuts it."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.open, self.reached = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.error: Exception | None = None  # what append raises: our own mistake

    async def append(self, facts: Sequence[Fact]) -> Position:
        self.reached.set()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return await self._lane.append(facts)


class LookedAt(MovedClock):
    """A clock whose waits end when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self._waits, self._over = 0, asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self._waits += 1
        self.move(seconds)
        await self._over.wait()
        self._over.clear()

    async def look(self) -> None:
        """One wait is over, and what is done behind it is done."""
        await until(lambda: self._waits > 0)
        before = self._waits
        self._over.set()
        await until(lambda: self._waits > before)


@dataclass
class EdgeWorld(KeptInMemory):
    """One edge, what stands behind it, and what it has kept."""

    folder: Path
    tls: ServerContext | None = None
    certificates: Certificates | None = None  # shown instead of tls, and looked at by `look`
    message_octets_max: int = 1_000_000
    connections_max: int = 50
    idle_timeout_s: float = 300.0
    records_sessions: bool = False
    rates: RateLimits = RateLimits()  # noqa: RUF009  a frozen dataclass
    session_max_s: float = 0.0
    proxy_networks: str = ""
    sends_out: bool = False  # also what agencies' own servers bring
    people_send_out: bool = True
    new_spool: type[WatchedSpool] = WatchedSpool
    spools: list[WatchedSpool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock, self.log, self.rows = MovedClock(), MemoryLog(), DirectoryRows()
        self.looking = LookedAt()
        if self.tls is not None:
            self.certificates = FixedCertificates(self.tls)
        self.keys, self.people = MemoryKeyStore(os.urandom), PeopleInMemory()
        self.kept_bans = KeptBans()
        self.write_ahead, self.objects = MemoryWriteAhead(), MemoryObjects(self.clock)
        self.content = KeptContents(
            write_ahead=self.write_ahead,
            objects=self.objects,
            places=MemoryPlaces(self.log),
            keys=self.keys,
            log=self.log,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["EdgeWorld"]:
        """The edge serves, and is stopped in order at the end."""
        async with self.serving() as serving:
            yield self
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        assert not self.edge.listening._guests, "every connection ends with the edge"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["asyncio.Task[None]"]:
        """The edge's own task, for tests of its end."""
        async with self.lane() as lane:
            self.gate = GatedLane(lane)
            with hold("127.0.0.1:0") as held, hold("127.0.0.1:0") as second, hold("127.0.0.1:0") as third:
                self.port: int = held.getsockname()[1]
                self.submission_port: int = second.getsockname()[1]
                self.submissions_port: int = third.getsockname()[1]
                self.edge = Edge(self._config(), self._services())
                ready = asyncio.Event()
                serving = asyncio.create_task(self.edge.run(ready.set))
                await ready.wait()
                try:
                    yield serving
                finally:
                    serving.cancel()
                    await asyncio.wait([serving])
                    await until(lambda: not self.edge.listening._guests)

    def lane(self) -> contextlib.AbstractAsyncContextManager[Lane]:
        """Opening it again deposes the edge."""
        return open_lane(self.log, "edge-test-0", clock=self.clock, actor=Actor("system", "edge"), by=BY)

    def _config(self) -> EdgeConfig:
        session = SessionConfig(
            HOSTNAME,
            message_octets_max=self.message_octets_max,
            offers_starttls=self.certificates is not None,
        )
        people = replace(
            session,
            mechanisms=EVERY,
            needs_sign_in=True,
            hold_s_max=HOLD_S_MAX,
        )
        listeners = [
            Listener("smtp", f"127.0.0.1:{self.port}", session),
            Listener("submission", f"127.0.0.1:{self.submission_port}", people),
        ]
        if self.certificates is not None:
            immediate = replace(people, is_tls=True)
            listeners.append(Listener("submissions", f"127.0.0.1:{self.submissions_port}", immediate))
        return EdgeConfig(listeners, self.connections_max, split_networks(self.proxy_networks))

    def _services(self) -> EdgeServices:
        banning = Banning(self.keys, self.gate, os.urandom)
        self.bans = Bans(self.kept_bans, banning, self.clock, BY, BanRule())
        acceptance = Acceptance(
            hostname=HOSTNAME,
            by=BY,
            lane=self.gate,
            intake=Intake(self.content, self.keys, os.urandom),
            clock=self.clock,
            entropy=os.urandom,
        )
        return EdgeServices(
            acceptance=acceptance,
            recipients=Recipients(
                self.rows,  # type: ignore[arg-type]
                self.clock,
                return_paths=ReturnPaths(log=self.log, keys=self.keys, clock=self.clock),
            ),
            refusals=Refusals(keys=self.keys, lane=self.gate, clock=self.clock, entropy=os.urandom, by=BY),
            clock=self.clock,
            new_spool=self._spool,
            idle_timeout_s=self.idle_timeout_s,
            tls=self.certificates and ShownCertificates(self.certificates, self.looking),
            rates=Rates(self.rates),
            session_max_s=self.session_max_s,
            sessions=Sessions(lane=self.gate, keys=self.keys, clock=self.clock, entropy=os.urandom, by=BY)
            if self.records_sessions
            else None,
            sign_ins=SignIns(
                people=self.people,
                tokens=self.people,
                keys=self.keys,
                lane=self.gate,
                clock=self.clock,
                entropy=os.urandom,
                by=BY,
                bans=self.bans,
            ),
            bans=self.bans,
            people_send_out=self.people_send_out,
            outward=Outward(self.rows, self.clock) if self.sends_out else None,  # type: ignore[arg-type]
        )

    def _spool(self) -> Spool:
        spool = self.new_spool(self.folder)
        self.spools.append(spool)
        return spool

    @property
    def has_forgotten_spools(self) -> bool:
        return all(spool.is_closed for spool in self.spools)

    # --- what it has kept ---------------------------------------------------------------------------

    async def accepted(self) -> list[MailAccepted]:
        return await self.events(MailAccepted)

    async def until_accepted(self) -> None:
        """Wait for the first mail.accepted."""
        async for batch in self.log.follow(START):
            if any(event.topic == MailAccepted.TOPIC for event in batch):
                return

    async def open(self, event: MailAccepted) -> Opened:
        return await open_message(self.keys, event.mail_id, event.message, event.keys)

    async def presented(self, event: MailAccepted) -> bytes:
        """The message as a reader gets it, out of the stores."""
        opened = await self.open(event)
        return b"".join([piece async for piece in opened.octets(self.content)])

    async def envelope(self, event: MailAccepted) -> EnvelopeSecret:
        data_key = (await self.open(event)).data_key
        return unseal(EnvelopeSecret, event.sealed, data_key, label=f"envelope:{event.mail_id}")

    async def client(self) -> "Client":
        """A client that has been greeted."""
        client = await self.connect()
        assert (await client.reply()).startswith(b"220 ")
        return client

    async def connect(self, port: int = 0) -> "Client":
        return Client(*await asyncio.open_connection("127.0.0.1", port or self.port))

    async def send(self, message: bytes = MESSAGE, rcpt_to: str = "suda@opm.go.th") -> bytes:
        """A whole session with one mail; the reply to its final dot."""
        async with await self.client() as client:
            await client.envelope(rcpt_to)
            return await client.message(message)


class Client(Line):
    """An SMTP client."""

    def vanish(self) -> None:
        """Without a goodbye: the host behind us is gone."""
        self.writer.transport.abort()

    async def say(self, octets: bytes) -> bytes:
        """Send, and give the reply to it."""
        self.writer.write(octets)
        return await self.reply()

    async def reply(self) -> bytes:
        """One reply with all its lines; b"" when the connection was closed."""
        lines = b""
        while line := await self.reader.readline():
            lines += line
            if line[3:4] == b" ":
                break
        return lines

    async def flood(self, is_enough: Callable[[], bool]) -> None:
        """Send commands and read no reply."""
        transport = self.writer.transport
        transport.pause_reading()  # type: ignore[attr-defined]
        while not is_enough():
            if transport.get_write_buffer_size() < 1_000_000:
                self.writer.write(b"NOOP\r\n" * 10_000)
            await asyncio.sleep(0)

    async def envelope(self, *rcpt_to: str, mail: str = "MAIL FROM:<ann@example.org>") -> None:
        """EHLO, MAIL and RCPTs that are said yes to, and DATA."""
        assert (await self.say(b"EHLO client.example\r\n")).startswith(b"250")
        await self.transaction(*rcpt_to, mail=mail)

    async def transaction(self, *rcpt_to: str, mail: str = "MAIL FROM:<ann@example.org>") -> None:
        """MAIL and RCPTs that are said yes to, and DATA."""
        await self.recipients(*rcpt_to, mail=mail)
        assert (await self.say(b"DATA\r\n")).startswith(b"354 ")

    async def recipients(self, *rcpt_to: str, mail: str = "MAIL FROM:<ann@example.org>") -> None:
        assert (await self.say(f"{mail}\r\n".encode())).startswith(b"250 2.1.0 ")
        for address in rcpt_to:
            assert (await self.say(f"RCPT TO:<{address}>\r\n".encode())).startswith(b"250 2.1.5 ")

    async def message(self, message: bytes) -> bytes:
        """The message and its final dot; the reply."""
        return await self.say(stuffed(message))


def stuffed(message: bytes) -> bytes:
    """A message of whole lines as it goes over the wire (RFC 5321 §4.5.2)."""
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def away() -> Unavailable:
    return Unavailable("postgres", "it is away")
