"""Domains of agencies: listed, and what is in one."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.addresses import ADDRESS_RESTS
from gateway.mail.address import shown_domain
from gateway.mail.ids import AgencyId
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
