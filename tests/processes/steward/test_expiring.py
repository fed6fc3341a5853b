"""The traffic log's days end after as many whole days as are set, and not before."""

from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.domain.events import Actor
from gateway.domain.histories import DUE
from gateway.domain.traffic import TraceExpired
from gateway.processes.steward.expiring import expire
from tests.processes.world import BY, MovedClock

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Days:
    def __init__(self, first: date | None) -> None:
        self._first = first

    async def first(self) -> date | None:
        return self._first


@pytest.mark.parametrize(
    ("first", "expired"),
    [
        (None, None),
        # 90 days before the 23rd of November is the 25th of August: its last moment is not 90 days ago.
        (date(2026, 11, 23), None),
        (date(2026, 8, 25), None),
        (date(2026, 8, 24), date(2026, 8, 24)),
        # One event ends all days before.
        (date(2026, 1, 1), date(2026, 8, 24)),
    ],
)
async def test_a_day_ends_when_all_of_it_was_kept_long_enough(
    first: date | None, expired: date | None
) -> None:
    log, clock = MemoryLog(), MovedClock()
    async with open_lane(log, "steward-traffic-0", clock=clock, actor=Actor("system"), by=BY) as lane:
        assert await expire(Days(first), lane, NOON, by=BY, keep_days=90) == expired
    told = [recorded.event for recorded in await log.history(DUE)]
    assert [event.day for event in told if isinstance(event, TraceExpired)] == ([expired] if expired else [])
    if expired is not None:
        kept_from = datetime(expired.year, expired.month, expired.day, tzinfo=UTC) + timedelta(days=1)
        assert NOON - kept_from >= timedelta(days=90)
