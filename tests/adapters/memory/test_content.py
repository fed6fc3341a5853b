"""Write-ahead and objects in memory keep their contracts."""

import pytest

from gateway.adapters.memory.content import MemoryObjects, MemoryWriteAhead
from gateway.adapters.system import SystemClock
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
