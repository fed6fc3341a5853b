"""Many next hops, a third of which fail at random for random times, and remember what they said to whom.

Not gateway code. Each listens on an address of 127.0.0.0/8 of its own, all on one port: one that is closed
refuses, and nobody else can take its place meanwhile. What is told of a mail is told by its recipients, so
each of them is named in one mail only.
"""

import asyncio
import random
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

MESSAGE_ID: Final = re.compile(rb"^message-id:[ \t\r\n]*(<[^>]+>)", re.IGNORECASE | re.MULTILINE)
PATH: Final = re.compile(rb"<([^>]*)>")
LINE_OCTETS_MAX: Final = 1024 * 1024


class Failing(Enum):
    """How a host fails for a while."""

    REFUSES = "refuses connections"
    IS_BUSY = "greets with 421"
    DEFERS = "451 to RCPT"
    DROPS = "hangs up on the final dot"
    DEFERS_LATE = "451 to the final dot"
    REJECTS = "550 to RCPT"


@dataclass(frozen=True, slots=True)
class Taking:
    """A mail that was answered 250. at: time.monotonic() of that."""

    message_id: str
    recipients: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Moods:
    """How long a fickle host is well, and how long it then fails: seconds, from and to."""

    well_s: tuple[float, float]
    failing_s: tuple[float, float]


@dataclass
class Host:
    """One destination."""

    domain: str
    address: str
    port: int
    failing: Failing | None = None
    taken: list[Taking] = field(default_factory=list)
    rejected: set[str] = field(default_factory=set)  # recipients that got 550
    dropped: int = 0  # mails that came whole and got no answer
    _server: asyncio.Server | None = None
    _sessions: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, self.address, self.port, limit=LINE_OCTETS_MAX, reuse_address=True
        )

    def close(self) -> None:
        """Refuse connections; those that are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def end(self) -> None:
        """Hang up on everybody too."""
        self.close()
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    async def be_fickle(self, chance: random.Random, moods: Moods, told: dict[Failing, int]) -> None:
        """Fail now and then, until cancelled. told: counts how often which way."""
        while True:
            await asyncio.sleep(chance.uniform(*moods.well_s))
            self.failing = chance.choice(list(Failing))
            told[self.failing] = told.get(self.failing, 0) + 1
            if self.failing is Failing.REFUSES:
                self.close()
            await asyncio.sleep(chance.uniform(*moods.failing_s))
            await self.be_well()

    async def be_well(self) -> None:
        self.failing = None
        if self._server is None:
            await self.open()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = asyncio.current_task()
        assert session is not None
        self._sessions.add(session)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._converse(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self._sessions.discard(session)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.failing is Failing.IS_BUSY:
            writer.write(b"421 4.3.2 come later\r\n")
            return
        writer.write(b"220 fickle.example\r\n")
        recipients = list[str]()
        while line := await reader.readuntil(b"\r\n"):
            match line[:4].upper():
                case b"EHLO":
                    writer.write(b"250-fickle.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                case b"RCPT":
                    writer.write(self._at_rcpt(_path(line), recipients))
                case b"DATA" if not recipients:
                    writer.write(b"554 5.5.1 no valid recipients\r\n")
                case b"DATA":
                    writer.write(b"354 go on\r\n")
                    message = await reader.readuntil(b"\r\n.\r\n")
                    if self.failing is Failing.DROPS:
                        self.dropped += 1
                        return
                    writer.write(self._at_dot(message, tuple(recipients)))
                case b"QUIT":
                    writer.write(b"221 2.0.0 bye\r\n")
                    return
                case b"MAIL" | b"RSET":
                    recipients = []
                    writer.write(b"250 2.0.0 ok\r\n")
                case _:
                    writer.write(b"502 5.5.1 what?\r\n")

    def _at_rcpt(self, address: str, recipients: list[str]) -> bytes:
        match self.failing:
            case Failing.DEFERS:
                return b"451 4.3.0 not now\r\n"
            case Failing.REJECTS:
                self.rejected.add(address)
                return b"550 5.1.1 nobody here\r\n"
            case _:
                recipients.append(address)
                return b"250 2.1.5 ok\r\n"

    def _at_dot(self, message: bytes, recipients: tuple[str, ...]) -> bytes:
        if self.failing is Failing.DEFERS_LATE:
            return b"451 4.3.0 not now\r\n"
        found = MESSAGE_ID.search(message)
        assert found is not None, message[:400]
        self.taken.append(Taking(found.group(1).decode(), recipients, time.monotonic()))
        return b"250 2.0.0 taken\r\n"


def _path(line: bytes) -> str:
    found = PATH.search(line)
    assert found is not None, line
    return found.group(1).decode()


@dataclass
class Hosts:
    """All of them. failures: how often one has begun to fail which way."""

    all: Sequence[Host]
    failures: dict[Failing, int] = field(default_factory=dict)
    _moods: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def taken(self) -> int:
        """Mails that were answered 250 so far."""
        return sum(len(host.taken) for host in self.all)

    def takings(self) -> Iterator[Taking]:
        for host in self.all:
            yield from host.taken

    async def be_well(self) -> None:
        """No host fails from now on."""
        for mood in self._moods:
            mood.cancel()
        await asyncio.gather(*self._moods, return_exceptions=True)
        for host in self.all:
            await host.be_well()


@asynccontextmanager
async def running_hosts(number: int, moods: Moods, chance: random.Random) -> AsyncIterator[Hosts]:
    """So many hosts, every third of them fickle."""
    port = _free_port()
    found = [Host(f"d{k}.example", f"127.100.{k // 250}.{k % 250 + 1}", port) for k in range(number)]
    hosts = Hosts(found)
    try:
        for host in found:
            await host.open()
        for host in found[::3]:
            fickle = host.be_fickle(random.Random(chance.random()), moods, hosts.failures)
            hosts._moods.append(asyncio.create_task(fickle, name=host.domain))
        yield hosts
    finally:
        await hosts.be_well()
        for host in found:
            await host.end()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
