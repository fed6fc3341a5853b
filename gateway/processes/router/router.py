"""The router: follows the log and decides every mail of its share, once.

Two tasks side by side: one reads and decides, the other appends what has been decided meanwhile, one append
in flight. Each append starts with router.decided, guarded by the share's history: progress and facts are one
write, a crash goes on from there, and a twin that was paused is refused.

Source: architecture §2.2.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from gateway.domain.codec import MalformedEvent
from gateway.domain.events import (
    EVENT_TYPES,
    Actor,
    By,
    ConsumerHeld,
    ConsumerReleased,
    Fact,
    MailAccepted,
    MailBounced,
    MailDeferred,
    MailDelivered,
    MailRelayed,
    MailReleased,
    RouterDecided,
    Stamp,
)
from gateway.domain.forwarding import MailForwarded
from gateway.domain.histories import consumer_history, route_history
from gateway.domain.maillist import ListExpanded
from gateway.domain.progress import Joined, Step
from gateway.domain.steering import MailCancelled
from gateway.mail.ids import share_of
from gateway.ports import (
    START,
    Checkpoint,
    Clock,
    Conflict,
    Deposed,
    EventLog,
    Position,
    Recorded,
    Unavailable,
)
from gateway.processes import maillog
from gateway.processes.patience import patiently
from gateway.processes.router.decisions import Decisions, Undecidable, Work
from gateway.processes.router.directory import DIRECTORY_TOPICS, Directory
from gateway.processes.router.reports import Reported

CONSUMER: Final = "router"
DECIDED_TOPICS: Final = frozenset(
    {MailAccepted.TOPIC, MailReleased.TOPIC, MailBounced.TOPIC, ListExpanded.TOPIC, MailForwarded.TOPIC}
)
# Of these only what a sender wants to know wants a decision. It has this field, and a name and a colon stand
# in JSON nowhere else: the others, nearly all, are passed over without being decoded.
REPORTED: Final = {
    MailDelivered.TOPIC: b'"report_success":',
    MailRelayed.TOPIC: b'"report_success":',
    MailDeferred.TOPIC: b'"report_delay":',
    MailCancelled.TOPIC: b'"report_failure":',
}
STEPS_AHEAD_MAX: Final = 256  # decided and not appended yet; a step is at most 1 MB, nearly always 2 kB
PROGRESS_EVERY: Final = 10_000  # positions, when none of them was a mail of this share
DIRECTORY_TIMEOUT_S: Final = 10.0
SHUTDOWN_TIMEOUT_S: Final = 2.0


class Router:
    """One share of the mails. `run` ends only by an error or by being cancelled."""

    def __init__(
        self,
        *,
        share: int,
        shares: int,
        log: EventLog,
        directory: Directory,
        decisions: Decisions,
        clock: Clock,
        by: By,
    ) -> None:
        assert 0 <= share < shares, (share, shares)
        self._share, self._shares = share, shares
        self._log, self._directory, self._decisions = log, directory, decisions
        self._clock, self._by = clock, by
        self._history = route_history(share)
        self._guard = START.position  # of the share's history
        self._decided = Step(START.position)  # how far the log says we are
        self._seen = Step(START.position)  # how far we are, facts or not
        self._directory_at = START.position  # the last event the directory is folded from
        self._directory_reached = START.position
        self._held: set[int] = set()
        self._aside: set[int] = set()  # held and passed over
        self._waits_at = START.position  # the last mail that waits for its release (RFC 4865)
        self._steps: asyncio.Queue[Step] = asyncio.Queue(STEPS_AHEAD_MAX)

    async def run(self) -> None:
        """Raises Deposed when another router has the share, Undecidable, LogCorrupt."""
        checkpoint = await patiently(self._clock, "start", self._load)
        appending = asyncio.create_task(self._append_all(), name="append")
        deciding = asyncio.create_task(self._decide_all(checkpoint), name="decide")
        try:
            done, _ = await asyncio.wait((deciding, appending), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (deciding, appending):
                task.cancel()
            await asyncio.gather(deciding, appending, return_exceptions=True)
            await self._leave_progress()

    # --- where we are -----------------------------------------------------------------------------------

    async def _load(self) -> Checkpoint:
        """Read how far the share is, and what is held. Returns where to follow from."""
        decided = await self._log.latest(self._history)
        self._note_holds(await self._log.history(consumer_history(CONSUMER)))
        if decided is None:
            return START
        event = decided.event
        assert isinstance(event, RouterDecided), event
        self._guard = decided.position
        self._decided = self._seen = Step(event.up_to, event.ended, aside=event.aside)
        self._aside = set(event.aside)
        self._directory_at = Position(event.up_to)  # what came before was not seen by this process
        if not event.up_to:
            return START
        at = await self._log.read(Position(event.up_to))
        return Checkpoint(at.position, at.digest)

    def _note_holds(self, holds: Sequence[Recorded]) -> None:
        for recorded in holds:
            match recorded.event:
                case ConsumerHeld(position=position):
                    self._held.add(position)
                case ConsumerReleased(position=position):
                    self._held.discard(position)
                case event:
                    raise Undecidable(recorded, f"{event.TOPIC} is no hold")

    # --- deciding ---------------------------------------------------------------------------------------

    async def _decide_all(self, checkpoint: Checkpoint) -> None:
        async for batch in self._log.follow(checkpoint):
            work = await self._work_in(batch)
            if work:
                await self._decide(work)
            await self._steps.put(Step(batch[-1].position, aside=tuple(sorted(self._aside))))

    async def _work_in(self, batch: Sequence[Recorded]) -> list[Work]:
        """The events of this share that want a decision; the rest is only noted."""
        work = list[Work]()
        for recorded in batch:
            at = recorded.position
            if recorded.subject == f"ev.{consumer_history(CONSUMER)}":
                self._note_holds([recorded])
                recorded = await self._released(recorded)
            if recorded.topic in DIRECTORY_TOPICS:
                self._directory_at = recorded.position
            elif self._is_ours(recorded):
                if _is_held_back(recorded) and recorded.position == at:
                    self._waits_at = recorded.position
                    continue  # decided when it is released
                if recorded.topic == MailReleased.TOPIC and recorded.position not in self._held:
                    recorded = await self._of_release(recorded)
                ended = self._decided.ended if at == self._decided.up_to + 1 else ()
                work.append(Work(recorded, at, ended, is_held=recorded.position in self._held))
            else:
                self._aside.discard(recorded.position)  # now that it can be read: another router's
        return work

    async def _released(self, recorded: Recorded) -> Recorded:
        """The event whose release this is, if it was passed over; else what was given."""
        match recorded.event:
            case ConsumerReleased(position=position) if position in self._aside:
                return await patiently(self._clock, "read", lambda: self._log.read(Position(position)))
        return recorded

    async def _of_release(self, recorded: Recorded) -> Recorded:
        """The mail.accepted whose time has come (RFC 4865)."""
        event = recorded.event
        assert isinstance(event, MailReleased), event
        position = Position(event.accepted)
        accepted = await patiently(self._clock, "read", lambda: self._log.read(position))
        mail = accepted.event
        if not isinstance(mail, MailAccepted) or mail.mail_id != event.mail_id:
            raise Undecidable(recorded, f"{position} is another mail")
        return accepted

    def _is_ours(self, recorded: Recorded) -> bool:
        """True also for what nobody can read: every router stops there."""
        if recorded.topic in REPORTED:
            if REPORTED[recorded.topic] not in recorded.state:
                return False
        elif recorded.topic not in DECIDED_TOPICS:
            return recorded.topic not in EVENT_TYPES
        try:
            event = recorded.event
        except MalformedEvent:
            return True
        assert isinstance(event, MailAccepted | MailReleased | ListExpanded | Reported), event
        return share_of(event.mail_id, self._shares) == self._share

    async def _decide(self, work: Sequence[Work]) -> None:
        """Decide on the rows of a directory that knows all we have seen of it."""
        await self._reach_directory()
        try:
            decided = await patiently(self._clock, "decide", lambda: self._decisions.on(work))
        except Undecidable as poison:
            before = next(i for i, one in enumerate(work) if one.recorded is poison.recorded)
            if before:
                await self._decide(work[:before])
            await self._steps.join()
            maillog.poison_event(
                consumer=CONSUMER,
                position=poison.recorded.position,
                topic=poison.recorded.topic,
                reason=poison.reason,
            )
            raise
        for one, steps in zip(work, decided, strict=True):
            await self._put(one, steps)

    async def _put(self, work: Work, steps: Sequence[Step]) -> None:
        """Hand steps on. What is aside changes with the last of them."""
        position = work.recorded.position
        for number, step in enumerate(steps, 1):
            if number == len(steps):
                if work.is_held:
                    maillog.position_passed_over(consumer=CONSUMER, position=position)
                    self._aside.add(position)
                else:
                    self._aside.discard(position)
            await self._steps.put(replace(step, aside=tuple(sorted(self._aside))))

    async def _reach_directory(self) -> None:
        if self._directory_at <= self._directory_reached:
            return

        async def reach() -> None:
            if not await self._directory.reach(self._directory_at, DIRECTORY_TIMEOUT_S):
                raise Unavailable("directory", f"its rows have not reached position {self._directory_at}")

        await patiently(self._clock, "look up recipients", reach)
        self._directory_reached = self._directory_at

    # --- appending --------------------------------------------------------------------------------------

    async def _append_all(self) -> None:
        following: Step | None = None
        while True:
            joined = Joined(following or await self._steps.get())
            following = None
            while following is None and not self._steps.empty():
                step = self._steps.get_nowait()
                if not joined.take(step):
                    following = step
            await self._append(joined.step())
            for _ in joined.parts:
                self._steps.task_done()

    async def _append(self, step: Step) -> None:
        self._seen = step
        is_news = bool(step.facts) or step.aside != self._decided.aside
        is_news = is_news or self._decided.up_to < self._waits_at <= step.up_to  # else it seems undecided
        if is_news or step.up_to - self._decided.up_to >= PROGRESS_EVERY:
            await patiently(self._clock, "append", lambda: self._append_once(step))

    async def _append_once(self, step: Step) -> None:
        stamp = Stamp(at=self._clock.now(), actor=Actor("system", "router"), by=self._by)
        decided = RouterDecided(**stamp.fields(), up_to=step.up_to, ended=step.ended, aside=step.aside)
        facts = [Fact(self._history, decided), *step.facts]
        try:
            last = await self._log.append_guarded(facts, {self._history: self._guard})
        except Conflict as error:
            raise Deposed(f"deposed: another router has share {self._share} now") from error
        self._guard = Position(last - len(facts) + 1)
        self._decided = step
        mails = len({fact.event.cause for fact in step.facts})
        maillog.mails_decided(share=self._share, up_to=step.up_to, mails=mails, events=len(step.facts))

    async def _leave_progress(self) -> None:
        """On the way out: spare the next one what was read and had nothing to decide."""
        if self._seen.up_to > self._decided.up_to and not self._seen.facts:
            with suppress(Unavailable, Deposed, TimeoutError):
                async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                    await self._append_once(self._seen)


def _is_held_back(recorded: Recorded) -> bool:
    """True for a mail that its sender wants to wait (RFC 4865)."""
    if recorded.topic != MailAccepted.TOPIC or b'"hold_until":' not in recorded.state:
        return False
    event = recorded.event
    return isinstance(event, MailAccepted) and event.hold_until is not None
