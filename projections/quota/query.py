"""What an account uses."""

from dataclasses import dataclass

from gateway.mail.ids import AccountId
from projections.quota.project import QuotaModel
from projections.readmodel import Rows, schema_of

_SCHEMA = schema_of(QuotaModel)


@dataclass(frozen=True, slots=True)
class Usage:
    octets: int
    messages: int


async def usage_of(rows: Rows, account_id: AccountId) -> Usage:
    """Nothing for an account that never got mail."""
    row = await rows.fetchrow(
        f"SELECT octets, messages FROM {_SCHEMA}.usage WHERE account_id = $1", account_id
    )
    return Usage(row["octets"], row["messages"]) if row else Usage(0, 0)
