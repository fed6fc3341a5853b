"""A rebuild beside the live tables proves them equal, and finds a row that no event made."""

import asyncio

import pytest

from projections.checkpoint import Projection, create
from projections.mailbox.query import SCHEMA
from projections.readmodel import Pool
from projections.rebuild import rebuild
from tests.projections.busy import busy_world
from tests.projections.mailboxes import change_some
from tests.projections.rows import all_models, fold
from tests.projections.world import stored


@pytest.mark.parametrize("name", ["directory", "mailbox", "queue", "trace"])
async def test_rebuilt_tables_equal_the_live_ones(pool: Pool, name: str) -> None:
    world = busy_world(31, 120)
    change_some(world, 120)
    part = len(world.log) - 10
    model = next(model for model in all_models(world.keys) if model.name == name)
    await create(pool, [model])
    live = Projection(model, pool)
    await live.take(world.log[:part])
    comparison = await rebuild(model, stored(world), pool)
    assert comparison.is_equal, comparison.different
    assert (comparison.model, comparison.position) == (name, part)
    assert {name for name, table in comparison.live.items() if not table.rows} <= {
        "expired",
        "kept",
        "forwarding",
        "standing_hold",  # test_standing.py
    }
    async with pool.rows() as rows:
        left = await rows.fetchval(
            "SELECT count(*) FROM pg_namespace WHERE nspname = $1", f"{model.schema}_rebuild"
        )
        assert left == 0


async def test_a_row_that_no_event_made_is_found(pool: Pool) -> None:
    world = busy_world(32, 40)
    model = next(model for model in all_models(world.keys) if model.name == "mailbox")
    await create(pool, [model])
    await Projection(model, pool).take(world.log)
    async with pool.rows() as rows:
        await rows.execute(
            f"""UPDATE {SCHEMA}.usage SET octets = octets + 1
            WHERE account_id = (SELECT min(account_id) FROM {SCHEMA}.usage)"""
        )
    comparison = await rebuild(model, stored(world), pool)
    assert comparison.different == ("usage",)
    assert not comparison.is_equal


async def test_the_live_model_goes_on_while_it_is_rebuilt(pool: Pool) -> None:
    world = busy_world(33, 300)
    model = next(model for model in all_models(world.keys) if model.name == "mailbox")
    await create(pool, [model])
    live = Projection(model, pool)
    comparison, _ = await asyncio.gather(
        rebuild(model, stored(world), pool), fold([live], world.log, batch=50)
    )
    assert comparison.is_equal, comparison.different
    assert live.position == world.log[-1].position
