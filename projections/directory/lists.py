"""Which accounts are mailing lists."""

from collections.abc import Collection

from gateway.mail.ids import AccountId
from projections.directory.project import DirectoryModel
from projections.readmodel import Rows, schema_of

_SCHEMA = schema_of(DirectoryModel)


async def lists_among(rows: Rows, account_ids: Collection[AccountId]) -> set[AccountId]:
    found = await rows.fetch(
        f"SELECT account_id FROM {_SCHEMA}.account WHERE account_id = ANY($1::text[]) AND kind = 'list'",
        list(account_ids),
    )
    return {AccountId(row["account_id"]) for row in found}
