"""Every conversation on the loop of the standard library and on uvloop, which roles run on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from gateway.ports import ServerContext
from tests.processes.imap.world import ImapWorld


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def world(tmp_path: Path, tls: ServerContext, cheap_hashes: None) -> AsyncIterator[ImapWorld]:
    async with ImapWorld(tmp_path, tls).running() as world:
        yield world
