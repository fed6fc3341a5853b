"""The API for commands that go there, asked from a home of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from projections.readmodel import Pool
from tests.processes.web.world import World, running


@pytest.fixture
async def remote_world(
    emptied_pool: Pool, cheap_hashes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SARABAN_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    async with running(emptied_pool) as world:
        yield world
