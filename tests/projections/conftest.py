"""An empty database with the tables of all models."""

from collections.abc import AsyncIterator

import pytest

from projections.readmodel import Pool, open_pool


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    async with open_pool(postgres_dsn) as pool:
        yield pool
