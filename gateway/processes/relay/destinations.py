"""Destinations: the mails in hand for each, and the connections that bring them there.

A destination has lines: mails that may share a connection, because they go the same way and want the same of
TLS. A connection serves one line at a time and the destination's lines in turn, so that none of them waits
for ever. Several mails a connection, several recipients a transaction.

Source: architecture §2.4; ADR 0021.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from gateway.domain.pace import in_hand_max
from gateway.ports import Clock, ContentStore
from gateway.processes.relay.connection import Connection, NoConnection, refused_all
from gateway.processes.relay.in_hand import InHand
from gateway.processes.relay.opening import OpenMail, content_of
from gateway.processes.relay.outcomes import Outcomes
from gateway.processes.relay.recording import Conclusion
from gateway.processes.relay.securing import Wanted
from gateway.processes.relay.ways import Goal, Ways
from gateway.processes.relay.work import Job, Rooms
from gateway.protocols.smtp.client import LOST
from gateway.protocols.smtp.transaction import TOO_MANY_RECIPIENTS, Answer, Stage

CONNECTION_IDLE_S: Final = 2.0  # an idle connection waits so long for another mail
LINE_MAILS_MAX: Final = 100  # on one connection, while another line waits


@dataclass
class Line:
    """Mails that may share a connection. idle: connections that wait for one more."""

    goal: Goal
    wanted: Wanted
    jobs: asyncio.Queue[Job] = field(default_factory=asyncio.Queue)  # JOBS_MAX at most
    idle: int = 0

    @property
    def unattended(self) -> int:
        """Jobs for which no connection is free."""
        return max(0, self.jobs.qsize() - self.idle)


@dataclass
class Destination:
    """Lines, connections, and how fast mails go."""

    name: str
    connections_max: int  # goes down when the host refuses one more than it has
    measured_from_s: float  # by the monotonic clock
    lines: dict[tuple[Goal, Wanted], Line] = field(default_factory=dict)
    workers: int = 0  # connections, made or in the making
    busy: int = 0  # jobs on a connection
    went: int = 0  # jobs concluded since measured_from_s
    in_hand_max: int = field(default_factory=partial(in_hand_max, 0, 0.0))

    def line(self, goal: Goal, wanted: Wanted) -> Line:
        return self.lines.setdefault((goal, wanted), Line(goal, wanted))

    def next_line(self) -> Line | None:
        """One with jobs that nobody attends to; the others come first the next time."""
        for key, line in self.lines.items():
            if line.unattended:
                self.lines[key] = self.lines.pop(key)
                return line
        return None

    @property
    def in_hand(self) -> int:
        return self.busy + sum(line.jobs.qsize() for line in self.lines.values())

    def room(self, now_s: float) -> int:
        """How many more jobs it takes now; measures how fast they go once a second, or when all have gone."""
        seconds = now_s - self.measured_from_s
        if self.went and (seconds >= 1 or not self.in_hand):
            self.in_hand_max = in_hand_max(self.went, seconds)
            self.went, self.measured_from_s = 0, now_s
        return max(0, self.in_hand_max - self.in_hand)


class Destinations:
    """Every destination there is a mail in hand for. begin: called before a host may have a job."""

    def __init__(
        self,
        *,
        ways: Ways,
        content: ContentStore,
        outcomes: Outcomes,
        in_hand: InHand,
        clock: Clock,
        tasks: asyncio.TaskGroup,
        begin: Callable[[Job], None],
        connections_max: int,
    ) -> None:
        self._ways, self._content, self._outcomes, self._in_hand = ways, content, outcomes, in_hand
        self._clock, self._tasks, self._begin = clock, tasks, begin
        self._connections_max = connections_max
        self._all: dict[str, Destination] = {}

    def assign(self, job: Job, goal: Goal, wanted: Wanted) -> None:
        destination = self._all.get(job.destination)
        if destination is None:
            destination = Destination(job.destination, self._connections_max, self._clock.monotonic())
            self._all[job.destination] = destination
        destination.line(goal, wanted).jobs.put_nowait(job)
        self._staff(destination)

    def rooms(self) -> Rooms:
        """How many more mails each takes."""
        now_s = self._clock.monotonic()
        return Rooms({name: destination.room(now_s) for name, destination in self._all.items()})

    def take_unbegun(self, is_taken: Callable[[Job], bool]) -> list[Job]:
        """Such jobs that no connection has."""
        taken = list[Job]()
        for line in [line for destination in self._all.values() for line in destination.lines.values()]:
            for _ in range(line.jobs.qsize()):
                job = line.jobs.get_nowait()
                taken.append(job) if is_taken(job) else line.jobs.put_nowait(job)
        return taken

    # --- connections ------------------------------------------------------------------------------------

    def _staff(self, destination: Destination) -> None:
        """One more connection, when jobs wait and nobody is free for them."""
        is_wanted = any(line.unattended for line in destination.lines.values())
        if is_wanted and destination.workers < destination.connections_max:
            destination.workers += 1
            self._tasks.create_task(self._serve(destination), name=f"serve {destination.name}")

    async def _serve(self, destination: Destination) -> None:
        """One connection after the other, as long as there is something to send."""
        try:
            is_welcome = True
            while is_welcome and (line := destination.next_line()) is not None:
                is_welcome = await self._bring(destination, line)
        finally:
            destination.workers -= 1
        if not destination.workers:
            destination.connections_max = self._connections_max
            if not destination.in_hand:
                self._all.pop(destination.name, None)
        self._staff(destination)

    async def _bring(self, destination: Destination, line: Line) -> bool:
        """Over one connection what waits in a line. False when it is one connection too many."""
        opened = await self._ways.connect(line.goal, line.wanted)
        if isinstance(opened, NoConnection):
            return await self._refused(destination, line, opened)
        try:
            await self._send_all(destination, line, opened)
        finally:
            await opened.close()
        return True

    async def _refused(self, destination: Destination, line: Line, refused: NoConnection) -> bool:
        """While there are other connections they have the jobs; when the last is refused, all wait."""
        others = destination.workers - 1
        if others:
            destination.connections_max = others
            return False
        while not line.jobs.empty():
            job = line.jobs.get_nowait()
            opened = await self._outcomes.open(job)
            if opened is not None:
                answers = refused_all(refused, opened.envelope)
                host = str(refused.target or "")
                await self._outcomes.conclude(job, opened, answers, host=host, tls=refused.tls)
        return True

    async def _send_all(self, destination: Destination, line: Line, connection: Connection) -> None:
        sent, last = 0, None
        while (job := await self._next_job(destination, line, sent)) is not None:
            destination.busy += 1
            try:
                opened = await self._outcomes.open(job)
                if opened is None:
                    continue
                last = await self._send(line, job, opened, connection, last)
            finally:
                destination.busy -= 1
                destination.went += 1
            if last is None or await connection.ready() is not None:
                return
            sent += 1

    async def _send(
        self, line: Line, job: Job, opened: OpenMail, connection: Connection, last: Conclusion | None
    ) -> Conclusion | None:
        """Offer one mail. last: of the one before on this connection. None: the host had enough of it."""
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
        return await self._outcomes.conclude(
            job, opened, answers, host=str(connection.target), tls=connection.tls, started_s=started_s
        )

    def _leave_the_rest(
        self, line: Line, job: Job, answers: Sequence[Answer]
    ) -> tuple[Job, Sequence[Answer]]:
        """What was tried. Recipients above the host's LIMITS were not: they are its next mail."""
        rest = [
            i for i, answer in enumerate(answers) if answer.reply == TOO_MANY_RECIPIENTS and answer.is_ours
        ]
        if not rest or len(rest) == len(answers):
            return job, answers
        tried = [i for i in range(len(answers)) if i not in set(rest)]
        parted = job.part(tried), job.part(rest)
        self._in_hand.replace(parted)
        parted[1].is_doubtful = False  # of these the host has heard at RCPT, no more
        line.jobs.put_nowait(parted[1])
        return parted[0], [answers[i] for i in tried]

    async def _next_job(self, destination: Destination, line: Line, sent: int) -> Job | None:
        """The next job that still has its lease; None when none came for a while, or another line waits."""
        is_another_waiting = any(
            other.unattended for other in destination.lines.values() if other is not line
        )
        if is_another_waiting and (line.jobs.empty() or sent >= LINE_MAILS_MAX):
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
