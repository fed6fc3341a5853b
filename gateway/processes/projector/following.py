"""The projector: follows the log once and keeps every read model up to date, side by side.

Each model folds at its own pace, in transactions of its own; what arrives while it is busy becomes one larger
batch. The slowest holds the reader back by a bounded number of batches.

Source: architecture §6.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.ports import Clock, EventLog, Notifier, Recorded, Unavailable
from gateway.processes import maillog
from projections.checkpoint import Poison, Projection
from projections.readmodel import account_of_subject

BATCH_MAX: Final = 1_000  # events a transaction (architecture §6)
BATCHES_AHEAD_MAX: Final = 8
RETRY_FIRST_S: Final = 0.1
RETRY_LAST_S: Final = 5.0

Feed = asyncio.Queue[Sequence[Recorded]]


async def run(log: EventLog, projections: Sequence[Projection], notifier: Notifier, clock: Clock) -> None:
    """Until cancelled. One model that fails ends them all; the process restarts from its checkpoints.

    Raises Poison, Deposed, LogCorrupt (in an ExceptionGroup), Unavailable when nothing answers at the start.
    """
    after = min([await projection.load(log) for projection in projections], key=lambda point: point.position)
    feeds = [Feed(BATCHES_AHEAD_MAX) for _ in projections]
    async with asyncio.TaskGroup() as group:
        for projection, feed in zip(projections, feeds, strict=True):
            keeper = _Keeper(projection, feed, log, notifier, clock)
            group.create_task(keeper.keep_up(), name=projection.model.name)
        async for batch in log.follow(after):
            for feed in feeds:
                await feed.put(batch)


class _Keeper:
    """Keeps one model up to date."""

    def __init__(
        self, projection: Projection, feed: Feed, log: EventLog, notifier: Notifier, clock: Clock
    ) -> None:
        self._projection = projection
        self._feed = feed
        self._log = log
        self._notifier = notifier
        self._clock = clock

    async def keep_up(self) -> None:
        while True:
            arrived = await self._arrived()
            for start in range(0, len(arrived), BATCH_MAX):
                batch = arrived[start : start + BATCH_MAX]
                await self._take(batch)
                await self._tell(batch)

    async def _arrived(self) -> Sequence[Recorded]:
        """At least one batch, and what came meanwhile, about a transaction's worth."""
        arrived = list(await self._feed.get())
        while len(arrived) < BATCH_MAX and not self._feed.empty():
            arrived += self._feed.get_nowait()
        return arrived

    async def _take(self, batch: Sequence[Recorded]) -> None:
        """The same batch again, later, while a server is away; a lost commit may have been made."""
        pause_s = RETRY_FIRST_S
        is_known = True
        while True:
            try:
                if not is_known:
                    await self._projection.load(self._log)
                return await self._projection.take(batch)
            except Unavailable as error:
                name = self._projection.model.name
                maillog.service_unavailable(
                    service=error.service, reason=error.reason, doing=f"folding {name}"
                )
                is_known = False
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_LAST_S)
            except Poison as poison:
                maillog.poison_event(
                    consumer=poison.model, position=poison.position, topic=poison.topic, reason=poison.reason
                )
                raise

    async def _tell(self, batch: Sequence[Recorded]) -> None:
        for event in batch:
            if event.position in self._projection.held:
                maillog.position_passed_over(consumer=self._projection.model.name, position=event.position)
        if not self._projection.model.wakes_readers:
            return
        accounts = {account for event in batch if (account := account_of_subject(event.subject))}
        if accounts:
            try:
                await self._notifier.changed(accounts)
            except Unavailable:  # a hint may be lost: who waits also looks once a second
                return
