"""A destination as one relay has it: the lines of its mails, their connections, and what it takes now.

Only counts and queues, changed by who serves them (destinations.py).

Source: architecture §2.4; ADR 0021, 0022.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from gateway.domain.agency import NextHop
from gateway.domain.pace import Pace, Situation, in_hand_max
from gateway.processes.relay.paces import Place
from gateway.processes.relay.securing import Wanted
from gateway.processes.relay.ways import Goal
from gateway.processes.relay.work import Job

PUT_OFF_MAX: Final = 100  # mails taken at once to be put off until a suspended destination is probed


@dataclass
class Line:
    """Mails that may share a connection.

    workers: connections that bring them, of which some are opening, and some idle, without a mail.
    workers_max: goes down when the host refuses one more than it has, until there is none.
    past: the host that said `not now` to all of them, and is not asked again.
    """

    goal: Goal
    wanted: Wanted
    past: NextHop | None = None
    jobs: asyncio.Queue[Job] = field(default_factory=asyncio.Queue)  # JOBS_MAX at most
    workers: int = 0
    workers_max: int | None = None
    opening: int = 0
    idle: int = 0

    @property
    def unattended(self) -> int:
        """Jobs for which no connection is free, and one may be made."""
        if self.workers_max is not None and self.workers >= self.workers_max:
            return 0
        return max(0, self.jobs.qsize() - self.idle - self.opening)

    @contextmanager
    def attended(self) -> Iterator[None]:
        """By one more connection."""
        self.workers += 1
        try:
            yield
        finally:
            self.workers -= 1
            if not self.workers:
                self.workers_max = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """A connection for it is being made."""
        self.opening += 1
        try:
            yield
        finally:
            self.opening -= 1


@dataclass
class Destination:
    """Lines, connections, how it stands with all relays, and how fast mails go. Seconds are of the monotonic
    clock."""

    name: str
    situation: Situation
    measured_from_s: float
    lines: dict[tuple[Goal, Wanted, NextHop | None], Line] = field(default_factory=dict)
    workers: int = 0  # connections, made or in the making, or asked for
    places: int = 0  # of these, those that may be
    leaving: int = 0  # of these, those that end because they are too many
    busy: int = 0  # jobs on a connection
    full_until_s: float = 0.0  # it is not asked for another connection until then
    later_until_s: float = 0.0  # and has had its mails until then
    went: int = 0  # jobs concluded since measured_from_s
    untold: Counter[str] = field(default_factory=Counter)  # mails that "went" or were "deferred"
    in_hand_max: int = field(default_factory=partial(in_hand_max, 0, 0.0))

    def line(self, goal: Goal, wanted: Wanted, past: NextHop | None = None) -> Line:
        return self.lines.setdefault((goal, wanted, past), Line(goal, wanted, past))

    def next_line(self) -> Line | None:
        """One with jobs that nobody attends to; the others come first the next time."""
        for key, line in self.lines.items():
            if line.unattended:
                self.lines[key] = self.lines.pop(key)
                return line
        return None

    def must_end(self, place: Place, now_s: float) -> bool:
        """True for a connection that is one too many by now, or whose place was lost."""
        if not place.is_leaving and self.leaving < self.situation.to_end(self.places):
            place.is_leaving = True
            self.leaving += 1
        return place.is_leaving or place.ends_s <= now_s

    @property
    def pace(self) -> Pace:
        return self.situation.pace

    @property
    def asked_from_s(self) -> float:
        """Nobody asks for another connection before."""
        return max(self.full_until_s, self.later_until_s)

    @property
    def in_hand(self) -> int:
        return self.busy + sum(line.jobs.qsize() for line in self.lines.values())

    def put_off_until(self, now: datetime) -> datetime | None:
        """When a suspended destination is probed; None: connections may be tried now."""
        probe_at = self.pace.probe_at
        return probe_at if probe_at is not None and now < probe_at else None

    def room(self, now: datetime, now_s: float) -> int:
        """How many more jobs it takes now; measures how fast they go once a second, or when all have gone."""
        seconds = now_s - self.measured_from_s
        if self.went and (seconds >= 1 or not self.in_hand):
            self.in_hand_max = in_hand_max(self.went, seconds)
            self.went, self.measured_from_s = 0, now_s
        if self.put_off_until(now) is not None:
            return PUT_OFF_MAX
        if self.pace.probe_at is not None:
            return 0 if self.in_hand or self.workers or now_s < self.asked_from_s else 1
        if not self.places and now_s < self.asked_from_s:
            return 0
        return max(0, self.in_hand_max - self.in_hand)

    def take_unbegun(self, is_taken: Callable[[Job], bool] = lambda _: True) -> list[Job]:
        """Such jobs that no connection has: out of its lines."""
        taken = list[Job]()
        for line in self.lines.values():
            for _ in range(line.jobs.qsize()):
                job = line.jobs.get_nowait()
                taken.append(job) if is_taken(job) else line.jobs.put_nowait(job)
        return taken
