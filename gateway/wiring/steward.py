"""The steward put together: all that falls due by time."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from gateway.adapters.jetstream.leases import JetStreamLeases
from gateway.adapters.system import entropy
from gateway.domain.trial import Times
from gateway.ports import ContentStore, Lane
from gateway.processes import maillog
from gateway.processes.steward import expiring, forgetting, indexing, release, retiring, sweep, trials
from gateway.processes.steward.exports import Exports
from gateway.processes.steward.indexing import Indexer
from gateway.processes.steward.trials import Trials
from gateway.processes.steward.warnings import People, TrialWarnings
from gateway.settings import Settings
from gateway.wiring.ground import READ_MODELS, Ground, ground
from projections.content.query import ContentRows
from projections.readmodel import Pool
from projections.trace.log import TrafficDays

SWEEP_EVERY: Final = timedelta(hours=1)


async def run(settings: Settings, serving: Callable[[], None]) -> None:
    async with (
        ground(settings, "steward") as g,
        g.rows(4) as pool,
        g.objects() as objects,
        g.write_ahead() as write_ahead,
    ):
        maillog.role_ready()
        serving()
        leases = JetStreamLeases(g.link, g.clock)
        contents = g.contents(pool, write_ahead, objects)
        async with asyncio.TaskGroup() as group:
            group.create_task(
                sweep.run(
                    objects,
                    ContentRows(pool),
                    g.log,
                    g.clock,
                    leases,
                    grace=timedelta(hours=settings.sweep_grace_h),
                    every=SWEEP_EVERY,
                ),
                name="sweep objects",
            )
            group.create_task(
                expiring.run(
                    TrafficDays(pool),
                    partial(g.active_lane, "traffic"),
                    g.clock,
                    leases,
                    by=g.by,
                    keep_days=settings.trace_days,
                    every=SWEEP_EVERY,
                ),
                name="expire traffic",
            )
            group.create_task(
                release.run(
                    release.HeldRows(pool), g.log, g.clock, g.by, leases, partial(g.active_lane, "release")
                ),
                name="release mails",
            )
            group.create_task(
                trials.run(
                    partial(_trials, g, pool, contents),
                    partial(g.active_lane, "trials"),
                    g.clock,
                    leases,
                ),
                name="see to trials",
            )
            # What it reads ahead is its own: others would take the room.
            indexer = Indexer(g.log, pool, g.contents(pool, write_ahead, objects), g.keys)
            group.create_task(indexing.fill(indexer, g.clock, leases), name="index texts")
            group.create_task(indexing.forget(indexer, g.clock, leases), name="forget erased texts")
            group.create_task(retiring.run(pool, READ_MODELS, g.clock, leases), name="retire rows")
            group.create_task(forgetting.run(g.keys, g.clock, leases), name="forget secrets")


def _trials(g: Ground, pool: Pool, content: ContentStore, lane: Lane) -> Trials:
    """What falls due with trials, by the settings' times."""
    settings, people = g.settings, People(pool)
    return Trials(
        on_trial=people,
        warnings=TrialWarnings(
            people=people,
            content=content,
            keys=g.keys,
            entropy=entropy,
            hostname=settings.hostname,
            grace_days=settings.trial_grace_days,
        ),
        leaving=Exports(
            folder=settings.trial_exports or settings.data / "exports",
            pool=pool,
            log=g.log,
            lane=lane,
            content=content,
            keys=g.keys,
            clock=g.clock,
            entropy=entropy,
            by=g.by,
        ),
        log=g.log,
        keys=g.keys,
        clock=g.clock,
        by=g.by,
        times=Times(
            warn_days=(settings.trial_first_warning_days, settings.trial_last_warning_days),
            grace=timedelta(days=settings.trial_grace_days),
        ),
    )
