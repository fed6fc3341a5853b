"""Reading the traffic log: what happened between two times, and how far back it goes."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

from gateway.mail.ids import AgencyId
from projections.directory.query import trace_days_of
from projections.readmodel import Pool, schema_of
from projections.trace.project import TraceModel
from projections.trace.traffic import COLUMNS, Traffic

_SCHEMA = schema_of(TraceModel)
PAGE = 1_000


async def traffic_between(
    pool: Pool, since: datetime, until: datetime, agency_id: AgencyId | None = None
) -> AsyncIterator[Traffic]:
    """In the order of the log, page by page: no page keeps the fold from making or dropping a day.

    since: included; until: not. agency_id: None is all of them, and what is nobody's.
    """
    after = 0
    while True:
        async with pool.rows() as rows:
            found = await rows.fetch(
                f"""SELECT {", ".join(COLUMNS)} FROM {_SCHEMA}.traffic
                WHERE day BETWEEN $1 AND $2 AND at >= $3 AND at < $4 AND position > $5
                    AND ($6::text IS NULL OR agency_id = $6)
                ORDER BY position LIMIT {PAGE:d}""",
                since.astimezone(UTC).date(),
                until.astimezone(UTC).date(),
                since,
                until,
                after,
                agency_id,
            )
        for row in found:
            yield Traffic(*row.values())
        if len(found) < PAGE:
            return
        after = found[-1]["position"]


class TrafficDays:
    """How far back the traffic log goes, and should go, for the steward. Raises Unavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def first(self) -> date | None:
        """The oldest day that anything is kept of; None: there is none."""
        async with self._pool.rows() as rows:
            name: str | None = await rows.fetchval(
                """SELECT min(relname::text) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
                WHERE inhparent = to_regclass($1)""",
                f"{_SCHEMA}.traffic",
            )
        return None if name is None else date.fromisoformat(name.removeprefix("traffic_"))

    async def expired(self) -> dict[AgencyId | None, date]:
        """The last day that has expired, by agency; None: everybody's without a time of their own."""
        async with self._pool.rows() as rows:
            found = await rows.fetch(f"SELECT agency_id, day FROM {_SCHEMA}.expired")
        return {AgencyId(row["agency_id"]) if row["agency_id"] else None: row["day"] for row in found}

    async def own(self) -> dict[AgencyId, int]:
        """For how many days an agency's traffic is kept, of those with a time of their own."""
        async with self._pool.rows() as rows:
            return await trace_days_of(rows)
