"""The API for each module's tests: they leave people and roles as they found them."""

from collections.abc import AsyncIterator

import pytest

from projections.readmodel import Pool
from tests.processes.web.world import World, running


@pytest.fixture
async def world(emptied_pool: Pool, cheap_hashes: None) -> AsyncIterator[World]:
    async with running(emptied_pool) as world:
        yield world
