"""The relay: takes what is due, brings it to the next hop of its agency, and records what became of it.

Several connections a destination, several mails a connection, several recipients a transaction. What a host
said is recorded before the lease ends; until it is, the relay asks the log again and again.

Source: architecture §2.4; RFC 5321 §4.5.4.1.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from gateway.domain.agency import NextHop
from gateway.domain.agency_tls import NO_TLS_POLICY, AgencyTls
from gateway.domain.delivery import DEMO, HELD, NO_ROUTE
from gateway.domain.events import Attempted, By, Fact
from gateway.domain.group import parts
from gateway.domain.pace import Bounds
from gateway.domain.retries import RetrySchedule
from gateway.domain.route import Servers
from gateway.domain.targets import MailDomain
from gateway.ports import (
    START,
    Clock,
    ContentStore,
    Deposed,
    Entropy,
    KeyStore,
    Lane,
    Position,
    Unavailable,
)
from gateway.processes import maillog
from gateway.processes.patience import patiently
from gateway.processes.relay.connection import Timeouts
from gateway.processes.relay.destinations import Destinations
from gateway.processes.relay.in_hand import TAKE_MAX, InHand
from gateway.processes.relay.outcomes import Outcomes
from gateway.processes.relay.paces import Paces
from gateway.processes.relay.recording import Conclusion, Recorder
from gateway.processes.relay.securing import Securing, Wanted, opportunistic_context
from gateway.processes.relay.sights import Sights
from gateway.processes.relay.tls_counts import TlsCounts, seconds_left
from gateway.processes.relay.ways import MailHosts, Ways, stays_here
from gateway.processes.relay.words import NO_WORDS, Words
from gateway.processes.relay.work import LEASE_S, Job, Queue
from gateway.processes.trusting import verifying_context

POLL_S: Final = 0.2
RENEW_EVERY_S: Final = LEASE_S / 4
SHUTDOWN_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Means:
    """How a relay presents itself and how patient it is."""

    hostname: str
    demo: bool  # mail stays on this machine
    bounds: Bounds  # of a destination, over all relays
    schedule: RetrySchedule = field(default_factory=RetrySchedule)
    timeouts: Timeouts = field(default_factory=Timeouts)
    tls_context: ssl.SSLContext = field(default_factory=opportunistic_context, repr=False)
    trusting: Callable[[], ssl.SSLContext] = field(default=verifying_context, repr=False)
    words: Words = NO_WORDS  # what DNS and domains say of hosts
    mail_hosts: MailHosts | None = None  # of domains without an agency; None: mail goes to next hops alone
    sights: Sights | None = None  # how agencies' servers are; None: nobody remembers


class Relay:
    """Any number of relays work on one queue. `run` ends only by an error or by being cancelled."""

    def __init__(
        self,
        *,
        queue: Queue,
        paces: Paces,
        lane: Lane,
        content: ContentStore,
        keys: KeyStore,
        clock: Clock,
        entropy: Entropy,
        by: By,
        means: Means,
    ) -> None:
        self._queue, self._lane, self._content, self._clock = queue, lane, content, clock
        self._means, self._paces = means, paces
        self._tls_counts = TlsCounts(clock.now())
        self._in_hand = InHand()
        self._concluded: asyncio.Queue[tuple[Job, Position]] = asyncio.Queue()
        self._recorder = Recorder(self._append, self._recorded)
        self._tasks = asyncio.TaskGroup()
        self._outcomes = Outcomes(
            keys=keys,
            clock=clock,
            entropy=entropy,
            by=by,
            schedule=means.schedule,
            recorder=self._recorder,
        )
        ways = Ways(
            hostname=means.hostname,
            securing=Securing(keys, clock, means.tls_context, means.trusting, means.words),
            timeouts=means.timeouts,
            tls_counts=self._tls_counts,
            clock=clock,
            mail_hosts=means.mail_hosts,
            sights=means.sights,
            entropy=entropy,
        )
        self._destinations = Destinations(
            ways=ways,
            paces=paces,
            content=content,
            outcomes=self._outcomes,
            in_hand=self._in_hand,
            clock=clock,
            tasks=self._tasks,
            begin=queue.begin,
            give_back=self._give_back,
            bounds=means.bounds,
        )

    async def run(self) -> None:
        """Raises Deposed when another relay has the lane."""
        await patiently(self._clock, "inherit leases", self._queue.inherit)
        await patiently(self._clock, "inherit places", self._paces.inherit)
        try:
            async with self._tasks as tasks:
                tasks.create_task(self._take_all(), name="take")
                tasks.create_task(self._renew_all(), name="renew")
                tasks.create_task(self._recorder.run(), name="record")
                tasks.create_task(self._release_all(), name="release")
                tasks.create_task(self._destinations.run(), name="destinations")
                tasks.create_task(self._count_all(), name="count TLS")
        finally:
            with suppress(Deposed):
                await self._recorder.finish(SHUTDOWN_TIMEOUT_S)  # what a host has said is not forgotten
                await self._tell_counts()
            await self._let_go()

    # --- the queue --------------------------------------------------------------------------------------

    async def _take_all(self) -> None:
        while True:
            await self._in_hand.room()
            take = partial(self._queue.take, TAKE_MAX, self._destinations.rooms())
            jobs = await patiently(self._clock, "take", take)
            if not jobs:
                await self._clock.sleep(POLL_S)
                continue
            agencies = list({job.queued.agency_id for job in jobs if job.queued.agency_id is not None})
            hops = await patiently(self._clock, "take", partial(self._queue.next_hops, agencies))
            policies = await patiently(self._clock, "take", partial(self._queue.tls_policies, agencies))
            await self._destinations.look(job.destination for job in jobs)
            await self._content.read_ahead([job.queued.message.content for job in jobs])
            for job in jobs:
                if self._in_hand.add(job):
                    agency_id = job.queued.agency_id
                    hop = hops.get(agency_id) if agency_id else None
                    policy = policies.get(agency_id, NO_TLS_POLICY) if agency_id else NO_TLS_POLICY
                    self._assign(job, hop, policy)

    def _assign(self, job: Job, hop: NextHop | Servers | None, policy: AgencyTls) -> None:
        goal = job.next_hop or hop or job.mail_domain
        if job.standing is not None:
            self._tasks.create_task(self._outcomes.hold(job, job.standing.why))
        elif job.is_held:
            self._tasks.create_task(self._outcomes.go_nowhere(job, HELD))
        elif self._means.demo and not stays_here(goal):
            self._tasks.create_task(self._outcomes.go_nowhere(job, DEMO))
        elif goal is None:
            self._tasks.create_task(self._outcomes.go_nowhere(job, NO_ROUTE))
        else:
            queued = job.queued
            domain = goal.name if isinstance(goal, MailDomain) and goal.literal is None else ""
            wanted = Wanted(queued.requiretls, policy, queued.tls_optional, domain)
            self._destinations.assign(job, goal, wanted)

    async def _renew_all(self) -> None:
        while True:
            await self._clock.sleep(RENEW_EVERY_S)
            renew = partial(self._queue.renew, self._in_hand.jobs())
            await patiently(self._clock, "renew leases", renew)
            await patiently(self._clock, "renew places", self._destinations.renew)
            wanted = self._destinations.take_unbegun(
                lambda job: job.lease is not None and job.lease.is_wanted
            )
            await self._give_back(wanted)

    async def _release_all(self) -> None:
        """End the leases of what is concluded, once the rows know it."""
        while True:
            concluded = [await self._concluded.get()]
            while not self._concluded.empty():
                concluded.append(self._concluded.get_nowait())
            jobs, position = [job for job, _ in concluded], max(position for _, position in concluded)
            while not await patiently(
                self._clock, "release leases", partial(self._queue.release, jobs, position)
            ):
                maillog.service_unavailable(
                    service="queue", reason=f"its rows have not reached {position}", doing="release leases"
                )
            for job in jobs:
                self._in_hand.forget(job)

    async def _give_back(self, given: Sequence[Job]) -> None:
        """End the leases of jobs that nobody has begun, so that who else may have them need not wait."""
        if not given:
            return
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                await self._queue.release(given, START.position)
        for job in given:
            self._in_hand.forget(job)

    async def _let_go(self) -> None:
        """At the end: whom no host can have, and whose outcome the rows know, others may try at once.

        A lease that runs out says that a host may have had the mail: it is left to those of whom that is so.
        """
        jobs = self._in_hand.jobs()
        recorded = [job for job in jobs if job.recorded_at is not None]
        untouched = [job for job in jobs if job.recorded_at is None and not job.is_doubtful]
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                await self._destinations.end()
                await self._queue.release(untouched, START.position)
                reached = max((job.recorded_at or START.position for job in recorded), default=START.position)
                await self._queue.release(recorded, reached)

    # --- outcomes ---------------------------------------------------------------------------------------

    async def _append(self, facts: Sequence[Fact]) -> Position:
        return await patiently(self._clock, "record outcomes", partial(self._lane.append, facts))

    def _recorded(self, conclusions: Sequence[Conclusion], position: Position) -> None:
        for conclusion in conclusions:
            conclusion.job.recorded_at = position
            self._queue.end(conclusion.job)
            self._concluded.put_nowait((conclusion.job, position))
            for fact in conclusion.facts:
                if isinstance(fact.event, Attempted):
                    _log_conclusion(fact.event, conclusion.took_s)

    async def _count_all(self) -> None:
        """Tell each full hour how TLS with hosts went."""
        while True:
            await self._clock.sleep(seconds_left(self._clock.now()))
            for part in parts(list(self._tls_counts.take(self._outcomes.stamp()))):
                await self._append(part)

    async def _tell_counts(self) -> None:
        """Tell what was counted since, if that is quickly done."""
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                for part in parts(list(self._tls_counts.take(self._outcomes.stamp()))):
                    await self._lane.append(part)


def _log_conclusion(event: Attempted, took_s: float) -> None:
    maillog.delivery_concluded(
        mail_id=event.mail_id,
        recipients=len(event.recipients),
        attempt=event.attempt,
        code=event.code,
        status=event.status,
        outcome=event.TOPIC,
        took_s=took_s,
    )
