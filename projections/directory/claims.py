"""Which addresses have been given out, many at once, by the names they have in the log."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.mail.ids import AccountId
from projections.directory.project import DirectoryModel
from projections.readmodel import Rows, schema_of

_SCHEMA = schema_of(DirectoryModel)


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """account_id: whose the address is, or was until it was given up."""

    account_id: AccountId
    is_alias: bool
    is_given_out: bool


async def claims_of(rows: Rows, names: Sequence[str]) -> dict[str, ClaimRow]:
    """Of those names that somebody has or had. names: as in `address.claimed`."""
    found = await rows.fetch(
        f"""SELECT name, account_id, is_alias, released_at IS NULL AS is_given_out
        FROM {_SCHEMA}.address WHERE name = ANY($1::text[])""",
        list(names),
    )
    return {
        row["name"]: ClaimRow(AccountId(row["account_id"]), row["is_alias"], row["is_given_out"])
        for row in found
    }
