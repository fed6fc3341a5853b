"""The relay's port Queue, folded from a log in memory."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.domain.agency import NextHop
from gateway.domain.agency_tls import AgencyTls
from gateway.domain.events import Attempted, EnvelopeSecret, MailDeferred, MailQueued
from gateway.domain.pace import destination_name
from gateway.domain.route import Servers
from gateway.domain.routing import envelope_label
from gateway.domain.sealing import unseal, unwrap
from gateway.domain.targets import MailDomain
from gateway.mail.address import normalise_domain
from gateway.mail.ids import AgencyId
from gateway.ports import Position
from gateway.processes.relay.work import ANY, LEASE_S, Job, Rooms
from projections.queue.leases import Lease
from tests.processes.world import World

Waiting = tuple[int, datetime, datetime | None]  # attempts made, time of the next, of the last


@dataclass
class AtDotInMemory:
    """The port AtDot. marked: positions that a host may have."""

    token: str = "test"
    left: Collection[int] | None = ()
    marked: set[int] = field(default_factory=set)

    def inherited(self) -> None:
        self.marked = set()

    def begin(self, position: int) -> None:
        self.marked.add(position)

    def end(self, position: int) -> None:
        self.marked.discard(position)


@dataclass
class MemoryQueue:
    """held: recipients under lease, by position of mail.queued."""

    world: World
    hops: dict[AgencyId, NextHop | Servers] = field(default_factory=dict)
    policies: dict[AgencyId, AgencyTls] = field(default_factory=dict)
    held: set[tuple[int, int]] = field(default_factory=set)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    lost: bool = False

    async def inherit(self) -> None:
        """Nobody was before."""

    def begin(self, job: Job) -> None:
        """Nothing of it outlives the process."""

    def end(self, job: Job) -> None:
        """Likewise."""

    async def take(self, limit: int, rooms: Rooms = ANY) -> Sequence[Job]:
        jobs, taken = list[Job](), Counter[str]()
        for position, (queued, waiting) in (await self._waiting()).items():
            due_now = {
                recipient: (attempt, tried_at)
                for recipient, (attempt, at, tried_at) in waiting.items()
                if at <= self.world.clock.now() and (position, recipient) not in self.held
            }
            for domain, recipients in (await self._domains(queued, due_now)).items():
                destination = destination_name(queued.agency_id, None, domain.name if domain else "")
                if taken[destination] >= rooms[destination] or len(jobs) >= limit:
                    continue
                taken[destination] += 1
                self.held |= {(position, recipient) for recipient in recipients}
                lease = Lease(queued.mail_id, recipients, "test", self.world.clock.monotonic() + LEASE_S)
                attempts, tried_at = zip(*map(due_now.__getitem__, recipients), strict=True)
                job = Job(position, queued, recipients, attempts, tried_at, lease, destination)
                jobs.append(replace(job, mail_domain=domain))
        return jobs

    async def _domains(
        self, queued: MailQueued, recipients: Collection[int]
    ) -> dict[MailDomain | None, tuple[int, ...]]:
        """Who goes together: all, where an agency has their domain, else those of one domain."""
        if queued.agency_id is not None or not recipients:
            return {None: tuple(recipients)} if recipients else {}
        (wrap,) = queued.keys
        data_key = unwrap(wrap.wrapped, await self.world.keys.get(wrap.key))
        secret = unseal(EnvelopeSecret, queued.sealed, data_key, label=envelope_label(queued.mail_id))
        together: dict[MailDomain | None, tuple[int, ...]] = {}
        for place, recipient in enumerate(queued.recipients):
            if recipient in recipients:
                domain = MailDomain(normalise_domain(secret.rcpt_to[place].rpartition("@")[2]))
                together[domain] = (*together.get(domain, ()), recipient)
        return together

    async def _waiting(self) -> dict[int, tuple[MailQueued, dict[int, Waiting]]]:
        """By position of mail.queued: recipients without an end."""
        found: dict[int, tuple[MailQueued, dict[int, Waiting]]] = {}
        for recorded in await self.world.events():
            match recorded.event:
                case MailQueued() as queued:
                    found[recorded.position] = queued, dict.fromkeys(queued.recipients, (0, queued.at, None))
                case MailDeferred() as deferred:
                    waiting = found[int(deferred.cause)][1]
                    waiting |= dict.fromkeys(
                        deferred.recipients, (deferred.attempt, deferred.next_attempt_at, deferred.at)
                    )
                case Attempted() as ended if int(ended.cause) in found:
                    for recipient in ended.recipients:
                        del found[int(ended.cause)][1][recipient]
        return found

    async def renew(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if self.lost:
                job.lease = None
            elif job.lease is not None:
                job.lease = replace(job.lease, ends_s=self.world.clock.monotonic() + LEASE_S)

    async def release(self, jobs: Sequence[Job], position: Position) -> bool:
        self.held -= {(job.position, recipient) for job in jobs for recipient in job.recipients}
        self.released.set()
        return True

    async def next_hops(self, agencies: Sequence[AgencyId]) -> dict[AgencyId, NextHop | Servers]:
        return {agency_id: hop for agency_id, hop in self.hops.items() if agency_id in agencies}

    async def tls_policies(self, agencies: Sequence[AgencyId]) -> dict[AgencyId, AgencyTls]:
        return {agency_id: policy for agency_id, policy in self.policies.items() if agency_id in agencies}
