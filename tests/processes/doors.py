"""What the tests of all processes with doors share: people in memory who sign in, and clients' lines."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self, TypeVar

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog
from gateway.domain.agency import IdentityProvider
from gateway.domain.events import Event
from gateway.mail.address import Address
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Position, ServerContext, TokenHolder
from gateway.processes.signin.passwords import make_verifier
from projections.directory.query import AppPasswordRow, EffectiveStatus, Person

E = TypeVar("E", bound=Event)
HOSTNAME = "mail.saraban.example"  # in the certificate (conftest.py)
SUDA, PASSWORD = "suda@opm.go.th", "correct horse battery"
# Who has mail here: domain → agency; opm.go.th has mailboxes, dld.go.th a server of its own.
AGENCIES = {"opm.go.th": "ag_opm", "opdc.go.th": "ag_opdc", "dld.go.th": "ag_dld"}
MAILBOXES = (SUDA, "somchai@opm.go.th", "malee@opdc.go.th", "สมหญิง@opm.go.th")
PROVIDER = IdentityProvider("https://id.example.org", "saraban")


class PeopleInMemory:
    """The port People: everybody with a mailbox, each with one address."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.status: EffectiveStatus = "active"
        self.apps: list[AppPasswordRow] = []  # of everybody

    async def find(self, address: Address) -> Person | None:
        if self.fault is not None:
            raise self.fault
        if str(address) not in MAILBOXES:
            return None
        agency_id = AgencyId(AGENCIES[address.domain])
        return Person(AccountId(f"acc_{address}"), agency_id, address, frozenset({address}), self.status)

    async def app_passwords(self, account_id: AccountId) -> list[AppPasswordRow]:
        return self.apps

    async def provider(self, agency_id: AgencyId) -> IdentityProvider | None:
        return PROVIDER if agency_id == "ag_opm" else None

    async def holder(self, provider: IdentityProvider, secret: str, token: str) -> TokenHolder | None:
        """The port Tokens: a token is the name of its holder."""
        return TokenHolder(token, datetime.max.replace(tzinfo=UTC)) if "@" in token else None


class FixedCertificates:
    """Implements the Certificates port: they never change."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def stamp(self) -> object:
        return None

    def load(self) -> ServerContext:
        return self._context


class KeptInMemory:
    """What stands behind a process: passwords of people, and the log as it has become."""

    keys: MemoryKeyStore
    log: MemoryLog

    async def give_password(self, address: str, password: str) -> None:
        await self.keys.put(f"verifier.acc_{address}", await asyncio.to_thread(make_verifier, password))

    async def events(self, *kinds: type[E]) -> list[E]:
        """Those of these kinds in the log, in order."""
        events = [(await self.log.read(Position(at))).event for at in range(1, await self.log.last() + 1)]
        return [event for event in events if isinstance(event, kinds)]

    async def until_there(self, kind: type[E], number: int = 1) -> list[E]:
        """So many of a kind, when they have become facts."""
        while len(found := await self.events(kind)) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        return found


class Line:
    """A client's line, on which it says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def line(self) -> bytes:
        """b"" when the connection was closed."""
        return await self.reader.readline()

    async def rest(self) -> bytes:
        """Everything until the connection is closed."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks and the kernel do."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.002)
