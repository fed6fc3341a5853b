"""The traffic log: how long it is kept, and who took it out.

The law on computer crime (พ.ร.บ. ว่าด้วยการกระทำความผิดเกี่ยวกับคอมพิวเตอร์ มาตรา 26) wants it for 90 days at
least. Its rows go because of an event, so that rows folded anew are the same.
"""

from datetime import date
from typing import ClassVar, Final, Literal

from gateway.domain.events import Event, Instant
from gateway.mail.ids import AgencyId

Format = Literal["csv", "jsonl", "parquet"]


TRACE_DAYS_MIN: Final = 90
TRACE_DAYS_MAX: Final = 3650


class TraceExpired(Event, frozen=True, kw_only=True):
    """ev.due: the traffic log of this day (UTC) and of those before it is not kept any longer.

    agency_id: of this agency alone; None: of everybody but `kept`, agencies with a time of their own.
    """

    TOPIC: ClassVar[str] = "trace.expired/1"

    day: date
    agency_id: AgencyId | None = None
    kept: tuple[AgencyId, ...] = ()


class TraceExported(Event, frozen=True, kw_only=True):
    """ev.access.<agency_id>: somebody took the traffic log out; durable before its first row.

    agency_id: None is of all.
    """

    TOPIC: ClassVar[str] = "trace.exported/1"

    agency_id: AgencyId | None
    since: Instant
    until: Instant
    format: Format
