"""Which days of the traffic log have expired, and for whom: rows go because of the event alone.

`expired` has the last day of each agency with a time of its own, and under a blank the last of everybody
else's; `kept` has the agencies that were left out of the latter when it was said last.

Source: ADR 0011.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.domain.traffic import TraceExpired
from projections.readmodel import Rows

EVERYBODY: Final = ""
PARTITIONS: Final = """
SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'traffic'::regclass ORDER BY relname
"""
READ: Final = "SELECT agency_id, day FROM expired UNION ALL SELECT agency_id, NULL FROM kept"
SAY: Final = """
INSERT INTO expired VALUES ($1, $2) ON CONFLICT (agency_id) DO UPDATE
SET day = greatest(expired.day, excluded.day)
"""


@dataclass(frozen=True, slots=True)
class Expiry:
    """As the rows have it. last: by agency, and EVERYBODY's."""

    last: Mapping[str, date]
    kept: frozenset[str]

    def has_ended(self, day: date, agency_id: str | None) -> bool:
        """Whether a row of that day comes too late."""
        own = self.last.get(agency_id, date.min) if agency_id else date.min
        others = date.min if agency_id in self.kept else self.last.get(EVERYBODY, date.min)
        return day <= max(own, others)


async def read(rows: Rows) -> Expiry:
    found = await rows.fetch(READ)
    last = {row["agency_id"]: row["day"] for row in found if row["day"] is not None}
    return Expiry(last, frozenset(row["agency_id"] for row in found if row["day"] is None))


async def expire(event: TraceExpired, known: Expiry, rows: Rows) -> Expiry:
    """Let the rows go that the event says, and partitions with their last row; what holds then."""
    if event.agency_id is not None:
        for name in await _partitions(rows, date.min, event.day):
            await rows.execute(f"DELETE FROM {name} WHERE agency_id = $1", event.agency_id)
            await _drop_if_empty(name, rows)
        await rows.execute(SAY, event.agency_id, event.day)
        return await read(rows)
    # What those before have left is theirs who are kept; where fewer are kept now, all has to be looked at.
    is_done = known.kept <= set(event.kept)
    after = known.last.get(EVERYBODY, date.min) if is_done else date.min
    for name in await _partitions(rows, after, event.day):
        if event.kept:
            others = "agency_id IS NULL OR agency_id <> ALL($1::text[])"
            await rows.execute(f"DELETE FROM {name} WHERE {others}", list(event.kept))
            await _drop_if_empty(name, rows)
        else:
            await rows.execute(f"DROP TABLE {name}")
    await rows.execute(SAY, EVERYBODY, event.day)
    await rows.execute("DELETE FROM kept")
    await rows.execute("INSERT INTO kept SELECT DISTINCT unnest($1::text[])", list(event.kept))
    return await read(rows)


async def _partitions(rows: Rows, after: date, last: date) -> list[str]:
    """Those of the days after one, up to another."""
    found = [row["relname"] for row in await rows.fetch(PARTITIONS)]
    return [name for name in found if after < date.fromisoformat(name.removeprefix("traffic_")) <= last]


async def _drop_if_empty(name: str, rows: Rows) -> None:
    if not await rows.fetchval(f"SELECT EXISTS (SELECT FROM {name})"):
        await rows.execute(f"DROP TABLE {name}")
