"""When an account's password was set last, how, and by whom; never what it is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.mail.ids import AccountId
from projections.directory.project import DirectoryModel
from projections.readmodel import Rows, schema_of

_SCHEMA: Final = schema_of(DirectoryModel)


@dataclass(frozen=True, slots=True)
class PasswordRow:
    """set_by: `operator <name>`, `account <account_id>`."""

    set_at: datetime
    how: str  # invitation, administrator, import
    set_by: str


async def password_of(rows: Rows, account_id: AccountId) -> PasswordRow | None:
    """None: none was set that is on record, as where the agency's provider knows the person."""
    found = await rows.fetchrow(
        f"SELECT set_at, how, set_by FROM {_SCHEMA}.password WHERE account_id = $1", account_id
    )
    return PasswordRow(**found) if found else None
