"""The API for each module's tests: they leave people and roles as they found them."""

from collections.abc import AsyncIterator

import pytest

from projections.readmodel import open_pool
from tests.processes.web.world import World, running


@pytest.fixture
async def world(postgres_dsn: str) -> AsyncIterator[World]:
    async with open_pool(postgres_dsn) as pool, running(pool) as world:
        yield world
