"""Leases in memory keep the contract of leases."""

import pytest

from gateway.adapters.memory.leases import MemoryLeases
from tests.contracts.leases import LeasesContract, Lose


@pytest.fixture
def leases() -> MemoryLeases:
    return MemoryLeases()


@pytest.fixture
def others(leases: MemoryLeases) -> MemoryLeases:
    return leases


@pytest.fixture
def lose(leases: MemoryLeases) -> Lose:
    async def lost(name: str) -> None:
        leases.lose(name)

    return lost


class TestMemoryLeases(LeasesContract):
    pass
