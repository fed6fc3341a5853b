"""Rows are a function of the log alone: dropped, cut otherwise or told twice, they come out the same."""

import random

import pytest

from projections.checkpoint import Projection, create, drop
from projections.readmodel import Pool, schema_of
from projections.trace.project import TraceModel
from tests.projections.banning import ban_some
from tests.projections.busy import busy_world
from tests.projections.forwarding import forward_some
from tests.projections.holding import hold_some
from tests.projections.mailboxes import change_some
from tests.projections.rows import Table, all_models, fold, tables
from tests.projections.world import World
from tests.sizes import size

MAILS = size(400, 5_000)


async def _rows(pool: Pool, world: World, batch: int = 1_000) -> dict[str, Table]:
    """All tables, folded from nothing."""
    models = all_models(world.keys)
    for model in models:
        await drop(pool, model.schema)
    await create(pool, models)
    await fold([Projection(model, pool) for model in models], world.log, batch)
    return await tables(pool, *(model.schema for model in models))


async def test_dropped_and_rebuilt_rows_are_the_same(pool: Pool) -> None:
    world = busy_world(1, MAILS)
    ban_some(world, 20)
    forward_some(world)
    hold_some(world)
    change_some(world, 60)
    await create(pool, all_models(world.keys))
    rows = await _rows(pool, world)
    trace = schema_of(TraceModel)
    assert {name for name, table in rows.items() if not table} == {f"{trace}.expired", f"{trace}.kept"}
    assert await _rows(pool, world) == rows


@pytest.mark.parametrize("batch", [1, 7, 100])
async def test_how_the_log_is_cut_into_batches_does_not_matter(pool: Pool, batch: int) -> None:
    world = busy_world(2, 60)
    ban_some(world, 20)
    forward_some(world)
    hold_some(world)
    change_some(world, 60)
    await create(pool, all_models(world.keys))
    assert await _rows(pool, world, batch) == await _rows(pool, world)


async def test_the_same_events_twice_change_nothing(pool: Pool) -> None:
    world, chance = busy_world(3, 80), random.Random(3)
    ban_some(world, 20)
    forward_some(world)
    hold_some(world)
    change_some(world, 60)
    models = all_models(world.keys)
    await create(pool, models)
    once = await _rows(pool, world)
    projections = [Projection(model, pool) for model in models]
    for projection in projections:
        await drop(pool, projection.schema)
    await create(pool, models)
    for projection in projections:
        at = 0
        while at < len(world.log):
            start = max(0, at - chance.randrange(40))
            at = min(len(world.log), at + chance.randrange(1, 90))
            await projection.take(world.log[start:at])
    assert await tables(pool, *(model.schema for model in models)) == once
