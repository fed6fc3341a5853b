"""Who is banned. Whether a ban has ended is said by the clock of whoever asks, never by the rows."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

import asyncpg

from gateway.domain.bans import Banned, Cause
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Unavailable
from projections.bans.project import BansModel
from projections.readmodel import Rows, schema_of

_SCHEMA: Final = schema_of(BansModel)
BANS_MAX: Final = 50_000  # read at once, those that last longest first


@dataclass(frozen=True, slots=True)
class Ban:
    """Names and order are those of the table."""

    ban_id: str
    what: Banned
    network: str | None  # CIDR; None: of an account, or erased
    account_id: AccountId | None
    agency_id: AgencyId | None
    reason: Cause
    why: str
    imposed_at: datetime
    imposed_by: str
    until: datetime
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lift_reason: str | None = None

    def holds(self, now: datetime) -> bool:
        return self.lifted_at is None and now < self.until


COLUMNS: Final = ", ".join(field.name for field in fields(Ban))


async def last_change(rows: Rows) -> int:
    """The position of the last event about those in the rows; 0: there is none. Another: look again.

    Raises Unavailable also when the tables are not there: who asks again and again need not fall over that.
    """
    try:
        return int(await rows.fetchval(f"SELECT coalesce(max(changed), 0) FROM {_SCHEMA}.ban"))
    except asyncpg.UndefinedTableError as error:
        raise Unavailable("postgres", f"the tables of {_SCHEMA} are not there") from error


async def bans_ending_after(rows: Rows, moment: datetime) -> list[Ban]:
    """Lifted ones too, newest first; at most BANS_MAX."""
    found = await rows.fetch(
        f"""SELECT {COLUMNS} FROM (SELECT * FROM {_SCHEMA}.ban WHERE until > $1
            ORDER BY until DESC, ban_id LIMIT {BANS_MAX:d}) AS lasting
        ORDER BY ban_id DESC""",
        moment,
    )
    return [Ban(*row.values()) for row in found]


async def all_bans(rows: Rows) -> list[Ban]:
    """The newest BANS_MAX, newest first."""
    found = await rows.fetch(f"SELECT {COLUMNS} FROM {_SCHEMA}.ban ORDER BY ban_id DESC LIMIT {BANS_MAX:d}")
    return [Ban(*row.values()) for row in found]


async def find_ban(rows: Rows, ban_id: str) -> Ban | None:
    row = await rows.fetchrow(f"SELECT {COLUMNS} FROM {_SCHEMA}.ban WHERE ban_id = $1", ban_id)
    return Ban(*row.values()) if row else None
