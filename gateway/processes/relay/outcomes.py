"""A job from its envelope to what is recorded of it.

Source: architecture §2.4; RFC 5321 §4.5.4.1.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

from gateway.domain.delivery import Attempt, Tried, erased_fact, outcome_facts
from gateway.domain.events import Actor, By, Stamp
from gateway.domain.retries import RetrySchedule
from gateway.domain.sealing import NONCE_OCTETS
from gateway.domain.steering import Hold, Waiting, steered
from gateway.domain.tls_policy import NO_TLS_SEEN, TlsSeen
from gateway.mail.reply import Reply
from gateway.ports import Clock, Entropy, KeyForgotten, KeyStore
from gateway.processes import maillog
from gateway.processes.patience import patiently
from gateway.processes.relay.connection import is_about_mail
from gateway.processes.relay.opening import OpenMail, open_mail
from gateway.processes.relay.recording import Conclusion, Recorder
from gateway.processes.relay.work import Job
from gateway.protocols.smtp.transaction import Answer, Stage

CHANCE_OCTETS: Final = 2


class Outcomes:
    """Opens what is to be tried, decides what answers mean and has it recorded."""

    def __init__(
        self,
        *,
        keys: KeyStore,
        clock: Clock,
        entropy: Entropy,
        by: By,
        schedule: RetrySchedule,
        recorder: Recorder,
    ) -> None:
        self._keys, self._clock, self._entropy, self._by = keys, clock, entropy, by
        self._schedule, self._recorder = schedule, recorder

    async def open(self, job: Job) -> OpenMail | None:
        """Envelope and secret of a job; None, and its end recorded, when its keys were destroyed."""
        try:
            return await patiently(
                self._clock,
                "open mail",
                partial(open_mail, job.queued, job.recipients, self._keys, self._clock.now()),
            )
        except KeyForgotten:
            erased = erased_fact(job.queued, job.position, job.recipients, self.stamp())
            await self._recorder.add(Conclusion(job, [erased], 0.0))
            return None

    async def go_nowhere(self, job: Job, said: Reply, *, not_before: datetime | None = None) -> None:
        """It is said by us, and no host was asked. not_before: nor is one asked until then."""
        opened = await self.open(job)
        if opened is not None:
            answers = [
                Answer(address, said, Stage.GREETING, is_ours=True) for address in opened.envelope.rcpt_to
            ]
            await self.conclude(job, opened, answers, host="", not_before=not_before)

    async def hold(self, job: Job, why: str) -> None:
        """Its destination is held: from now on it waits for its release, as if a person had held it."""
        opened = await self.open(job)
        if opened is None:
            return
        waiting = Waiting(job.queued, job.position, job.recipients, is_held=False, next_hop=job.next_hop)
        held = steered(
            Hold(),
            waiting,
            self.stamp(),
            why=why,
            data_key=opened.data_key,
            nonce=partial(self._entropy, NONCE_OCTETS),
        )
        await self._recorder.add(Conclusion(job, [held], 0.0))

    async def conclude(
        self,
        job: Job,
        opened: OpenMail,
        answers: Sequence[Answer],
        *,
        host: str,
        tls: TlsSeen = NO_TLS_SEEN,
        started_s: float | None = None,
        not_before: datetime | None = None,
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
                answer.stage is Stage.RCPT,
            )
            for recipient, made, tried_at, answer in zip(
                job.recipients, job.attempts, job.tried_at, answers, strict=True
            )
        )
        chance = int.from_bytes(self._entropy(CHANCE_OCTETS), "big") / (256**CHANCE_OCTETS - 1)
        facts = outcome_facts(
            Tried(job.queued, job.position, attempts, host, tls, not_before),
            stamp=self.stamp(),
            schedule=self._schedule,
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

    def stamp(self) -> Stamp:
        return Stamp(at=self._clock.now(), actor=Actor("system", "relay"), by=self._by)
