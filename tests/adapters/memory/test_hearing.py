"""Hints in memory keep the contract of hints; sessions of one account share one subscription."""

import asyncio

import pytest

from gateway.adapters.hearers import Hearers, Stop
from gateway.adapters.memory.hearing import MemoryHints
from gateway.mail.ids import AccountId
from gateway.ports import Unavailable
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


async def test_an_account_that_cannot_be_listened_to_keeps_nobody_else_waiting() -> None:
    away, asked = asyncio.Event(), asyncio.Event()
    stopped: list[AccountId] = []

    async def listen(account_id: AccountId) -> Stop:
        if account_id == SUDA:
            asked.set()
            await away.wait()
            raise Unavailable("nats", "it is away")

        async def stop() -> None:
            stopped.append(account_id)

        return stop

    hearers = Hearers(listen)

    async def suda() -> None:
        async with hearers.of(SUDA):
            pass

    first, second = asyncio.create_task(suda()), asyncio.create_task(suda())
    await asked.wait()
    async with hearers.of(MALEE) as hint:
        hearers.heard(MALEE)
        assert hint.is_set()
    assert stopped == [MALEE]
    away.set()
    for task in (first, second):
        with pytest.raises(Unavailable):
            await task
    assert hearers._accounts == {}
