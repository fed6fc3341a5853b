"""What agencies demand of TLS with their own mail servers."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from gateway.domain.agency_tls import NO_TLS_POLICY, AgencyTls
from gateway.mail.ids import AgencyId
from projections.directory.project import DirectoryModel
from projections.readmodel import Rows, schema_of

_SCHEMA: Final = schema_of(DirectoryModel)


async def tls_policies(rows: Rows, agencies: Sequence[AgencyId]) -> dict[AgencyId, AgencyTls]:
    """Of those that demand anything, or do without until some time."""
    found = await rows.fetch(
        f"""SELECT agency_id, tls_use, tls_authorities, tls_certificate, tls_exception_until
        FROM {_SCHEMA}.agency WHERE agency_id = ANY($1::text[])
            AND (tls_use <> $2 OR tls_exception_until IS NOT NULL)""",
        list(agencies),
        NO_TLS_POLICY.use,
    )
    return {AgencyId(row["agency_id"]): policy_in(row) for row in found}


def policy_in(row: asyncpg.Record) -> AgencyTls:
    """Of a row of the agencies' table."""
    return AgencyTls(
        row["tls_use"], row["tls_authorities"], row["tls_certificate"], row["tls_exception_until"]
    )
