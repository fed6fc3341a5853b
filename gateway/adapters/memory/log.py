"""The event log and its lanes, in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from gateway.domain.events import Actor, By, LaneOpened
from gateway.domain.group import Encoded, carriers, encode_group
from gateway.ports import (
    START,
    Checkpoint,
    Clock,
    Conflict,
    Deposed,
    Fact,
    LogCorrupt,
    Position,
    Recorded,
)

BATCH_MAX = 1000


class MemoryLog:
    """The port EventLog. fault: what every call raises while it is set (Unavailable, Full)."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self._events: list[Recorded] = []
        self._ends: dict[str, Position] = {}  # last position by history
        self._followers: set[asyncio.Event] = set()

    async def last(self) -> Position:
        self._ask()
        return Position(len(self._events))

    async def read(self, position: Position) -> Recorded:
        self._ask()
        if not 1 <= position <= len(self._events):
            raise IndexError(f"the log ends at position {len(self._events)}, {position} is not in it")
        return self._events[position - 1]

    async def follow(self, after: Checkpoint) -> AsyncIterator[Sequence[Recorded]]:
        self._check(after)
        position = after.position
        news = asyncio.Event()
        self._followers.add(news)
        try:
            while True:
                news.clear()
                if batch := self._events[position : position + BATCH_MAX]:
                    position = batch[-1].position
                    yield batch
                else:
                    await news.wait()
        finally:
            self._followers.discard(news)

    async def history(self, subject: str, after: Position = START.position) -> Sequence[Recorded]:
        self._ask()
        return [event for event in self._events[after:] if event.subject == f"ev.{subject}"]

    async def latest(self, subject: str) -> Recorded | None:
        self._ask()
        end = self.end_of(subject)
        return self._events[end - 1] if end else None

    async def append_guarded(
        self,
        facts: Sequence[Fact],
        expected: Mapping[str, Position],
        versions: Mapping[str, int] | None = None,
    ) -> Position:
        group = encode_group(facts, versions)
        carriers([fact.subject for fact in facts], expected)
        self._ask()
        for subject, position in expected.items():
            if (end := self.end_of(subject)) != position:
                raise Conflict(f"{subject} ends at {end}, expected {position}")
        return self.store(group)

    def end_of(self, subject: str) -> Position:
        """Where a history ends, 0 when it is empty. subject: without `ev.`."""
        return self._ends.get(subject, START.position)

    def store(self, group: Sequence[Encoded]) -> Position:
        """Put a group at the end, whatever its histories' guards; its last position."""
        self._ask()
        for fact in group:
            position = Position(len(self._events) + 1)
            self._ends[fact.subject] = position
            self._events.append(
                Recorded(position, f"ev.{fact.subject}", fact.topic, fact.state, fact.version)
            )
        for follower in self._followers:
            follower.set()
        return Position(len(self._events))

    def _ask(self) -> None:
        if self.fault is not None:
            raise self.fault

    def _check(self, checkpoint: Checkpoint) -> None:
        if checkpoint.position > len(self._events):
            reason = f"it has been read before, and now the log ends at {len(self._events)}"
            raise LogCorrupt(checkpoint.position, reason)
        if checkpoint.position and self._events[checkpoint.position - 1].digest != checkpoint.digest:
            raise LogCorrupt(checkpoint.position, "it is another event than the one that was read before")


@asynccontextmanager
async def open_lane(
    log: MemoryLog, name: str, *, clock: Clock, actor: Actor, by: By
) -> AsyncIterator["MemoryLane"]:
    """As jetstream.open_lane: whoever opens a lane deposes its former owner."""
    opened = Fact(f"lane.{name}", LaneOpened(at=clock.now(), actor=actor, by=by))
    yield MemoryLane(log, opened.subject, log.store(encode_group([opened])))


class MemoryLane:
    """The port Lane."""

    def __init__(self, log: MemoryLog, fence: str, opened_at: Position) -> None:
        self._log, self._fence, self._opened_at = log, fence, opened_at

    async def append(self, facts: Sequence[Fact]) -> Position:
        group = encode_group(facts)
        if self._log.end_of(self._fence) != self._opened_at:
            raise Deposed(f"{self._fence} has another owner")
        await asyncio.sleep(0)  # others run meanwhile, as with a real log
        return self._log.store(group)
