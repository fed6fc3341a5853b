"""What the command line works with: everything a command may need, opened as the operator."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from gateway.adapters import jetstream
from gateway.adapters.aggregates import LoggedAggregates
from gateway.adapters.system import entropy
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.domain.events import Actor, By, ConsumerHeld, ConsumerReleased
from gateway.domain.histories import consumer_history
from gateway.ports import Aggregates, Clock, ContentStore, Entropy, EventLog, KeyStore, Lane
from gateway.processes.web.figures import Gauge
from gateway.settings import Settings
from gateway.wiring.ground import ground, models
from projections.readmodel import Pool, ReadModel, open_pool


@dataclass(frozen=True, slots=True)
class Desk:
    """What the command line works with."""

    settings: Settings
    log: EventLog
    aggregates: Aggregates
    pool: Pool
    keys: KeyStore
    content: ContentStore
    clock: Clock
    entropy: Entropy
    by: By
    gauge: Gauge
    lane: Callable[[], AbstractAsyncContextManager[Lane]]

    def models(self) -> Sequence[ReadModel]:
        return models(self.keys)

    async def holds(self, consumer: str) -> set[int]:
        """Positions the consumer passes over."""
        held: set[int] = set()
        for recorded in await self.log.history(consumer_history(consumer)):
            match recorded.event:
                case ConsumerHeld(position=position):
                    held.add(position)
                case ConsumerReleased(position=position):
                    held.discard(position)
        return held


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """Everything a command may need. Raises Unavailable, naming the server that does not answer."""
    async with (
        ground(settings, "cli") as g,
        open_pool(settings.postgres_dsn, size=4) as pool,
        g.objects() as objects,
    ):
        content = g.contents(pool, JetStreamWriteAhead(g.link), objects)
        actor = Actor("system", "cli")
        # Commands run side by side: each has a lane of its own.
        lane = partial(
            jetstream.open_lane,
            g.log,
            f"{g.lane_name}-{os.getpid()}",
            clock=g.clock,
            actor=actor,
            by=g.by,
        )
        yield Desk(
            settings,
            g.log,
            LoggedAggregates(g.log),
            pool,
            g.keys,
            content,
            g.clock,
            entropy,
            g.by,
            g.gauge(pool),
            lane,
        )
