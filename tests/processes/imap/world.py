"""IMAP on real sockets of loopback, with log, keys and people in memory, and its clients."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.adapters.spool import DiskSpool
from gateway.domain.events import Actor, By
from gateway.domain.sessions import SessionEnded
from gateway.ports import ServerContext
from gateway.processes.imap.incoming import Incoming
from gateway.processes.imap.listener import imap
from gateway.processes.imap.services import ImapServices, Session, SignedIn
from gateway.processes.listening.accounts import AccountSessions
from gateway.processes.listening.certificates import ShownCertificates
from gateway.processes.listening.listener import House
from gateway.processes.listening.networks import NetworkConnections
from gateway.processes.listening.receiving import Listener
from gateway.processes.listening.sessions import Sessions
from gateway.processes.listening.sockets import hold
from gateway.processes.listening.visits import Reception, Visit
from gateway.processes.signin.banning import Banning
from gateway.processes.signin.bans import BanRule, Bans
from gateway.processes.signin.signin import SignIns
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import Noop, Tagged
from gateway.protocols.imap.errors import BadCommand
from gateway.protocols.imap.framer import Lines
from tests.processes.doors import HOSTNAME, FixedCertificates, KeptInMemory, Line, PeopleInMemory
from tests.processes.kept_bans import KeptBans
from tests.processes.world import MovedClock

BY = By("imap", "0.1.0", "f00d")


class Lobby:
    """A session that opens no mailbox."""

    is_utf8 = False
    is_watching = False

    async def tell_until(self, reading: "asyncio.Task[Lines]") -> None:
        raise AssertionError("nobody asked to be told")

    def client_is(self, name: str) -> None:
        """Nobody is told."""

    async def obey(self, tagged: Tagged) -> None:
        if not isinstance(tagged.command, Noop):
            raise BadCommand(tagged.tag, "There is no such command here")
        self._visit.write(responses.status(tagged.tag, "OK", "Nothing has happened"))

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    @classmethod
    @asynccontextmanager
    async def begun(cls, signed_in: SignedIn, visit: Visit, incoming: Incoming) -> AsyncIterator[Session]:
        yield cls(visit)


@dataclass
class ImapWorld(KeptInMemory):
    """One IMAP process, what stands behind it, and what it has kept."""

    folder: Path
    tls: ServerContext
    connections_max: int = 50
    network_connections_max: int = 0
    account_sessions_max: int = 0
    idle_timeout_s: float = 1800.0

    def __post_init__(self) -> None:
        self.clock, self.log = MovedClock(), MemoryLog()
        self.keys, self.people = MemoryKeyStore(os.urandom), PeopleInMemory()
        self.kept_bans = KeptBans()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ImapWorld"]:
        """It serves, and is stopped in order at the end."""
        async with self.serving() as serving:
            yield self
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        assert not self.imap.listening._guests, "every connection ends with its process"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["asyncio.Task[None]"]:
        actor = Actor("system", "imap")
        async with open_lane(self.log, "imap-test-0", clock=self.clock, actor=actor, by=BY) as lane:
            banning = Banning(self.keys, lane, os.urandom)
            self.bans = Bans(self.kept_bans, banning, self.clock, BY, BanRule())
            sessions = Sessions(lane=lane, keys=self.keys, clock=self.clock, entropy=os.urandom, by=BY)
            tls = ShownCertificates(FixedCertificates(self.tls), self.clock)
            services = ImapServices(
                hostname=HOSTNAME,
                clock=self.clock,
                sign_ins=SignIns(
                    people=self.people,
                    tokens=self.people,
                    keys=self.keys,
                    lane=lane,
                    clock=self.clock,
                    entropy=os.urandom,
                    by=BY,
                    bans=self.bans,
                ),
                accounts=AccountSessions(self.account_sessions_max),
                new_spool=lambda: DiskSpool(self.folder),
                idle_timeout_s=self.idle_timeout_s,
                message_octets_max=1_000_000,
                begin=Lobby.begun,
            )
            networks = NetworkConnections(self.network_connections_max)
            with hold("127.0.0.1:0") as clear, hold("127.0.0.1:0") as secure:
                self.port: int = clear.getsockname()[1]
                self.tls_port: int = secure.getsockname()[1]
                listeners = [
                    Listener("imap", f"127.0.0.1:{self.port}"),
                    Listener("imaps", f"127.0.0.1:{self.tls_port}", is_tls=True),
                ]
                house = House(self.clock, self.connections_max, tls=tls, sessions=sessions)
                reception = Reception(self.clock, networks, tls, sessions, self.bans)
                self.imap = imap(listeners, house, reception, services)
                ready = asyncio.Event()
                serving = asyncio.create_task(self.imap.run(ready.set))
                await ready.wait()
                try:
                    yield serving
                finally:
                    serving.cancel()
                    await asyncio.wait([serving])

    async def ended(self, number: int = 1) -> list[SessionEnded]:
        """So many sessions, when they have become facts."""
        return await self.until_there(SessionEnded, number)

    # --- clients --------------------------------------------------------------------------------------

    async def connect(self, trust: ssl.SSLContext | None = None) -> "Client":
        """trust: TLS from the first octet."""
        if trust is None:
            return Client(*await asyncio.open_connection("127.0.0.1", self.port))
        streams = await asyncio.open_connection(
            "127.0.0.1", self.tls_port, ssl=trust, server_hostname=HOSTNAME
        )
        return Client(*streams)

    async def client(self, trust: ssl.SSLContext | None = None) -> "Client":
        """One that has been greeted."""
        client = await self.connect(trust)
        assert (await client.line()).startswith(b"* OK [CAPABILITY ")
        return client


class Client(Line):
    """An IMAP client."""

    async def say(self, command: bytes) -> list[bytes]:
        """Send a command; everything up to its tagged response or a continuation."""
        self.writer.write(command + b"\r\n")
        return await self.until(command.split(b" ")[0])

    async def until(self, tag: bytes) -> list[bytes]:
        lines = []
        while line := await self.line():
            lines.append(line)
            if line.startswith((tag + b" ", b"+")):
                break
        return lines

    async def start_tls(self, trust: ssl.SSLContext) -> None:
        (said,) = await self.say(b"t0 STARTTLS")
        assert said.startswith(b"t0 OK")
        await self.writer.start_tls(trust, server_hostname=HOSTNAME)
