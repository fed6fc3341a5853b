"""A home for each test, its sessions and rows."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from projections.readmodel import Pool
from tests.processes.imap_sessions.home import Home
from tests.processes.imap_sessions.home import home as at_home


@pytest.fixture
async def home(emptied_pool: Pool, tmp_path: Path) -> AsyncIterator[Home]:
    async with at_home(emptied_pool, tmp_path) as home:
        yield home
