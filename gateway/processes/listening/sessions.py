"""Sessions become facts at their end, without holding a client: the traffic log's first half.

A session that has ended waits in a queue, which one task appends from through the edge's lane. While the log
is away the queue fills; what it has no place for, and what a network has beyond some sessions a minute, is
counted by network and told once a minute.

Source: architecture §4 (Subjects: `ev.access`).
"""

import asyncio
import contextlib
import ssl
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.sessions import (
    REFUSALS_MAX,
    SESSIONS,
    EndedSo,
    Ending,
    NetworkSecret,
    Refusal,
    SessionEnded,
    SessionSecret,
    SessionsEnded,
)
from gateway.domain.signin import access_history
from gateway.mail.ids import AgencyId
from gateway.mail.networks import network_of
from gateway.mail.reply import parse_reply
from gateway.ports import Clock, Entropy, KeyStore, Lane, Unavailable
from gateway.processes import maillog
from gateway.processes.traffic_seal import TrafficSeal
from projections.directory.query import Person

OWN_FACTS_A_MINUTE: Final = 60  # of one network (architecture §4)
QUEUE_MAX: Final = 10_000
NETWORKS_MAX: Final = 20_000
GROUP_MAX: Final = 100  # facts of one append
LOOK_EVERY_S: Final = 1.0  # for minutes that are over
TRY_AGAIN_AFTER_S: Final = 1.0
FLUSH_S: Final = 5.0
OTHERS: Final = ""  # the network of all that are too many to be told apart


@dataclass(slots=True)
class SessionRecord:
    """What is to be told of one session; its connection writes it down on the way."""

    listener: str
    began_at: datetime
    remote_ip: str = ""
    remote_port: int = 0
    helo: str = ""
    tls: str = ""
    author: Person | None = None
    mechanism: str = ""
    agency_id: AgencyId | None = None  # of the first recipient
    transactions: int = 0
    accepted: int = 0
    recipients: int = 0
    refused_recipients: int = 0
    refusals: int = 0
    refused: list[Refusal] = field(default_factory=list)
    limit: str = ""
    ended: Ending = "lost"
    ended_at: datetime | None = None  # None: not yet

    def came_from(self, peer: tuple[object, ...] | None) -> None:
        """peer: as a socket names it."""
        if peer:
            self.remote_ip, self.remote_port = str(peer[0]), int(str(peer[1]))

    def said(self, octets: bytes) -> None:
        """Whole replies of ours that go to the client; those that are no yes are noted."""
        lines = list[bytes]()
        for line in octets.split(b"\r\n")[:-1]:
            lines.append(line)
            if line[3:4] != b"-":
                if line[:1] in b"45":
                    self._note(lines)
                lines = []

    def _note(self, lines: list[bytes]) -> None:
        self.refusals += 1
        if len(self.refused) < REFUSALS_MAX:
            answer = parse_reply(lines)
            self.refused.append(Refusal(answer.code, str(answer.status or ""), " ".join(answer.text)))


def tls_of(inside: ssl.SSLObject | None) -> str:
    """Version and cipher, as `TLSv1.3 TLS_AES_256_GCM_SHA384`; "" in the clear."""
    if inside is None:
        return ""
    cipher = inside.cipher()
    return f"{inside.version()} {cipher[0] if cipher else ''}".strip()


@dataclass(slots=True)
class _Minute:
    """One network in one minute."""

    since: datetime
    minute: int
    own: int = 0  # sessions with a fact of their own
    transactions: int = 0
    accepted: int = 0
    recipients: int = 0
    refused_recipients: int = 0
    refusals: int = 0
    endings: Counter[Ending] = field(default_factory=Counter)

    def count(self, record: SessionRecord) -> None:
        self.endings[record.ended] += 1
        self.transactions += record.transactions
        self.accepted += record.accepted
        self.recipients += record.recipients
        self.refused_recipients += record.refused_recipients
        self.refusals += record.refusals


class Sessions:
    """The facts of all sessions of one edge."""

    def __init__(self, *, lane: Lane, keys: KeyStore, clock: Clock, entropy: Entropy, by: By) -> None:
        self._lane, self._clock, self._by = lane, clock, by
        self._seal = TrafficSeal(keys, entropy)
        self._queue: deque[SessionRecord | tuple[str, _Minute, datetime]] = deque()
        self._minutes: OrderedDict[str, _Minute] = OrderedDict()
        self._work = asyncio.Event()
        self._is_stopping = False

    def ended(self, record: SessionRecord, ending: Ending) -> None:
        """A session is over; asked again it changes nothing."""
        if record.ended_at is not None:
            return
        record.ended, record.ended_at = ending, self._clock.now()
        minute = self._minute_of(network_of(record.remote_ip))
        if minute.own < OWN_FACTS_A_MINUTE and len(self._queue) < QUEUE_MAX:
            minute.own += 1
            self._queue.append(record)
            self._work.set()
        else:
            minute.count(record)

    @contextlib.asynccontextmanager
    async def recording(self, failed: Callable[[Exception], None]) -> AsyncIterator[None]:
        """Facts are appended while the block runs; at its end what waits is, if that is quickly done."""
        task = asyncio.create_task(self._run(failed), name="session facts")
        try:
            yield
        finally:  # an append under way is waited for: given up and done again it would count twice
            self._close_minutes(everything=True)
            self._is_stopping = True
            self._work.set()
            await asyncio.wait([task], timeout=FLUSH_S)
            task.cancel()
            await asyncio.wait([task])

    # --- minutes ----------------------------------------------------------------------------------

    def _minute_of(self, network: str) -> _Minute:
        now = int(self._clock.monotonic() // 60)
        self._close_minutes()
        if network not in self._minutes and len(self._minutes) >= NETWORKS_MAX:
            network = OTHERS
        return self._minutes.setdefault(network, _Minute(self._clock.now(), now))

    def _close_minutes(self, *, everything: bool = False) -> None:
        """What was counted in a minute that is over waits to be told."""
        now = int(self._clock.monotonic() // 60)
        while self._minutes:
            network, minute = next(iter(self._minutes.items()))
            if minute.minute >= now and not everything:
                return
            del self._minutes[network]
            if minute.endings:
                self._queue.append((network, minute, self._clock.now()))
                self._work.set()

    # --- the one task -----------------------------------------------------------------------------

    async def _run(self, failed: Callable[[Exception], None]) -> None:
        while self._queue or not self._is_stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._work.wait()
            self._work.clear()
            self._close_minutes()
            while self._queue:
                try:
                    await self._append_some()
                except Unavailable as error:
                    maillog.service_unavailable(
                        service=error.service, reason=error.reason, doing="record sessions"
                    )
                    await self._clock.sleep(TRY_AGAIN_AFTER_S)
                except Exception as error:  # Deposed, or our own mistake: the edge ends and starts again
                    failed(error)
                    return

    async def _append_some(self) -> None:
        """The first of what waits, in one append; it waits on when that fails."""
        some = [self._queue[place] for place in range(min(GROUP_MAX, len(self._queue)))]
        facts = [
            await (self._own(one) if isinstance(one, SessionRecord) else self._sum(*one)) for one in some
        ]
        await self._lane.append(facts)
        for _ in some:
            self._queue.popleft()

    async def _own(self, record: SessionRecord) -> Fact:
        author, at = record.author, record.ended_at
        assert at is not None, "a session is told of at its end"
        agency_id = record.agency_id if author is None else author.agency_id
        secret = SessionSecret(record.remote_ip, record.remote_port, record.helo, record.tls)
        sealed, key_name = await self._seal.seal(secret, agency_id, at, label=SESSIONS)
        actor = Actor("remote") if author is None else Actor("account", author.account_id)
        event = SessionEnded(
            **Stamp(at=at, actor=actor, by=self._by).fields(),
            began_at=record.began_at,
            listener=record.listener,
            ended=record.ended,
            limit=record.limit,
            account_id=None if author is None else author.account_id,
            mechanism="" if author is None else record.mechanism,
            transactions=record.transactions,
            accepted=record.accepted,
            recipients=record.recipients,
            refused_recipients=record.refused_recipients,
            refusals=record.refusals,
            refused=tuple(record.refused),
            sealed=sealed,
            sealed_key=key_name,
        )
        return Fact(access_history(agency_id), event)

    async def _sum(self, network: str, minute: _Minute, at: datetime) -> Fact:
        sealed, key_name = await self._seal.seal(NetworkSecret(network), None, at, label=SESSIONS)
        event = SessionsEnded(
            **Stamp(at=at, actor=Actor("remote"), by=self._by).fields(),
            transactions=minute.transactions,
            accepted=minute.accepted,
            recipients=minute.recipients,
            refused_recipients=minute.refused_recipients,
            refusals=minute.refusals,
            since=minute.since,
            sessions=minute.endings.total(),
            ended=tuple(EndedSo(ended, sessions) for ended, sessions in sorted(minute.endings.items())),
            sealed=sealed,
            sealed_key=key_name,
        )
        return Fact(access_history(None), event)
