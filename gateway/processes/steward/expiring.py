"""The traffic log's days end: when its oldest day is kept long enough, an event says so.

The rows go because of that event, in the fold; nobody else drops them. Source: architecture §2.8.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol

from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.histories import DUE
from gateway.domain.traffic import TraceExpired
from gateway.ports import Clock, Lane, Leases, Unavailable
from gateway.processes import maillog

LEASE: Final = "steward-traffic"


class Days(Protocol):
    async def first(self) -> date | None:
        """The oldest day that is kept; None: there is none."""


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


async def expire(days: Days, lane: Lane, at: datetime, *, by: By, keep_days: int) -> date | None:
    """Say which day has expired, if there is one in the rows. Every row is kept for keep_days whole days."""
    first = await days.first()
    last = at.astimezone(UTC).date() - timedelta(days=keep_days + 1)
    if first is None or first > last:
        return None
    stamp = Stamp(at=at, actor=Actor("system", "steward"), by=by)
    await lane.append([Fact(DUE, TraceExpired(**stamp.fields(), day=last))])
    return last
