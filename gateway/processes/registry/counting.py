"""How many accounts an agency has, and what is in a domain: asked of rows that know all of the log."""

from datetime import datetime
from typing import Final

from gateway.domain.account import Role
from gateway.domain.domains import Moving
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import EventLog, Unavailable
from projections.checkpoint import reached
from projections.directory.domain_query import Use, moving_of, roles_in, use_of
from projections.directory.project import DirectoryModel
from projections.directory.query import open_accounts
from projections.readmodel import Pool

ROWS_TIMEOUT_S: Final = 30.0


async def count_accounts(log: EventLog, pool: Pool, agency_id: AgencyId) -> int:
    """Those that are not closed. Raises Unavailable, also when the rows stay behind."""
    await _reach(log, pool)
    async with pool.rows() as rows:
        return await open_accounts(rows, agency_id)


async def look_at_domain(log: EventLog, pool: Pool, agency_id: AgencyId, domain: str, at: datetime) -> Use:
    """What is in a domain, and in its agency beside it. Raises Unavailable, as above."""
    await _reach(log, pool)
    async with pool.rows() as rows:
        return await use_of(rows, agency_id, domain, at)


async def look_at_move(
    log: EventLog, pool: Pool, agency_id: AgencyId, to: AgencyId, stem: str
) -> tuple[Moving, list[tuple[AccountId, Role]]]:
    """What goes along with a domain, and which roles end. Raises Unavailable, as above."""
    await _reach(log, pool)
    async with pool.rows() as rows:
        return await moving_of(rows, to, stem), await roles_in(rows, agency_id, stem)


async def _reach(log: EventLog, pool: Pool) -> None:
    last = await log.last()
    if not await reached(pool, DirectoryModel, last, ROWS_TIMEOUT_S):
        raise Unavailable("directory", f"its rows have not reached position {last}")
