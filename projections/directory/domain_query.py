"""Domains of agencies: listed, and what is in one."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.account import Role
from gateway.domain.addresses import ADDRESS_RESTS
from gateway.domain.domains import Moving
from gateway.mail.address import shown_domain
from gateway.mail.ids import AccountId, AgencyId
from projections.directory.domains import DOMAIN_OF
from projections.directory.project import DirectoryModel
from projections.readmodel import Rows, schema_of

_SCHEMA = schema_of(DirectoryModel)


@dataclass(frozen=True, slots=True)
class DomainRow:
    """replaced_by: its newest name in A-labels; None: itself. shown: in U-labels."""

    domain: str
    shown: str
    agency_id: AgencyId
    replaced_by: str | None


async def list_domains(rows: Rows, agencies: Collection[AgencyId] | None = None) -> list[DomainRow]:
    """By agency and name; agencies: None for all."""
    found = await rows.fetch(
        f"""SELECT domain, agency_id, replaced_by FROM {_SCHEMA}.domain
        WHERE $1::text[] IS NULL OR agency_id = ANY($1) ORDER BY agency_id, domain""",
        None if agencies is None else list(agencies),
    )
    return [
        DomainRow(
            each["domain"], shown_domain(each["domain"]), AgencyId(each["agency_id"]), each["replaced_by"]
        )
        for each in found
    ]


@dataclass(frozen=True, slots=True)
class Use:
    """domains: how many the agency has. addresses: of the domain, given out or resting."""

    domains: int
    addresses: int


async def use_of(rows: Rows, agency_id: AgencyId, domain: str, at: datetime) -> Use:
    """What is in a domain at a time, and how many the agency has."""
    found = await rows.fetchrow(
        f"""SELECT (SELECT count(*) FROM {_SCHEMA}.domain WHERE agency_id = $1) AS domains,
            (SELECT count(*) FROM {_SCHEMA}.address WHERE {DOMAIN_OF.format("address")} = $2
                AND (released_at IS NULL OR released_at > $3)) AS addresses""",
        agency_id,
        domain,
        at - ADDRESS_RESTS,
    )
    assert found is not None, "counts are always there"
    return Use(found["domains"], found["addresses"])


async def namesakes(rows: Rows, domain: str) -> list[tuple[str, bool]]:
    """Every domain with the same addresses, and whether it is the newest. domain: in A-labels."""
    found = await rows.fetch(
        f"""SELECT same.domain, same.replaced_by IS NULL AS is_newest FROM {_SCHEMA}.domain AS own
        JOIN {_SCHEMA}.domain AS same USING (stem) WHERE own.domain = $1 ORDER BY same.domain""",
        domain,
    )
    return [(each["domain"], each["is_newest"]) for each in found]


async def moving_of(rows: Rows, to: AgencyId, stem: str) -> Moving:
    """What goes along with a domain when `to` gets it. stem: under which its addresses are claimed."""
    found = await rows.fetchrow(
        f"""SELECT (SELECT count(*) FROM {_SCHEMA}.account JOIN {_SCHEMA}.address USING (account_id)
                WHERE NOT is_alias AND released_at IS NULL AND {DOMAIN_OF.format("address.address")} = $2)
                AS accounts,
            (SELECT count(*) FROM {_SCHEMA}.account WHERE agency_id = $1 AND status <> 'closed')
                AS accounts_there,
            (SELECT count(*) FROM {_SCHEMA}.domain WHERE agency_id = $1) AS domains_there""",
        to,
        stem,
    )
    astray = await rows.fetchrow(
        f"""SELECT account.address, further.written FROM {_SCHEMA}.address AS further
        JOIN {_SCHEMA}.address AS own USING (account_id) JOIN {_SCHEMA}.account USING (account_id)
        WHERE further.is_alias AND NOT own.is_alias
            AND further.released_at IS NULL AND own.released_at IS NULL
            AND ({DOMAIN_OF.format("further.address")} = $1) <> ({DOMAIN_OF.format("own.address")} = $1)
        ORDER BY account_id, further.name LIMIT 1""",
        stem,
    )
    assert found is not None, "counts are always there"
    return Moving(
        found["accounts"],
        found["accounts_there"],
        found["domains_there"],
        (astray["address"], astray["written"]) if astray else None,
    )


async def roles_in(rows: Rows, agency_id: AgencyId, stem: str) -> list[tuple[AccountId, Role]]:
    """Who of a domain's accounts has which role in an agency."""
    found = await rows.fetch(
        f"""SELECT role.account_id, role.role FROM {_SCHEMA}.role
        JOIN {_SCHEMA}.address AS own ON own.account_id = role.account_id AND NOT own.is_alias
        WHERE role.agency_id = $1 AND {DOMAIN_OF.format("own.address")} = $2
        ORDER BY role.account_id, role.role""",
        agency_id,
        stem,
    )
    return [(AccountId(each["account_id"]), each["role"]) for each in found]
