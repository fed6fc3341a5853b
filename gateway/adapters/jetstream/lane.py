"""Lanes into the log and into the content's write-ahead, each owned by one process at a time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gateway.adapters.jetstream import streams
from gateway.adapters.jetstream.committer import Committer, Marker, open_committer
from gateway.adapters.jetstream.link import Link
from gateway.adapters.jetstream.log import JetStreamLog
from gateway.adapters.jetstream.writes import Lane
from gateway.domain.events import Actor, By
from gateway.ports import Clock, Fact, Position


@asynccontextmanager
async def open_lane(
    log: JetStreamLog, name: str, *, clock: Clock, actor: Actor, by: By
) -> AsyncIterator["JetStreamLane"]:
    """A lane into the log, `ev.lane.<name>`, name: <role>-<host>-<k>; deposes a former owner.

    Raises Unavailable.
    """
    lane = Lane(log.stream, log.into, "ev.", f"lane.{name}")
    async with open_committer(log.link, lane, _marker(clock, actor, by)) as committer:
        yield JetStreamLane(log, committer)


@asynccontextmanager
async def open_content_lane(
    link: Link, name: str, *, clock: Clock, actor: Actor, by: By
) -> AsyncIterator[Committer]:
    """A lane into CT: content goes to `ct.<name>`, the lane's markers are on `ct.<name>.lane`.

    A marker is told from content by its header Es-Topic. Raises Unavailable.
    """
    lane = Lane(streams.CONTENT, "ct.", "ct.", f"{name}.lane")
    async with open_committer(link, lane, _marker(clock, actor, by)) as committer:
        yield committer


class JetStreamLane:
    """The port Lane: facts into the log."""

    def __init__(self, log: JetStreamLog, committer: Committer) -> None:
        self._log, self._committer = log, committer

    async def append(self, facts: Sequence[Fact]) -> Position:
        return Position(await self._committer.append(self._log.messages(facts)))


def _marker(clock: Clock, actor: Actor, by: By) -> Marker:
    return lambda kind: kind(at=clock.now(), actor=actor, by=by)
