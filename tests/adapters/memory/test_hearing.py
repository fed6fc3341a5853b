"""Hints in memory keep the contract of hints; sessions of one account share one subscription."""

import pytest

from gateway.adapters.memory.hearing import MemoryHints
from tests.contracts.hearing import MALEE, SUDA, HearingContract


@pytest.fixture
def notifier() -> MemoryHints:
    return MemoryHints()


@pytest.fixture
def hearing(notifier: MemoryHints) -> MemoryHints:
    return notifier


class TestMemoryHints(HearingContract):
    pass


async def test_sessions_of_one_account_share_a_subscription() -> None:
    hints = MemoryHints()
    async with hints.of(SUDA), hints.of(SUDA), hints.of(MALEE):
        assert hints.listened_to == [SUDA, MALEE]
    assert hints.listened_to == []
