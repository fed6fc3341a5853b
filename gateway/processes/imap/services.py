"""What all connections of an IMAP process share."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.ports import Clock, Spool
from gateway.processes.imap.incoming import Incoming
from gateway.processes.listening.accounts import AccountSessions
from gateway.processes.listening.visits import Visit
from gateway.processes.signin.signin import SignIns
from gateway.protocols.imap.commands import Tagged
from gateway.protocols.imap.framer import Lines
from projections.directory.query import Person


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody may come in. tag: of the command that is still to be answered. client: from ID, as it came."""

    person: Person
    tag: str
    client: str


class Session(Protocol):
    """What a connection hands its commands to, once somebody has signed in."""

    @property
    def is_utf8(self) -> bool:
        """The client has enabled IMAP4rev2 or UTF8=ACCEPT."""

    @property
    def is_watching(self) -> bool:
        """It asked to be told of changes between its commands as well (RFC 5465)."""

    async def tell_until(self, reading: "asyncio.Task[Lines]") -> None:
        """Tell it of changes until it has spoken. Raises Over."""

    def client_is(self, name: str) -> None:
        """The client has named itself (RFC 2971)."""

    async def obey(self, tagged: Tagged) -> None:
        """Answer a command. Raises ImapError, Unavailable, Over, Deposed."""


Begin = Callable[[SignedIn, Visit, Incoming], AbstractAsyncContextManager[Session]]


@dataclass(frozen=True, slots=True)
class ImapServices:
    """Put together in wiring."""

    hostname: str
    clock: Clock
    sign_ins: SignIns
    accounts: AccountSessions
    new_spool: Callable[[], Spool]
    idle_timeout_s: float
    message_octets_max: int
    begin: Begin  # raises Unavailable when it is entered
