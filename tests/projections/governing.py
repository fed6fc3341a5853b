"""What operators and administrators decide about agencies of a made-up history."""

from gateway.domain.account import Account
from gateway.domain.agencies import (
    rename_agency,
    set_catch_all,
    set_plus_addressing,
    set_route,
    set_tls,
    switch_route,
)
from gateway.domain.agency import Agency
from gateway.domain.agency_tls import AgencyTls
from gateway.domain.domains import replace_domain as replaced
from gateway.domain.route import Route, Switch, WayName
from gateway.mail.ids import AgencyId
from tests.projections.world import Owner, World


def rename(world: World, agency_id: AgencyId, name: str) -> None:
    agency, position = world.aggregate(Agency, agency_id)
    world.add(*rename_agency(agency, position, name, world.stamp()).facts)


def demand_tls(world: World, agency_id: AgencyId, policy: AgencyTls) -> None:
    agency, position = world.aggregate(Agency, agency_id)
    world.add(*set_tls(agency, position, policy, world.stamp(), reason=b"sealed").facts)


def send_by(world: World, agency_id: AgencyId, route: Route) -> None:
    agency, position = world.aggregate(Agency, agency_id)
    world.add(*set_route(agency, position, route, world.stamp(), reason=b"sealed").facts)


def switch(world: World, agency_id: AgencyId, to: WayName, for_s: float = 900) -> bool:
    """False: there is nothing to switch."""
    agency, position = world.aggregate(Agency, agency_id)
    assert agency.route is not None, agency_id
    switched = switch_route(agency, position, agency.route, Switch(to, for_s), world.stamp())
    if switched is not None:
        world.add(*switched.facts)
    return switched is not None


def catch_all(world: World, owner: Owner) -> None:
    agency, position = world.aggregate(Agency, owner.agency_id)
    account, _ = world.aggregate(Account, owner.account_id)
    world.add(*set_catch_all(agency, position, account, owner.address, world.stamp()).facts)


def plus_addressing(world: World, agency_id: AgencyId, *, is_on: bool) -> None:
    agency, position = world.aggregate(Agency, agency_id)
    world.add(*set_plus_addressing(agency, position, is_on, world.stamp()).facts)


def replace_domain(world: World, agency_id: AgencyId, old: str, new: str) -> None:
    agency, _ = world.aggregate(Agency, agency_id)
    world.add(*replaced(agency, world.stand(old), world.stand(new), 1, 0, world.stamp()).facts)
