"""Small facts for tests of the log: each carries a number, so that order and identity can be seen."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

from gateway.domain.events import Actor, By, Fact, RouterDecided
from gateway.ports import Checkpoint, EventLog, Lane, Recorded

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ACTOR = Actor("system", "test")
BY = By("test", "0", "0")

OpenLane = Callable[[str], AbstractAsyncContextManager[Lane]]


def fact(number: int, subject: str = "mail.00", padding: int = 0) -> Fact:
    """padding: octets more."""
    cause = "x" * padding
    return Fact(subject, RouterDecided(at=NOW, actor=ACTOR, by=BY, up_to=number, cause=cause))


def numbers(events: Iterable[Recorded]) -> list[int]:
    """Of the facts above; lane markers and the like are left out."""
    decided = (event.event for event in events if event.topic == RouterDecided.TOPIC)
    return [event.up_to for event in decided if isinstance(event, RouterDecided)]


def checkpoint(event: Recorded) -> Checkpoint:
    return Checkpoint(event.position, event.digest)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what comes from outside this event loop."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def take(following: AsyncIterator[Sequence[Recorded]], count: int) -> list[Recorded]:
    """The next events, at least `count`."""
    events: list[Recorded] = []
    while len(events) < count:
        events += await anext(following)
    return events


async def everything(log: EventLog, after: Checkpoint) -> list[Recorded]:
    """All that is in the log now after a checkpoint."""
    last = await log.last()
    if last == after.position:
        return []
    following = log.follow(after)
    try:
        return await take(following, last - after.position)
    finally:
        await following.aclose()  # type: ignore[attr-defined]
