"""Rows of older versions of the models go, some time after an upgrade, on record in this role's log.

Source: projections/retiring.py, which says when.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from gateway.ports import Clock, Leases, Position, Unavailable
from gateway.processes import maillog
from projections.readmodel import Pool, ReadModel
from projections.retiring import retire

LEASE: Final = "steward-rows"
# A gateway of the older build folds within seconds, and within minutes after the servers were away.
LOOK_EVERY: Final = timedelta(minutes=15)


async def run(pool: Pool, models: Sequence[type[ReadModel]], clock: Clock, leases: Leases) -> None:
    """Look again and again while the lease is ours, until cancelled. Raises Deposed, Unavailable."""
    async with leases.hold(LEASE):
        before: Mapping[str, Position] = {}
        while True:
            try:
                gone, before = await retire(pool, models, before)
                for each in gone:
                    maillog.rows_retired(schema=each.schema, newer=each.newer)
            except Unavailable as error:
                maillog.service_unavailable(service=error.service, reason=error.reason, doing="retire rows")
            await clock.sleep(LOOK_EVERY.total_seconds())
