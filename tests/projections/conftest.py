"""A database without rows, and one with the tables of all models and a world folded into them."""

from collections.abc import AsyncIterator

import pytest

from projections.checkpoint import create
from projections.queue import leases
from projections.readmodel import Pool, open_pool
from tests.projections.gateway import Gateway
from tests.projections.rows import all_models


@pytest.fixture
def pool(emptied_pool: Pool) -> Pool:
    return emptied_pool


@pytest.fixture
async def untouched_pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    """A database of its own, for modules that look at which tables there are: they call it `pool`."""
    async with open_pool(postgres_dsn) as pool:
        yield pool


@pytest.fixture
async def gateway(pool: Pool) -> Gateway:
    gateway = Gateway(pool)
    await create(pool, all_models(gateway.world.keys))
    await leases.create(pool)
    await gateway.catch_up()
    return gateway
