"""Destinations: the mails in hand for each, and the connections that bring them there.

A destination has lines: mails that may share a connection, because they go the same way and want the same of
TLS. A connection serves one line at a time and the destination's lines in turn, so that none of them waits
for ever. Several mails a connection, several recipients a transaction. What a host does not take now, one
other host is asked to take in the same attempt: such mails are a line of their own.

Source: architecture §2.4; ADR 0021, 0022.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final, assert_never

from gateway.domain.delivery import suspended
from gateway.domain.events import MailDeferred
from gateway.domain.pace import Bounds, Full, Later, Pace, Situation, Suspended
from gateway.ports import Clock, ContentStore
from gateway.processes import maillog
from gateway.processes.patience import patiently
from gateway.processes.relay.connection import (
    Connection,
    NoConnection,
    another_may_take,
    is_about_mail,
    refused_all,
)
from gateway.processes.relay.in_hand import InHand
from gateway.processes.relay.lines import Destination, Line
from gateway.processes.relay.opening import OpenMail, content_of
from gateway.processes.relay.outcomes import Outcomes
from gateway.processes.relay.paces import Paces, Place
from gateway.processes.relay.recording import Conclusion
from gateway.processes.relay.securing import Wanted
from gateway.processes.relay.ways import Goal, Ways, host_of
from gateway.processes.relay.work import Job, Rooms, Said
from gateway.protocols.smtp.client import LOST
from gateway.protocols.smtp.transaction import TOO_MANY_RECIPIENTS, Answer, Stage

Asked = tuple[Job, Sequence[Answer]]  # an answer for each recipient of the job

CONNECTION_IDLE_S: Final = 2.0  # an idle connection waits so long for another mail
FULL_PAUSE_S: Final = 1.0  # before a destination is asked again that has all connections it may have
LOOK_EVERY_S: Final = 1.0
LINE_MAILS_MAX: Final = 100  # on one connection, while another line waits


class Destinations:
    """Every destination there is a mail in hand for.

    begin: called before a host may have a job. give_back: ends the leases of jobs nobody has begun.
    """

    def __init__(
        self,
        *,
        ways: Ways,
        paces: Paces,
        content: ContentStore,
        outcomes: Outcomes,
        in_hand: InHand,
        clock: Clock,
        tasks: asyncio.TaskGroup,
        begin: Callable[[Job], None],
        give_back: Callable[[Sequence[Job]], Awaitable[None]],
        bounds: Bounds,
    ) -> None:
        self._ways, self._paces, self._content, self._outcomes = ways, paces, content, outcomes
        self._in_hand, self._clock, self._tasks = in_hand, clock, tasks
        self._begin, self._give_back, self._bounds = begin, give_back, bounds
        self._all: dict[str, Destination] = {}
        self._places: dict[str, Place] = {}  # by token

    def assign(self, job: Job, goal: Goal, wanted: Wanted) -> None:
        destination = self._all.get(job.destination)
        if destination is None:
            destination = Destination(job.destination, Situation(self._bounds), self._clock.monotonic())
            self._all[job.destination] = destination
        until = destination.put_off_until(self._clock.now())
        if until is not None:
            self._tasks.create_task(self._put_off(job, destination.pace.why, until))
            return
        destination.line(goal, wanted).jobs.put_nowait(job)
        self._staff(destination)

    def rooms(self) -> Rooms:
        """How many more mails each takes."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        return Rooms({name: destination.room(now, now_s) for name, destination in self._all.items()})

    def take_unbegun(self, is_taken: Callable[[Job], bool]) -> list[Job]:
        """Such jobs that no connection has."""
        return [job for destination in self._all.values() for job in destination.take_unbegun(is_taken)]

    async def look(self, names: Iterable[str]) -> None:
        """How those stand that are suspended, as far as is known here: others may have learnt more."""
        await self._look({name for name in names if name in self._all and self._all[name].pace.probe_at})

    async def run(self) -> None:
        """Ask again for those that had all connections they may have, and forget those nothing waits for."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            await self._look([name for name, each in self._all.items() if each.places or each.pace.probe_at])
            now, now_s = self._clock.now(), self._clock.monotonic()
            for destination in list(self._all.values()):
                self._staff(destination)
                is_paused = destination.put_off_until(now) is not None or now_s < destination.asked_from_s
                if not (destination.in_hand or destination.workers or is_paused):
                    del self._all[destination.name]

    async def renew(self) -> None:
        """Keep the places of connections. Raises Unavailable."""
        await self._paces.renew(list(self._places.values()))

    async def end(self) -> None:
        """At the end, when all connections are closed. Raises Unavailable."""
        await self._paces.release(list(self._places.values()))

    async def _look(self, names: Collection[str]) -> None:
        """See what other relays and people have done."""
        if not names:
            return
        look = partial(self._paces.look, names)
        for name, situation in (await patiently(self._clock, "look at destinations", look)).items():
            if name in self._all:
                self._all[name].situation = situation

    # --- connections ------------------------------------------------------------------------------------

    def _staff(self, destination: Destination) -> None:
        """One more connection, when jobs wait and nobody is free for them."""
        is_wanted = any(line.unattended for line in destination.lines.values())
        most, now_s = destination.situation.places_max, self._clock.monotonic()
        is_full = destination.workers >= most or now_s < destination.asked_from_s
        if is_wanted and not is_full:
            destination.workers += 1
            self._tasks.create_task(self._serve(destination), name=f"serve {destination.name}")

    async def _serve(self, destination: Destination) -> None:
        """One connection after the other, as long as there is something to send."""
        place = None
        try:
            place = await self._take_place(destination)
            is_welcome = place is not None
            while place and is_welcome and (line := destination.next_line()) is not None:
                is_welcome = await self._bring(destination, line, place)
                now_s = self._clock.monotonic()
                is_welcome &= not destination.must_end(place, now_s) and now_s >= destination.later_until_s
        finally:
            destination.workers -= 1
            destination.places -= place is not None
            destination.leaving -= place is not None and place.is_leaving
        if place is not None:
            release = partial(self._paces.release, [place])
            await patiently(self._clock, "end a connection", release)
            del self._places[place.token]
            situation = destination.situation
            destination.situation = replace(situation, places=max(0, situation.places - 1))
        self._staff(destination)

    async def _take_place(self, destination: Destination) -> Place | None:
        """A place for a connection. None: it is not to be, and nobody waits for it here."""
        take = partial(self._paces.take, destination.name)
        answer, destination.situation = await patiently(self._clock, "take a place", take)
        match answer:
            case Place():
                destination.places += 1
                self._places[answer.token] = answer
                return answer
            case Full() | Later():
                pause_s = answer.seconds if isinstance(answer, Later) else FULL_PAUSE_S
                destination.full_until_s = self._clock.monotonic() + pause_s
                if not destination.places:  # relays that have connections may have the jobs too
                    await self._give_back(destination.take_unbegun())
            case Suspended():
                await self._put_off_all(destination, answer.why, answer.until)
            case _:
                assert_never(answer)
        return None

    async def _put_off_all(self, destination: Destination, why: str, until: datetime) -> None:
        for job in destination.take_unbegun():
            await self._put_off(job, why, until)

    async def _put_off(self, job: Job, why: str, until: datetime) -> None:
        if job.said is not None:
            await self._as_said(job, not_before=until)
        else:
            await self._outcomes.go_nowhere(job, suspended(why), not_before=until)

    async def _bring(self, destination: Destination, line: Line, place: Place) -> bool:
        """Over one connection what waits in a line. False when it is one connection too many."""
        with line.attended():
            with line.opened():
                opened = await self._ways.connect(line.goal, line.wanted, line.past)
            if isinstance(opened, NoConnection):
                return await self._refused(destination, line, place, opened)
            try:
                await self._heard(destination, partial(self._paces.opened, place))
                await self._send_all(destination, line, place, opened)
            finally:
                await opened.close()
        return True

    async def _refused(
        self, destination: Destination, line: Line, place: Place, refused: NoConnection
    ) -> bool:
        """While there are other connections they have the line's jobs; when the last is refused, all wait."""
        if line.past is not None:
            return await self._no_other(line)
        why = " / ".join(refused.reply.text)
        is_silent = not is_about_mail(refused) and refused.stage is not Stage.STARTTLS
        tell = partial(self._paces.refused, place, why) if is_silent else partial(self._paces.opened, place)
        await self._heard(destination, tell)
        others = line.workers - 1
        if others:
            line.workers_max = others
            return False
        until = destination.put_off_until(self._clock.now())
        while not line.jobs.empty():
            job = line.jobs.get_nowait()
            opened = await self._outcomes.open(job)
            if opened is not None:
                answers, host = refused_all(refused, opened.envelope), str(refused.target or "")
                await self._outcomes.conclude(
                    job, opened, answers, host=host, tls=refused.tls, not_before=until
                )
        if until is not None:
            await self._put_off_all(destination, destination.pace.why, until)
        return True

    async def _no_other(self, line: Line) -> bool:
        """No other host is there now: what the first has said of the mails is what becomes of them."""
        while not line.jobs.empty():
            await self._as_said(line.jobs.get_nowait())
        return True

    async def _as_said(self, job: Job, *, not_before: datetime | None = None) -> None:
        """What the host asked first has said is the outcome."""
        said = job.said
        assert said is not None, job
        opened = await self._outcomes.open(job)
        if opened is not None:
            host = str(said.target)
            await self._outcomes.conclude(
                job, opened, said.answers, host=host, tls=said.tls, not_before=not_before
            )

    async def _heard(
        self, destination: Destination, tell: Callable[[], Awaitable[tuple[Pace, Situation]]]
    ) -> None:
        """Have all relays know of it, and know what they do."""
        before, destination.situation = await patiently(self._clock, "tell of a destination", tell)
        after = destination.pace
        if before.suspended_at is None and after.probe_at is not None:
            maillog.destination_suspended(
                destination=destination.name, why=after.why, probe_at=after.probe_at
            )
        elif before.suspended_at is not None and after.suspended_at is None:
            maillog.destination_resumed(destination=destination.name, suspended_at=before.suspended_at)

    async def _count(self, destination: Destination, place: Place, conclusion: Conclusion) -> None:
        """What became of a mail opens or closes the window, as soon as that makes a difference."""
        is_deferred = any(isinstance(fact.event, MailDeferred) for fact in conclusion.facts)
        untold, window = destination.untold, destination.pace.window
        untold["deferred" if is_deferred else "went"] += 1
        opens = untold["went"] >= window and window < destination.situation.bounds.connections
        if opens or (untold["deferred"] and window > 1):
            tell = partial(self._paces.told, place, untold["went"], untold["deferred"])
            untold.clear()
            await self._heard(destination, tell)
            self._staff(destination)

    async def _send_all(
        self, destination: Destination, line: Line, place: Place, connection: Connection
    ) -> None:
        sent, last = 0, None
        while (job := await self._next_job(destination, line, place, sent)) is not None:
            if not await self._may_go(destination, place):
                line.jobs.put_nowait(job)
                return
            destination.busy += 1
            try:
                opened = await self._outcomes.open(job)
                if opened is None:
                    continue
                concluded = await self._send(destination, line, job, opened, connection, last)
            finally:
                destination.busy -= 1
                destination.went += 1
            if concluded is not None:
                last = concluded
                await self._count(destination, place, last)
            if await connection.ready() is not None:
                return
            sent += 1

    async def _send(
        self,
        destination: Destination,
        line: Line,
        job: Job,
        opened: OpenMail,
        connection: Connection,
        last: Conclusion | None,
    ) -> Conclusion | None:
        """Offer one mail. last: of the one before on this connection. None: it is tried elsewhere."""
        started_s = self._clock.monotonic()
        answers = await connection.send(
            opened.envelope,
            partial(content_of, opened, job.queued.message, self._content),
            partial(self._may_end, job, last),
        )
        if last is not None and all(map(_is_worn_out, answers)):
            line.jobs.put_nowait(job)  # nothing was tried yet: over a new connection
            return None
        job, answers = self._leave_the_rest(line, job, answers)
        if line.past is None and not connection.is_last:
            job, answers = self._ask_another(destination, line, connection, job, answers)
        elif line.past is not None:
            job, answers = await self._overrule(job, answers)
        if not answers:
            return None
        return await self._outcomes.conclude(
            job, opened, answers, host=str(connection.target), tls=connection.tls, started_s=started_s
        )

    def _leave_the_rest(self, line: Line, job: Job, answers: Sequence[Answer]) -> Asked:
        """What was tried. Recipients above the host's LIMITS were not: they are its next mail."""
        rest = [
            i for i, answer in enumerate(answers) if answer.reply == TOO_MANY_RECIPIENTS and answer.is_ours
        ]
        if not rest or len(rest) == len(answers):
            return job, answers
        left, kept = self._part(job, answers, rest)
        line.jobs.put_nowait(left)
        return kept

    def _ask_another(
        self,
        destination: Destination,
        line: Line,
        connection: Connection,
        job: Job,
        answers: Sequence[Answer],
    ) -> Asked:
        """What this host decides. Whom it does not take now, one other host is asked to take at once."""
        not_now = [i for i, answer in enumerate(answers) if another_may_take(answer)]
        if not not_now:
            return job, answers
        asked, kept = self._part(job, answers, not_now)
        asked.said = Said(tuple(answers[i] for i in not_now), connection.target, connection.tls)
        destination.line(line.goal, line.wanted, host_of(connection.target)).jobs.put_nowait(asked)
        self._staff(destination)
        return kept

    async def _overrule(self, job: Job, answers: Sequence[Answer]) -> Asked:
        """What the second host decides. The first is nearer to the mail's end and said `not now`: that the
        second never takes it is not final."""
        never = [i for i, answer in enumerate(answers) if answer.reply.is_permanent]
        if not never:
            return job, answers
        overruled, kept = self._part(job, answers, never)
        await self._as_said(overruled)
        return kept

    def _part(self, job: Job, answers: Sequence[Answer], places: Sequence[int]) -> tuple[Job, Asked]:
        """Take some recipients out, whom no host has. No answers: they were all."""
        others = [i for i in range(len(answers)) if i not in set(places)]
        taken, kept = (job.part(places), job.part(others)) if others else (job, job)
        self._in_hand.replace((taken, kept))
        taken.is_doubtful = False  # of these the host has heard, no more
        return taken, (kept, [answers[i] for i in others])

    async def _next_job(self, destination: Destination, line: Line, place: Place, sent: int) -> Job | None:
        """The next job that still has its lease; None when none came for a while, or the connection ends."""
        others = (other for other in destination.lines.values() if other is not line)
        is_another_waiting = any(other.unattended for other in others)
        if is_another_waiting and (line.jobs.empty() or sent >= LINE_MAILS_MAX):
            return None
        if destination.must_end(place, self._clock.monotonic()):
            return None
        line.idle += 1
        try:
            async with asyncio.timeout(CONNECTION_IDLE_S):
                while (job := await line.jobs.get()).lease is None:
                    self._in_hand.forget(job)
                return job
        except TimeoutError:
            return None
        finally:
            line.idle -= 1

    async def _may_go(self, destination: Destination, place: Place) -> bool:
        """Wait until a mail more may go to it. False: that is not soon, and nobody connects until then."""
        may_bring, place.may_bring = place.may_bring, False
        if may_bring or destination.situation.bounds.mails_a_minute is None:
            return True
        ask = partial(self._paces.next_mail, place)
        answer = await patiently(self._clock, "ask for a mail's turn", ask)
        if isinstance(answer, Later):
            destination.later_until_s = self._clock.monotonic() + answer.seconds
            return False
        await self._clock.sleep(answer.in_s)
        return True

    async def _may_end(self, job: Job, last: Conclusion | None) -> bool:
        """Whether the host may have it now. last: of the same connection; first the log has that."""
        if last is not None:
            await last.is_recorded.wait()
        may = job.may_end(self._clock.monotonic())
        if may:
            job.is_doubtful = True
            self._begin(job)
        return may


def _is_worn_out(answer: Answer) -> bool:
    """True when a host was done with the connection before it heard of the mail (RFC 5321 §3.8)."""
    return answer.stage is Stage.MAIL and (answer.reply == LOST or answer.reply.code == 421)
