"""Which agencies are here for trial, and who answers for one."""

from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AgencyId
from projections.directory.project import DirectoryModel
from projections.readmodel import Rows, schema_of

_SCHEMA = schema_of(DirectoryModel)


async def on_trial(rows: Rows) -> list[AgencyId]:
    """Those whose trial is not over with, by id."""
    found = await rows.fetch(
        f"""SELECT agency_id FROM {_SCHEMA}.agency
        WHERE trial_ends_at IS NOT NULL AND status <> 'closed' ORDER BY agency_id"""
    )
    return [AgencyId(row["agency_id"]) for row in found]


async def answering(rows: Rows, agency_id: AgencyId) -> list[Address]:
    """Its contact and its administrators; without any its oldest account. With a mail server of its own: the
    postmaster there (RFC 5321 §4.5.1)."""
    found = await rows.fetch(
        f"""WITH here AS (SELECT account_id, address, (
                account_id = (SELECT contact_id FROM {_SCHEMA}.agency WHERE agency_id = $1)
                OR account_id IN (SELECT account_id FROM {_SCHEMA}.role
                    WHERE role = 'agency-admin' AND agency_id = $1)) IS TRUE AS answers
            FROM {_SCHEMA}.account WHERE agency_id = $1 AND status <> 'closed' AND address <> '')
        SELECT address FROM here WHERE answers OR NOT EXISTS (SELECT 1 FROM here WHERE answers)
            AND account_id = (SELECT min(account_id) FROM here)
        ORDER BY account_id""",
        agency_id,
    )
    if found:
        return [parse_address(row["address"]) for row in found]
    domain = await rows.fetchval(
        f"""SELECT min(domain) FROM {_SCHEMA}.domain JOIN {_SCHEMA}.agency USING (agency_id)
        WHERE agency_id = $1 AND relay_host IS NOT NULL""",
        agency_id,
    )
    return [Address("postmaster", domain)] if domain else []
