"""The API for commands that go there, asked from a home of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from projections.readmodel import open_pool
from tests.processes.web.world import World, running


@pytest.fixture
async def remote_world(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SARABAN_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    async with open_pool(postgres_dsn) as pool, running(pool) as world:
        yield world
