"""Agencies' domains, as the API shows and changes them."""

from dataclasses import asdict
from functools import partial

from gateway.mail.ids import AgencyId
from gateway.processes.registry.counting import look_at_domain, look_at_move
from gateway.processes.registry.domains import Domains
from gateway.processes.web import bodies
from gateway.processes.web.office import Asked
from projections.directory.domain_query import list_domains as domains_of


async def list_domains(asked: Asked) -> bodies.DomainList:
    agency_id = asked.agency("see")
    async with asked.office.pool.rows() as rows:
        found = await domains_of(rows, [agency_id])
    return bodies.DomainList([bodies.Domain(**asdict(row)) for row in found])


async def add_domain(asked: Asked) -> bodies.DomainChanged:
    agency_id, domains = _governed(asked)
    return bodies.DomainChanged(agency_id, await domains.add(agency_id, asked.body.domain))


async def replace_domain(asked: Asked) -> bodies.DomainChanged:
    agency_id, domains = _governed(asked)
    named = await domains.replace(agency_id, asked.path["domain"], asked.body.by)
    return bodies.DomainChanged(agency_id, named)


async def remove_domain(asked: Asked) -> bodies.DomainChanged:
    agency_id, domains = _governed(asked)
    return bodies.DomainChanged(agency_id, await domains.remove(agency_id, asked.path["domain"]))


async def move_domain(asked: Asked) -> bodies.DomainsMoved:
    agency_id, domains = _governed(asked)
    to = asked.agency("govern", asked.body.to)
    moved = await domains.move(agency_id, asked.path["domain"], to, asked.body.reason)
    return bodies.DomainsMoved(to, moved)


def _governed(asked: Asked) -> tuple[AgencyId, Domains]:
    """The agency in the path, and what decides about its domains. Raises Problem."""
    agency_id, domains = asked.agency("govern"), asked.registry(Domains)
    log, pool = asked.office.log, asked.office.pool
    domains.prepare(partial(look_at_domain, log, pool), partial(look_at_move, log, pool))
    return agency_id, domains
