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
from gateway.domain.delivery import (
    DEMO,
    HELD,
    NO_ROUTE,
    Attempt,
    RetrySchedule,
    Tried,
    erased_fact,
    outcome_facts,
)
from gateway.domain.events import Actor, Attempted, By, Fact, Stamp
from gateway.domain.group import parts
from gateway.domain.route import Servers
from gateway.domain.sealing import NONCE_OCTETS
from gateway.domain.targets import MailDomain
from gateway.domain.tls_policy import NO_TLS_SEEN, TlsSeen
from gateway.mail.reply import Reply
from gateway.ports import (
    START,
    Clock,
    ContentStore,
    Deposed,
    Entropy,
    KeyForgotten,
    KeyStore,
    Lane,
    Position,
    Unavailable,
)
from gateway.processes import maillog
from gateway.processes.patience import patiently
from gateway.processes.relay.connection import (
    Connection,
    NoConnection,
    Timeouts,
    is_about_mail,
    refused_all,
)
from gateway.processes.relay.opening import OpenMail, content_of, open_mail
from gateway.processes.relay.recording import Conclusion, Recorder
from gateway.processes.relay.securing import Securing, Wanted, opportunistic_context
from gateway.processes.relay.sights import Sights
from gateway.processes.relay.tls_counts import TlsCounts, seconds_left
from gateway.processes.relay.ways import Goal, MailHosts, Ways, stays_here
from gateway.processes.relay.words import NO_WORDS, Words
from gateway.processes.relay.work import LEASE_S, Job, Queue
from gateway.processes.trusting import verifying_context
from gateway.protocols.smtp.client import LOST
from gateway.protocols.smtp.transaction import TOO_MANY_RECIPIENTS, Answer, Stage

JOBS_MAX: Final = 500  # under lease at once
TAKE_MAX: Final = 200  # recipients asked for at once
POLL_S: Final = 0.2
CONNECTION_IDLE_S: Final = 2.0  # an idle connection waits so long for another mail
RENEW_EVERY_S: Final = LEASE_S / 4
SHUTDOWN_TIMEOUT_S: Final = 5.0
CHANCE_OCTETS: Final = 2


@dataclass
class Destination:
    """A goal, the jobs that wait for it and the connections it has."""

    goal: Goal
    wanted: Wanted  # of TLS, by the mails it is for
    connections_max: int  # goes down when the host refuses one more than it has
    jobs: asyncio.Queue[Job] = field(default_factory=asyncio.Queue)  # JOBS_MAX at most
    workers: int = 0  # connections, made or in the making
    idle: int = 0


@dataclass(frozen=True, slots=True)
class Means:
    """How a relay presents itself and how patient it is."""

    hostname: str
    demo: bool  # mail stays on this machine
    connections_max: int  # per destination
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
        lane: Lane,
        content: ContentStore,
        keys: KeyStore,
        clock: Clock,
        entropy: Entropy,
        by: By,
        means: Means,
    ) -> None:
        self._queue, self._lane, self._content, self._keys = queue, lane, content, keys
        self._clock, self._entropy, self._by = clock, entropy, by
        self._means = means
        securing = Securing(keys, clock, means.tls_context, means.trusting, means.words)
        self._tls_counts = TlsCounts(clock.now())
        self._ways = Ways(
            hostname=means.hostname,
            securing=securing,
            timeouts=means.timeouts,
            tls_counts=self._tls_counts,
            clock=clock,
            mail_hosts=means.mail_hosts,
            sights=means.sights,
            entropy=entropy,
        )
        self._destinations: dict[tuple[Goal, Wanted], Destination] = {}
        self._jobs: dict[tuple[int, int], Job] = {}  # by position and recipient; ours until released
        self._concluded: asyncio.Queue[tuple[Job, Position]] = asyncio.Queue()
        self._recorder = Recorder(self._append, self._recorded)
        self._has_room = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def run(self) -> None:
        """Raises Deposed when another relay has the lane."""
        await patiently(self._clock, "inherit leases", self._queue.inherit)
        try:
            async with self._tasks as tasks:
                tasks.create_task(self._take_all(), name="take")
                tasks.create_task(self._renew_all(), name="renew")
                tasks.create_task(self._recorder.run(), name="record")
                tasks.create_task(self._release_all(), name="release")
                tasks.create_task(self._count_all(), name="count TLS")
        finally:
            with suppress(Deposed):
                await self._recorder.finish(SHUTDOWN_TIMEOUT_S)  # what a host has said is not forgotten
                await self._tell_counts()
            await self._let_go()

    # --- the queue --------------------------------------------------------------------------------------

    async def _take_all(self) -> None:
        while True:
            await self._room()
            jobs = await patiently(self._clock, "take", partial(self._queue.take, TAKE_MAX))
            if not jobs:
                await self._clock.sleep(POLL_S)
                continue
            agencies = list({job.queued.agency_id for job in jobs if job.queued.agency_id is not None})
            hops = await patiently(self._clock, "take", partial(self._queue.next_hops, agencies))
            policies = await patiently(self._clock, "take", partial(self._queue.tls_policies, agencies))
            await self._content.read_ahead([job.queued.message.content for job in jobs])
            for job in jobs:
                keys = [(job.position, recipient) for recipient in job.recipients]
                if not self._jobs.keys() & keys:  # else its lease was lost here, and the attempt goes on
                    self._jobs |= dict.fromkeys(keys, job)
                    agency_id = job.queued.agency_id
                    hop = hops.get(agency_id) if agency_id else None
                    policy = policies.get(agency_id, NO_TLS_POLICY) if agency_id else NO_TLS_POLICY
                    self._assign(job, hop, policy)

    async def _room(self) -> None:
        """Wait until a whole set can be taken: what is in hand keeps every connection busy meanwhile."""
        while len(self._jobs) > JOBS_MAX - TAKE_MAX:
            self._has_room.clear()
            await self._has_room.wait()

    def _assign(self, job: Job, hop: NextHop | Servers | None, policy: AgencyTls) -> None:
        if job.is_held:
            self._tasks.create_task(self._go_nowhere(job, HELD))
            return
        goal = job.next_hop or hop or job.mail_domain
        if self._means.demo and not stays_here(goal):
            self._tasks.create_task(self._go_nowhere(job, DEMO))
            return
        if goal is None:
            self._tasks.create_task(self._go_nowhere(job, NO_ROUTE))
            return
        queued = job.queued
        domain = goal.name if isinstance(goal, MailDomain) and goal.literal is None else ""
        key = goal, Wanted(queued.requiretls, policy, queued.tls_optional, domain)
        destination = self._destinations.get(key)
        if destination is None:
            destination = self._destinations[key] = Destination(*key, self._means.connections_max)
        destination.jobs.put_nowait(job)
        self._staff(destination)

    async def _renew_all(self) -> None:
        while True:
            await self._clock.sleep(RENEW_EVERY_S)
            jobs = list({id(job): job for job in self._jobs.values()}.values())
            await patiently(self._clock, "renew leases", partial(self._queue.renew, jobs))
            await self._give_back(lambda job: job.lease is not None and job.lease.is_wanted)

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
                self._forget(job)

    async def _give_back(self, is_given: Callable[[Job], bool]) -> None:
        """End the leases of such jobs that nobody has begun, so that who else wants them need not wait."""
        given = list[Job]()
        for destination in self._destinations.values():
            for _ in range(destination.jobs.qsize()):
                job = destination.jobs.get_nowait()
                given.append(job) if is_given(job) else destination.jobs.put_nowait(job)
        if not given:
            return
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                await self._queue.release(given, START.position)
        for job in given:
            self._forget(job)

    async def _let_go(self) -> None:
        """At the end: whom no host can have, and whose outcome the rows know, others may try at once.

        A lease that runs out says that a host may have had the mail: it is left to those of whom that is so.
        """
        jobs = {id(job): job for job in self._jobs.values()}.values()
        recorded = [job for job in jobs if job.recorded_at is not None]
        untouched = [job for job in jobs if job.recorded_at is None and not job.is_doubtful]
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                await self._queue.release(untouched, START.position)
                reached = max((job.recorded_at or START.position for job in recorded), default=START.position)
                await self._queue.release(recorded, reached)

    def _forget(self, job: Job) -> None:
        for recipient in job.recipients:
            self._jobs.pop((job.position, recipient), None)
        self._has_room.set()

    # --- connections ------------------------------------------------------------------------------------

    def _staff(self, destination: Destination) -> None:
        """One more connection, when jobs wait and nobody is free for them."""
        is_wanted = destination.jobs.qsize() > destination.idle
        if is_wanted and destination.workers < destination.connections_max:
            destination.workers += 1
            self._tasks.create_task(self._serve(destination), name=f"serve {destination.goal}")

    async def _serve(self, destination: Destination) -> None:
        """One connection, as long as there is something to send."""
        try:
            opened = await self._ways.connect(destination.goal, destination.wanted)
            if isinstance(opened, NoConnection):
                await self._refused(destination, opened)
            else:
                try:
                    await self._send_all(destination, opened)
                finally:
                    await opened.close()
        finally:
            destination.workers -= 1
        if not destination.workers:
            destination.connections_max = self._means.connections_max
            if destination.jobs.empty():
                self._destinations.pop((destination.goal, destination.wanted), None)
        self._staff(destination)

    async def _refused(self, destination: Destination, refused: NoConnection) -> None:
        """While there are other connections they have the jobs; when the last is refused, all wait."""
        others = destination.workers - 1
        if others:
            destination.connections_max = others
            return
        while not destination.jobs.empty():
            job = destination.jobs.get_nowait()
            opened = await self._open(job)
            if opened is not None:
                answers = refused_all(refused, opened.envelope)
                host = str(refused.target or "")
                await self._conclude(job, opened, answers, host=host, tls=refused.tls)

    async def _send_all(self, destination: Destination, connection: Connection) -> None:
        is_used, last = False, None
        while (job := await self._next_job(destination)) is not None:
            opened = await self._open(job)
            if opened is None:
                continue
            started_s = self._clock.monotonic()
            answers = await connection.send(
                opened.envelope,
                partial(content_of, opened, job.queued.message, self._content),
                partial(self._may_end, job, last),
            )
            if is_used and all(map(_is_worn_out, answers)):
                destination.jobs.put_nowait(job)  # nothing was tried yet: over a new connection
                return
            job, answers = self._leave_the_rest(destination, job, answers)
            last = await self._conclude(
                job, opened, answers, host=str(connection.target), tls=connection.tls, started_s=started_s
            )
            if await connection.ready() is not None:
                return
            is_used = True

    def _leave_the_rest(
        self, destination: Destination, job: Job, answers: Sequence[Answer]
    ) -> tuple[Job, Sequence[Answer]]:
        """What was tried. Recipients above the host's LIMITS were not: they are its next mail."""
        rest = [
            i for i, answer in enumerate(answers) if answer.reply == TOO_MANY_RECIPIENTS and answer.is_ours
        ]
        if not rest or len(rest) == len(answers):
            return job, answers
        tried = [i for i in range(len(answers)) if i not in set(rest)]
        for part in (parted := (job.part(tried), job.part(rest))):
            self._jobs |= {(part.position, recipient): part for recipient in part.recipients}
        parted[1].is_doubtful = False  # of these the host has heard at RCPT, no more
        destination.jobs.put_nowait(parted[1])
        return parted[0], [answers[i] for i in tried]

    async def _next_job(self, destination: Destination) -> Job | None:
        """The next job that still has its lease; None when none came for a while."""
        destination.idle += 1
        try:
            async with asyncio.timeout(CONNECTION_IDLE_S):
                while (job := await destination.jobs.get()).lease is None:
                    self._forget(job)
                return job
        except TimeoutError:
            return None
        finally:
            destination.idle -= 1

    async def _may_end(self, job: Job, last: Conclusion | None) -> bool:
        """Whether the host may have it now. last: of the same connection; first the log has that."""
        if last is not None:
            await last.is_recorded.wait()
        may = job.may_end(self._clock.monotonic())
        if may:
            job.is_doubtful = True
            self._queue.begin(job)
        return may

    # --- outcomes ---------------------------------------------------------------------------------------

    async def _open(self, job: Job) -> OpenMail | None:
        """Envelope and secret of a job; None, and its end recorded, when its keys were destroyed."""
        try:
            return await patiently(
                self._clock,
                "open mail",
                partial(open_mail, job.queued, job.recipients, self._keys, self._clock.now()),
            )
        except KeyForgotten:
            erased = erased_fact(job.queued, job.position, job.recipients, self._stamp())
            await self._recorder.add(Conclusion(job, [erased], 0.0))
            return None

    async def _go_nowhere(self, job: Job, said: Reply) -> None:
        opened = await self._open(job)
        if opened is not None:
            answers = [
                Answer(address, said, Stage.GREETING, is_ours=True) for address in opened.envelope.rcpt_to
            ]
            await self._conclude(job, opened, answers, host="")

    async def _conclude(
        self,
        job: Job,
        opened: OpenMail,
        answers: Sequence[Answer],
        *,
        host: str,
        tls: TlsSeen = NO_TLS_SEEN,
        started_s: float | None = None,
    ) -> Conclusion:
        """Decide what the answers mean and have it recorded."""
        attempts = tuple(
            Attempt(
                recipient,
                made + 1,
                answer.reply,
                answer.is_ours,
                is_about_mail(answer),
                answer.has_dsn,
                tried_at,
            )
            for recipient, made, tried_at, answer in zip(
                job.recipients, job.attempts, job.tried_at, answers, strict=True
            )
        )
        chance = int.from_bytes(self._entropy(CHANCE_OCTETS), "big") / (256**CHANCE_OCTETS - 1)
        facts = outcome_facts(
            Tried(job.queued, job.position, attempts, host, tls),
            stamp=self._stamp(),
            schedule=self._means.schedule,
            chance=chance,
            data_key=opened.data_key,
            nonce=partial(self._entropy, NONCE_OCTETS),
        )
        job.is_doubtful = True
        doubtful = sum(answer.is_uncertain for answer in answers)
        if doubtful:
            maillog.possible_double(mail_id=job.queued.mail_id, recipients=doubtful)
        took_s = 0.0 if started_s is None else self._clock.monotonic() - started_s
        conclusion = Conclusion(job, facts, took_s)
        await self._recorder.add(conclusion)
        return conclusion

    async def _append(self, facts: Sequence[Fact]) -> Position:
        return await patiently(self._clock, "record outcomes", partial(self._lane.append, facts))

    def _recorded(self, conclusions: Sequence[Conclusion], position: Position) -> None:
        for conclusion in conclusions:
            conclusion.job.recorded_at = position
            self._queue.end(conclusion.job)
            self._concluded.put_nowait((conclusion.job, position))
            for fact in conclusion.facts:
                _log_conclusion(fact, conclusion.took_s)

    async def _count_all(self) -> None:
        """Tell each full hour how TLS with hosts went."""
        while True:
            await self._clock.sleep(seconds_left(self._clock.now()))
            for part in parts(list(self._tls_counts.take(self._stamp()))):
                await self._append(part)

    async def _tell_counts(self) -> None:
        """Tell what was counted since, if that is quickly done."""
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                for part in parts(list(self._tls_counts.take(self._stamp()))):
                    await self._lane.append(part)

    def _stamp(self) -> Stamp:
        return Stamp(at=self._clock.now(), actor=Actor("system", "relay"), by=self._by)


def _is_worn_out(answer: Answer) -> bool:
    """True when a host was done with the connection before it heard of the mail (RFC 5321 §3.8)."""
    return answer.stage is Stage.MAIL and (answer.reply == LOST or answer.reply.code == 421)


def _log_conclusion(fact: Fact, took_s: float) -> None:
    event = fact.event
    assert isinstance(event, Attempted), event
    maillog.delivery_concluded(
        mail_id=event.mail_id,
        recipients=len(event.recipients),
        attempt=event.attempt,
        code=event.code,
        status=event.status,
        outcome=event.TOPIC,
        took_s=took_s,
    )
