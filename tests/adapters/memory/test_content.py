"""Write-ahead and objects in memory keep their contracts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters.memory.content import MemoryObjects, MemoryWriteAhead
from gateway.adapters.system import SystemClock
from tests.contracts.content_store import ContentStoreContract
from tests.contracts.content_world import ContentWorld, memory_world
from tests.contracts.object_store import ObjectStoreContract
from tests.contracts.write_ahead import WriteAheadContract


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects(SystemClock())


@pytest.fixture
def write_ahead() -> MemoryWriteAhead:
    return MemoryWriteAhead()


class TestMemoryObjects(ObjectStoreContract):
    pass


class TestMemoryWriteAhead(WriteAheadContract):
    pass


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ContentWorld]:
    async with memory_world(tmp_path) as world:
        yield world


class TestMemoryContents(ContentStoreContract):
    pass
