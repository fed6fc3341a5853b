"""Who has which role, by the directory's rows."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.account import Role
from gateway.mail.ids import AccountId, AgencyId
from projections.directory.project import DirectoryModel
from projections.readmodel import Rows, schema_of

_SCHEMA = schema_of(DirectoryModel)


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role somebody has. agency_id: where; None: everywhere. address, display_name: blank when erased."""

    account_id: AccountId
    role: Role
    agency_id: AgencyId | None
    address: str
    display_name: str
    granted_at: datetime


async def list_roles(
    rows: Rows, *, account_id: AccountId | None = None, agencies: Collection[AgencyId] | None = None
) -> list[RoleRow]:
    """All roles, or those of one account, or those in some agencies, by role and address; some hundreds."""
    found = await rows.fetch(
        f"""SELECT account_id, role, role.agency_id, address, display_name, granted_at
        FROM {_SCHEMA}.role JOIN {_SCHEMA}.account USING (account_id)
        WHERE ($1::text IS NULL OR account_id = $1)
            AND ($2::text[] IS NULL OR role.agency_id = ANY($2::text[]))
        ORDER BY role, address, account_id, role.agency_id""",
        account_id,
        None if agencies is None else list(agencies),
    )
    return [
        RoleRow(
            AccountId(row["account_id"]),
            row["role"],
            AgencyId(row["agency_id"]) if row["agency_id"] else None,
            row["address"],
            row["display_name"],
            row["granted_at"],
        )
        for row in found
    ]
