"""The log on JetStream keeps the contracts of the log."""

from contextlib import AbstractAsyncContextManager

import pytest

from gateway.adapters.jetstream import JetStreamLog, open_lane
from gateway.adapters.system import SystemClock
from gateway.ports import Lane
from tests.contracts.event_log import EventLogContract
from tests.contracts.facts import ACTOR, BY, OpenLane
from tests.contracts.lane import LaneContract


@pytest.fixture(name="open_lane")
def opens_lane(log: JetStreamLog) -> OpenLane:
    def opened(name: str) -> AbstractAsyncContextManager[Lane]:
        return open_lane(log, name, clock=SystemClock(), actor=ACTOR, by=BY)

    return opened


class TestJetStreamLog(EventLogContract):
    pass


class TestJetStreamLane(LaneContract):
    pass
