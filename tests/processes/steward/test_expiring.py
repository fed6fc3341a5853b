"""The traffic log's days end after as many whole days as are set, and not before."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.domain.events import Actor
from gateway.domain.histories import DUE
from gateway.domain.traffic import TraceExpired
from gateway.mail.ids import AgencyId
from gateway.processes.steward.expiring import expire
from tests.processes.world import BY, MovedClock

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


OPM, OPDC = AgencyId("ag_opm"), AgencyId("ag_opdc")


@dataclass
class Days:
    """The port, as rows would have it."""

    oldest: date | None
    times: dict[AgencyId, int] = field(default_factory=dict)
    ended: dict[AgencyId | None, date] = field(default_factory=dict)

    async def first(self) -> date | None:
        return self.oldest

    async def own(self) -> dict[AgencyId, int]:
        return self.times

    async def expired(self) -> dict[AgencyId | None, date]:
        return self.ended


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
        await expire(Days(first), lane, NOON, by=BY, keep_days=90)
    told = [recorded.event for recorded in await log.history(DUE)]
    assert [event.day for event in told if isinstance(event, TraceExpired)] == ([expired] if expired else [])
    if expired is not None:
        kept_from = datetime(expired.year, expired.month, expired.day, tzinfo=UTC) + timedelta(days=1)
        assert NOON - kept_from >= timedelta(days=90)


async def test_an_agency_with_a_time_of_its_own_is_left_out_and_told_by_itself() -> None:
    log, clock, days = MemoryLog(), MovedClock(), Days(date(2025, 11, 1), {OPM: 365, OPDC: 30})
    async with open_lane(log, "steward-traffic-0", clock=clock, actor=Actor("system"), by=BY) as lane:
        told = await expire(days, lane, NOON, by=BY, keep_days=90)
        assert [(event.agency_id, event.day, event.kept) for event in told] == [
            (None, date(2026, 8, 24), (OPDC, OPM)),
            (OPM, date(2025, 11, 22), ()),
            (OPDC, date(2026, 8, 24), ()),  # never under 90 days
        ]
        days.ended = {event.agency_id: event.day for event in told}
        assert await expire(days, lane, NOON, by=BY, keep_days=90) == []
        assert len(await expire(days, lane, NOON + timedelta(days=1), by=BY, keep_days=90)) == 3
