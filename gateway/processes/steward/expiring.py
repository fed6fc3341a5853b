"""The traffic log's days end: when a day is kept long enough, an event says so.

One event is for everybody without a time of their own, one for each agency that has one.

The rows go because of that event, in the fold; nobody else drops them. Source: architecture §2.8.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol

from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.histories import DUE
from gateway.domain.traffic import TRACE_DAYS_MIN, TraceExpired
from gateway.mail.ids import AgencyId
from gateway.ports import Clock, Lane, Leases, Unavailable
from gateway.processes import maillog

LEASE: Final = "steward-traffic"


class Days(Protocol):
    async def first(self) -> date | None:
        """The oldest day that anything is kept of; None: there is none."""

    async def expired(self) -> Mapping[AgencyId | None, date]:
        """The last day that has expired, by agency; None: everybody's without a time of their own."""

    async def own(self) -> Mapping[AgencyId, int]:
        """For how many days an agency's traffic is kept, of those with a time of their own."""


async def run(
    days: Days,
    open_lane: Callable[[], AbstractAsyncContextManager[Lane]],
    clock: Clock,
    leases: Leases,
    *,
    by: By,
    keep_days: int,
    every: timedelta,
) -> None:
    """Look again and again while the lease is ours, until cancelled. Raises Deposed, Unavailable."""
    async with leases.hold(LEASE), open_lane() as lane:
        while True:
            try:
                await expire(days, lane, clock.now(), by=by, keep_days=keep_days)
            except Unavailable as error:
                maillog.service_unavailable(
                    service=error.service, reason=error.reason, doing="expire traffic"
                )
            await clock.sleep(every.total_seconds())


async def expire(days: Days, lane: Lane, at: datetime, *, by: By, keep_days: int) -> list[TraceExpired]:
    """Say which days have expired. Every row is kept for as many whole days as hold for its agency."""
    first = await days.first()
    if first is None:
        return []
    own, expired = await days.own(), await days.expired()
    times: list[tuple[AgencyId | None, int]] = [(None, keep_days), *own.items()]
    stamp = Stamp(at=at, actor=Actor("system", "steward"), by=by)
    told = []
    for agency_id, number in times:
        last = at.astimezone(UTC).date() - timedelta(days=max(number, TRACE_DAYS_MIN) + 1)
        if first <= last and expired.get(agency_id, date.min) < last:
            kept = tuple(sorted(own)) if agency_id is None else ()
            told.append(TraceExpired(**stamp.fields(), day=last, agency_id=agency_id, kept=kept))
    for event in told:
        await lane.append([Fact(DUE, event)])
    return told
