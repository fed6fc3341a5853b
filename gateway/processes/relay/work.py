"""What a relay may try now: due recipients under its own lease, looked at again.

Source: architecture §2.4: take the lease, read the log's last position, wait until the rows have reached it,
look again, and only then connect; a lease ends when the rows have its outcome.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Protocol, TypeVar

from gateway.domain.agency import NextHop
from gateway.domain.agency_tls import AgencyTls
from gateway.domain.events import MailQueued
from gateway.domain.pace import IN_HAND_MAX, IN_HAND_MIN
from gateway.domain.route import Servers
from gateway.domain.targets import MailDomain, Target
from gateway.domain.tls_policy import TlsSeen
from gateway.mail.ids import AgencyId, MailId
from gateway.ports import Clock, Entropy, EventLog, Position, Unavailable
from gateway.protocols.smtp.transaction import Answer
from projections.checkpoint import reached
from projections.directory.routes import routes
from projections.directory.tls import tls_policies
from projections.queue import leases, query, standing, turns
from projections.queue.leases import Lease
from projections.queue.project import QueueModel
from projections.queue.standing import StandingHold
from projections.readmodel import Pool, schema_of

T = TypeVar("T")

# Renewed long before it ends; it is only the time until another relay may try after this one died.
LEASE_S: Final = 60.0
# The final dot is not sent with less than this left (architecture §2.4).
LEASE_LEFT_MIN_S: Final = 30.0
ROWS_TIMEOUT_S: Final = 10.0
# Nobody waits for a lease that ends, as long as there is room for more: what comes meanwhile ends together.
RELEASE_LOOK_S: Final = 0.05
HOLDER_OCTETS: Final = 12


@dataclass(frozen=True, slots=True)
class Said:
    """What a host said to a mail that another host of its destination is asked to take.

    answers: one for each recipient of the job, in its order.
    """

    answers: tuple[Answer, ...]
    target: Target
    tls: TlsSeen


@dataclass
class Job:
    """Recipients of one mail.queued that this relay has to itself. lease: None once it was lost.

    is_doubtful: a host may have it, or has said what is not in the log yet. recorded_at: where the log has
    its outcome. said: by the host that was asked first, in this attempt.
    """

    position: int  # of mail.queued
    queued: MailQueued
    recipients: tuple[int, ...]
    attempts: tuple[int, ...]  # made so far, side by side with recipients
    tried_at: tuple[datetime | None, ...]  # when the last of them was, likewise
    lease: Lease | None
    destination: str  # as in pace.py
    is_held: bool = False  # by a person, and its time is over
    standing: StandingHold | None = None  # of its destination: it is to be held, and not tried
    next_hop: NextHop | None = None  # what a person said; None: the agency's own
    mail_domain: MailDomain | None = None  # of all its recipients, where no agency has it
    is_doubtful: bool = False
    recorded_at: Position | None = None
    said: Said | None = None

    def may_end(self, now_s: float) -> bool:
        """True when there is time left for the final dot. now_s: the monotonic clock."""
        return self.lease is not None and self.lease.ends_s - now_s >= LEASE_LEFT_MIN_S

    def part(self, places: Sequence[int]) -> "Job":
        """The job of some of its recipients, with their share of the lease."""
        recipients = _at(places, self.recipients)
        return replace(
            self,
            recipients=recipients,
            attempts=_at(places, self.attempts),
            tried_at=_at(places, self.tried_at),
            lease=None if self.lease is None else replace(self.lease, recipients=recipients),
            said=None if self.said is None else replace(self.said, answers=_at(places, self.said.answers)),
        )


def _by_hold(job: Job, stand: Mapping[tuple[str, int], StandingHold]) -> list[Job]:
    """The same in parts: those that no standing hold is of, and those of each."""
    if not stand:
        return [job]
    places: dict[StandingHold | None, list[int]] = {}
    for place, recipient in enumerate(job.recipients):
        places.setdefault(stand.get((job.queued.mail_id, recipient)), []).append(place)
    return [replace(job.part(some), standing=hold) for hold, some in places.items()]


def _at(places: Sequence[int], each: Sequence[T]) -> tuple[T, ...]:
    return tuple(each[place] for place in places)


class AtDot(Protocol):
    """Which mails hosts may have that the log does not know: what a relay leaves behind when it is killed.

    A mail.queued whose recipients go in parts at once is marked as long as none of them has ended.
    """

    @property
    def token(self) -> str:
        """Begins the holders of its leases, and of those of the process before."""

    @property
    def left(self) -> Collection[int] | None:
        """Positions of mail.queued that hosts may have from that one; None: nobody can tell which."""

    def inherited(self) -> None:
        """What was left is seen to: from here on it is about this process."""

    def begin(self, position: int) -> None:
        """A host may have it from now on."""

    def end(self, position: int) -> None:
        """The log has what became of it, if a host could have it at all."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """How many more mails a relay takes for each destination. others: for those that are not named."""

    of: Mapping[str, int] = field(default_factory=dict)
    others: int = IN_HAND_MIN

    def __getitem__(self, destination: str) -> int:
        return self.of.get(destination, self.others)


ANY: Final = Rooms(others=IN_HAND_MAX)


class Queue(Protocol):
    """The queue's rows and the relays' leases, as one relay needs them. All raise Unavailable."""

    async def inherit(self) -> None:
        """End the leases of the process before, which is dead. Once: our lane is open, none is taken yet."""

    def begin(self, job: Job) -> None:
        """A host may have it from now on."""

    def end(self, job: Job) -> None:
        """The log has what became of it."""

    async def take(self, limit: int, rooms: Rooms = ANY) -> Sequence[Job]:
        """Jobs for up to so many recipients that are due and nobody else's, of each destination so many
        mails as there is room for. None may mean that those come next whose turn it was not."""

    async def renew(self, jobs: Sequence[Job]) -> None:
        """Keep the leases; a job loses its own to others alone. Sweeps what dead relays left over."""

    async def release(self, jobs: Sequence[Job], position: Position) -> bool:
        """End leases whose outcomes are in the log by a position, once the rows have it; False: not yet."""

    async def next_hops(self, agencies: Sequence[AgencyId]) -> Mapping[AgencyId, NextHop | Servers]:
        """Where agencies' mail goes now, of those that have servers of their own."""

    async def tls_policies(self, agencies: Sequence[AgencyId]) -> dict[AgencyId, AgencyTls]:
        """What agencies demand of TLS with their mail servers, of those that demand anything."""


class QueueRows:
    """The port above, on the rows."""

    def __init__(self, pool: Pool, log: EventLog, clock: Clock, entropy: Entropy, at_dot: AtDot) -> None:
        self._pool, self._log, self._clock, self._entropy = pool, log, clock, entropy
        self._at_dot, self._after = at_dot, turns.BEFORE_ALL

    async def inherit(self) -> None:
        last = await self._log.last()
        if not await reached(self._pool, QueueModel, last, ROWS_TIMEOUT_S):
            raise Unavailable("queue", f"its rows have not reached position {last}")
        token, doubtful = self._at_dot.token, self._at_dot.left
        async with self._pool.rows() as rows:
            await leases.inherit(rows, token=token, doubtful=doubtful, schema=schema_of(QueueModel))
        self._at_dot.inherited()

    def begin(self, job: Job) -> None:
        self._at_dot.begin(job.position)

    def end(self, job: Job) -> None:
        self._at_dot.end(job.position)

    async def take(self, limit: int, rooms: Rooms = ANY) -> Sequence[Job]:
        now = self._clock.now()
        async with self._pool.rows() as rows:
            waiting, self._after = await turns.of_whom_waits(rows, now, after=self._after)
            share = {turn: room for turn in waiting if (room := rooms[turn.destination])}
            due = await query.due(rows, now, share, limit=limit) if share else []
        if not due:
            return []
        leased = await self._lease(due)
        try:
            last = await self._log.last()
            if not await reached(self._pool, QueueModel, last, ROWS_TIMEOUT_S):
                raise Unavailable("queue", f"its rows have not reached position {last}")
            return await self._look_again(leased)
        except Unavailable:  # nothing was begun: nobody need wait until these leases run out
            await self._give_back([lease for _, lease in leased])
            raise

    async def renew(self, jobs: Sequence[Job]) -> None:
        held = [(job, job.lease) for job in jobs if job.lease is not None]
        now_s = self._clock.monotonic()
        async with self._pool.rows() as rows:
            renewed = await leases.renew(rows, [lease for _, lease in held], seconds=LEASE_S, now_s=now_s)
            await leases.sweep(rows, schema=schema_of(QueueModel))
            lost = [(job, lease) for (job, lease), kept in zip(held, renewed, strict=True) if kept is None]
            await leases.settle(rows, [lease for _, lease in lost], [job.is_doubtful for job, _ in lost])
        for (job, _), lease in zip(held, renewed, strict=True):
            job.lease = lease

    async def release(self, jobs: Sequence[Job], position: Position) -> bool:
        if not await reached(self._pool, QueueModel, position, ROWS_TIMEOUT_S, first_s=RELEASE_LOOK_S):
            return False
        await self._give_back([job.lease for job in jobs if job.lease is not None])
        return True

    async def next_hops(self, agencies: Sequence[AgencyId]) -> Mapping[AgencyId, NextHop | Servers]:
        async with self._pool.rows() as rows:
            found = await routes(rows, agencies)
        return {agency_id: row.route.goal(row.way) for agency_id, row in found.items()}

    async def tls_policies(self, agencies: Sequence[AgencyId]) -> dict[AgencyId, AgencyTls]:
        async with self._pool.rows() as rows:
            return await tls_policies(rows, agencies)

    async def _lease(self, due: Sequence[query.Due]) -> list[tuple[query.Due, Lease]]:
        """Those of them, or of their recipients, that no other relay has."""
        wanted: dict[MailId, tuple[int, ...]] = {}
        for one in due:
            wanted[one.mail_id] = (*wanted.get(one.mail_id, ()), *one.recipients)
        holder = f"{self._at_dot.token}.{self._entropy(HOLDER_OCTETS).hex()}"
        now_s = self._clock.monotonic()
        async with self._pool.rows() as rows:
            taken = await leases.take(rows, wanted, holder=holder, seconds=LEASE_S, now_s=now_s)
        ours = {lease.mail_id: lease for lease in taken}
        leased = []
        for one in due:
            if one.mail_id in ours:
                lease = ours[one.mail_id]
                recipients = tuple(r for r in one.recipients if r in lease.recipients)
                leased.append((one, replace(lease, recipients=recipients)))
        return leased

    async def _look_again(self, leased: Sequence[tuple[query.Due, Lease]]) -> list[Job]:
        """What is as it was, now that the rows know all that was in the log when we had the lease."""
        async with self._pool.rows() as rows:
            unchanged = await query.unchanged(rows, [due for due, _ in leased])
            pairs = [(due.mail_id, recipient) for due, lease in leased for recipient in lease.recipients]
            stand = await standing.hold_of(rows, pairs, schema=schema_of(QueueModel))
        jobs, over = [], []
        for due, lease in leased:
            seen = zip(due.recipients, due.attempts, due.tried_at, strict=True)
            waiting = [
                (recipient, attempts, tried_at)
                for recipient, attempts, tried_at in seen
                if recipient in lease.recipients and (due.position, recipient) in unchanged
            ]
            if waiting:
                kept, attempts, tried_at = zip(*waiting, strict=True)
                lease_kept = replace(lease, recipients=kept)
                job = Job(due.position, due.queued, kept, attempts, tried_at, lease_kept, due.destination)
                domain = MailDomain(due.domain) if due.domain else None
                job = replace(job, is_held=due.is_held, next_hop=due.next_hop, mail_domain=domain)
                jobs += _by_hold(job, stand)
            if ended := set(lease.recipients) - {recipient for recipient, _, _ in waiting}:
                over.append(replace(lease, recipients=tuple(sorted(ended))))
        await self._give_back(over)
        return jobs

    async def _give_back(self, over: Sequence[Lease]) -> None:
        if over:
            async with self._pool.rows() as rows:
                await leases.release(rows, over)
