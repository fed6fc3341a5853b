"""The log in memory keeps the contracts of the log."""

from contextlib import AbstractAsyncContextManager

import pytest

from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.adapters.system import SystemClock
from gateway.ports import Full, Lane, Position
from tests.contracts.event_log import EventLogContract
from tests.contracts.facts import ACTOR, BY, OpenLane, fact
from tests.contracts.lane import LaneContract


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture(name="open_lane")
def opens_lane(log: MemoryLog) -> OpenLane:
    def opened(name: str) -> AbstractAsyncContextManager[Lane]:
        return open_lane(log, name, clock=SystemClock(), actor=ACTOR, by=BY)

    return opened


class TestMemoryLog(EventLogContract):
    pass


class TestMemoryLane(LaneContract):
    pass


async def test_a_fault_is_what_every_call_raises(log: MemoryLog, open_lane: OpenLane) -> None:
    async with open_lane("edge-h-0") as lane:
        log.fault = Full("memory", "as the test wants it")
        with pytest.raises(Full):
            await lane.append([fact(1)])
        with pytest.raises(Full):
            await log.append_guarded([fact(1)], {"mail.00": Position(0)})
        log.fault = None
        assert await lane.append([fact(1)]) == 2
