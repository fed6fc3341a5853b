"""The projector: follows the log once and keeps every read model up to date, side by side.

Each model folds at its own pace, in transactions of its own; what arrives while it is busy becomes one larger
batch. The slowest holds the reader back by a bounded number of batches.

Source: architecture §6.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.ports import Clock, EventLog, Notifier, Recorded, Unavailable, leaves
from gateway.processes import maillog
from projections.checkpoint import Poison, Projection
from projections.readmodel import ReadModel, account_of_subject

BATCH_MAX: Final = 1_000  # events a transaction (architecture §6)
BATCHES_AHEAD_MAX: Final = 8
# A transaction costs as much as folding twenty mails: what comes within so little goes into one.
GATHER_S: Final = 0.02
IDLE_GATHER_S: Final = 0.05  # nothing to fold: only the checkpoint moves on, and somebody may wait for it
RETRY_AFTER_S: Final = 0.5

Feed = asyncio.Queue[Sequence[Recorded]]


async def run(log: EventLog, projections: Sequence[Projection], notifier: Notifier, clock: Clock) -> None:
    """Until cancelled. One model that fails ends them all; the process restarts from its checkpoints.

    While log or rows are away it begins again from the checkpoints, every half second: a database that
    crashed may have lost its last transactions, rows and checkpoints alike, and they are folded again.
    Raises Poison, Deposed, LogCorrupt, in an ExceptionGroup.
    """
    while True:
        try:
            await _follow(log, projections, notifier, clock)
        except* Unavailable as group:
            for error in leaves(group):
                maillog.service_unavailable(service=error.service, reason=error.reason, doing="projector")
        except* Poison as group:
            for poison in leaves(group):
                maillog.poison_event(
                    consumer=poison.model, position=poison.position, topic=poison.topic, reason=poison.reason
                )
            raise
        await clock.sleep(RETRY_AFTER_S)


async def _follow(log: EventLog, projections: Sequence[Projection], notifier: Notifier, clock: Clock) -> None:
    after = min([await projection.load(log) for projection in projections], key=lambda point: point.position)
    feeds = [Feed(BATCHES_AHEAD_MAX) for _ in projections]
    async with asyncio.TaskGroup() as group:
        for projection, feed in zip(projections, feeds, strict=True):
            group.create_task(_keep_up(projection, feed, notifier, clock), name=projection.model.name)
        async for batch in log.follow(after):
            for feed in feeds:
                await feed.put(batch)


async def _keep_up(projection: Projection, feed: Feed, notifier: Notifier, clock: Clock) -> None:
    while True:
        arrived = await _arrived(feed, projection.model, clock)
        for start in range(0, len(arrived), BATCH_MAX):
            batch = arrived[start : start + BATCH_MAX]
            await projection.take(batch)
            for event in batch:
                if event.position in projection.held:
                    maillog.position_passed_over(consumer=projection.model.name, position=event.position)
            if projection.model.wakes_readers:
                await _wake_readers(batch, notifier)


async def _arrived(feed: Feed, model: ReadModel, clock: Clock) -> Sequence[Recorded]:
    """At least one batch, and what came meanwhile, about a transaction's worth: at once if somebody waits."""
    arrived = list(await feed.get())
    if any(event.topic in model.awaited for event in arrived):
        return arrived
    await _gather(arrived, feed, GATHER_S, clock)
    if not any(event.topic in model.topics for event in arrived):
        await _gather(arrived, feed, IDLE_GATHER_S, clock)
    return arrived


async def _gather(arrived: list[Recorded], feed: Feed, seconds: float, clock: Clock) -> None:
    if len(arrived) < BATCH_MAX:
        await clock.sleep(seconds)
    while len(arrived) < BATCH_MAX and not feed.empty():
        arrived += feed.get_nowait()


async def _wake_readers(batch: Sequence[Recorded], notifier: Notifier) -> None:
    accounts = {account for event in batch if (account := account_of_subject(event.subject))}
    if accounts:
        try:
            await notifier.changed(accounts)
        except Unavailable:  # a hint may be lost: who waits also looks once a second
            return
