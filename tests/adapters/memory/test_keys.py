"""The key store in memory keeps the contract of key stores."""

import os

import pytest

from gateway.adapters.memory.keys import MemoryKeyStore
from tests.contracts.key_store import KeyStoreContract


@pytest.fixture
def keys() -> MemoryKeyStore:
    return MemoryKeyStore(os.urandom)


@pytest.fixture
def others(keys: MemoryKeyStore) -> MemoryKeyStore:
    return keys


class TestMemoryKeyStore(KeyStoreContract):
    pass
