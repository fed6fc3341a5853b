"""A small gateway in memory for tests of router and relay: log, keys, content, and mails to put in."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog
from gateway.domain import sealing
from gateway.domain.account import account_key_name
from gateway.domain.agency import NextHop
from gateway.domain.events import (
    Actor,
    By,
    Content,
    EnvelopeSecret,
    Event,
    Fact,
    MailAccepted,
    Message,
    MessageSecret,
    Recipient,
    Wrap,
)
from gateway.domain.group import encode_group
from gateway.domain.histories import mail_history
from gateway.domain.routing import (
    Hosted,
    NotOurs,
    Relayed,
    UnknownHere,
    Whereabouts,
    envelope_label,
    message_label,
    transit_key_name,
)
from gateway.mail.address import Address
from gateway.mail.dsn_options import NOTHING_ASKED, DsnOptions, said_of
from gateway.mail.ids import AccountId, AgencyId, MailboxId, MailId, new_mail_id
from gateway.ports import START, ContentMissing, Position, Recorded, Spooled, StoredContent

AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
BY = By("test", "0", "")
OPM, DLD = AgencyId("ag_opm"), AgencyId("ag_dld")
SUDA = Hosted(OPM, AccountId("acc_suda"), MailboxId("mbx_suda"))
SOMCHAI = Hosted(OPM, AccountId("acc_somchai"), MailboxId("mbx_somchai"))
DLD_HOST = Relayed(DLD, NextHop("192.0.2.25", 25))
MESSAGE = b"Subject: hello\r\nFrom: ann@example.org\r\n\r\nHello.\r\n"


class MovedClock:
    """Time goes on only when somebody waits for it, or by hand."""

    def __init__(self) -> None:
        self._passed_s = 0.0

    def now(self) -> datetime:
        return AT + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    async def sleep(self, seconds: float) -> None:
        self._passed_s += seconds
        await asyncio.sleep(0)

    def move(self, seconds: float) -> None:
        self._passed_s += seconds


class Contents:
    """A content store as far as router and relay know it: whole messages by digest."""

    def __init__(self) -> None:
        self.messages: dict[str, bytes] = {}
        self.read_ahead_of: list[str] = []

    def keep(self, message: bytes, salt: bytes) -> Content:
        digest = hashlib.sha256(salt + message).hexdigest()
        self.messages[digest] = message
        return Content(digest=digest, octets=len(message))

    async def put(
        self, message: Spooled, *, skeleton: object, data_key: bytes, salt: bytes, agency_id: str
    ) -> StoredContent:
        return StoredContent(self.keep(b"".join(message.read(0, message.octets)), salt), ())

    async def read_ahead(self, contents: Sequence[Content]) -> None:
        self.read_ahead_of = [*self.read_ahead_of, *(content.digest for content in contents)]

    async def open(
        self, content: Content, *, data_key: bytes, salt: bytes, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        if content.digest not in self.messages:
            raise ContentMissing(content.digest)
        yield self.messages[content.digest][start:end]


@dataclass
class FakeDirectory:
    """Rows of a directory that know the demo's people, and how far they are."""

    people: dict[str, Whereabouts]
    position: int = 1_000_000

    async def reach(self, position: Position, timeout_s: float) -> bool:
        await asyncio.sleep(0)
        return self.position >= position

    async def find(self, addresses: Sequence[Address]) -> Sequence[Whereabouts]:
        return [self._find(address.normalise()) for address in addresses]

    def _find(self, address: Address) -> Whereabouts:
        if found := self.people.get(str(address)):
            return found
        match address.domain:
            case "opm.go.th":
                return UnknownHere(OPM)
            case "dld.go.th":
                return DLD_HOST
        return NotOurs()


class World:
    """Everything behind router and relay, in memory."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.clock = MovedClock()
        self.log = MemoryLog()
        self.keys = MemoryKeyStore(self.entropy)
        self.contents = Contents()
        self.directory = FakeDirectory({"suda@opm.go.th": SUDA, "somchai@opm.go.th": SOMCHAI})

    def entropy(self, octets: int) -> bytes:
        return next(self._numbers).to_bytes(octets, "big")

    async def know(self, *accounts: Hosted) -> None:
        """Make the keys of accounts, as registration does."""
        for hosted in accounts or (SUDA, SOMCHAI):
            await self.keys.get_or_make(account_key_name(hosted.account_id))

    async def accept(
        self,
        *rcpt_to: str,
        mail_from: str | None = "ann@example.org",
        message: bytes = MESSAGE,
        report_of: MailId | None = None,
        summary: bytes = b"{}",
        dsn: DsnOptions = NOTHING_ASKED,
        rrvs: tuple[str, ...] = (),
        **demanded: Any,
    ) -> Position:
        """Put a mail into the log as an edge does. The position of its mail.accepted."""
        mail_id = new_mail_id(self.clock.now(), self.entropy(10))
        data_key, salt = self.entropy(32), self.entropy(16)
        transit = transit_key_name(OPM, self.clock.now())
        secret = MessageSecret(front=b"Return-Path: <ann@example.org>\r\n", salt=salt, summary=summary)
        accepted = MailAccepted(
            at=self.clock.now(),
            actor=Actor("remote"),
            by=BY,
            mail_id=mail_id,
            agency_id=OPM,
            recipients=tuple(
                Recipient(i, notify=said_of(dsn.notify, i), rrvs=said_of(rrvs, i))
                for i, _ in enumerate(rcpt_to)
            ),
            message=Message(
                content=self.contents.keep(message, salt),
                presented_octets=len(secret.front) + len(message),
                sealed=sealing.seal(secret, data_key, nonce=self.entropy(12), label=message_label(mail_id)),
            ),
            keys=(Wrap(transit, sealing.wrap(data_key, await self.keys.get_or_make(transit))),),
            sealed=sealing.seal(
                EnvelopeSecret(mail_from, rcpt_to, orcpt=dsn.orcpt, envid=dsn.envid),
                data_key,
                nonce=self.entropy(12),
                label=envelope_label(mail_id),
            ),
            report_of=report_of,
            ret=dsn.ret,
            **demanded,
        )
        return self.put(mail_history(mail_id), accepted)

    def put(self, subject: str, event: Event) -> Position:
        return self.log.store(encode_group([Fact(subject, event)]))

    async def events(self) -> list[Recorded]:
        return [await self.log.read(Position(at)) for at in range(1, await self.log.last() + 1)]

    async def of(self, topic: str) -> list[Event]:
        return [recorded.event for recorded in await self.events() if recorded.topic == topic]

    async def until(self, topic: str, number: int) -> list[Event]:
        """Wait until the log has so many events of a topic, and give them."""
        found = list[Event]()
        async with asyncio.timeout(30):
            async for batch in self.log.follow(START):
                found += [recorded.event for recorded in batch if recorded.topic == topic]
                if len(found) >= number:
                    break
        return found
