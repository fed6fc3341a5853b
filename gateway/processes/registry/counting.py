"""How many accounts an agency has: a question to the rows, once they know all that the log holds."""

from typing import Final

from gateway.mail.ids import AgencyId
from gateway.ports import EventLog, Unavailable
from projections.checkpoint import reached
from projections.directory.project import DirectoryModel
from projections.directory.query import open_accounts
from projections.readmodel import Pool

ROWS_TIMEOUT_S: Final = 30.0


async def count_accounts(log: EventLog, pool: Pool, agency_id: AgencyId) -> int:
    """Those that are not closed. Raises Unavailable, also when the rows stay behind."""
    last = await log.last()
    if not await reached(pool, DirectoryModel, last, ROWS_TIMEOUT_S):
        raise Unavailable("directory", f"its rows have not reached position {last}")
    async with pool.rows() as rows:
        return await open_accounts(rows, agency_id)
