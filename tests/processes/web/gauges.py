"""Figures that a test sets."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.mail.ids import AgencyId
from gateway.processes.web.figures import Figures
from projections.queue.pacing import Shown

SUSPENDED_AT = datetime(2026, 11, 28, 9, tzinfo=UTC)
WELL = Figures(
    position=42,
    lags={"mailbox": 0, "router-0": 7},
    waiting=3,
    possible_doubles=1,
    write_ahead=5,
    disk_free_octets=1_000,
    disk_octets=2_000,
    bounced={"mailbox": 4},
    waiting_at={"dld.go.th": 3},
    on_backup=(AgencyId("ag_1"),),
    standing_holds=1,
    held=("dld.go.th",),
    bounced_at={'a"b.example': {"mailbox": 4}},
    suspended_destinations=1,
    suspended=(Shown("away.example", SUSPENDED_AT, SUSPENDED_AT + timedelta(minutes=7), 3, "421 away"),),
)


@dataclass
class FakeGauge:
    """Figures that a test sets, or why there are none."""

    figures: Figures = WELL
    fault: Exception | None = None
    is_stuck: bool = False

    async def read(self) -> Figures:
        if self.is_stuck:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        return self.figures
