"""What agencies demand of TLS with their own servers, and what was had of it, as rows tell."""

from datetime import timedelta

import pytest

from gateway.domain.agency_tls import AgencyTls
from gateway.domain.registration import Refused
from gateway.mail.ids import AgencyId
from projections.directory.query import list_agencies
from projections.directory.tls import tls_policies
from tests.processes.relay.authority import Authority
from tests.projections.gateway import Gateway
from tests.projections.governing import demand_tls

PEM = Authority().pem


async def policies(gateway: Gateway) -> dict[AgencyId, AgencyTls]:
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        return await tls_policies(rows, [gateway.opm, gateway.dld])


async def test_the_last_policy_holds_all_of_it(gateway: Gateway) -> None:
    assert await policies(gateway) == {}
    until = gateway.world.now + timedelta(days=1)
    for policy in (
        AgencyTls("pinned", authorities=PEM),
        AgencyTls("mutual", PEM, PEM, until),
        AgencyTls("required"),
        AgencyTls(exception_until=until),
    ):
        demand_tls(gateway.world, gateway.dld, policy)
        assert await policies(gateway) == {gateway.dld: policy}
    demand_tls(gateway.world, gateway.dld, AgencyTls())
    assert await policies(gateway) == {}


async def test_an_agency_is_shown_with_it(gateway: Gateway) -> None:
    until = gateway.world.now.replace(hour=9, minute=30) + timedelta(days=1)
    demand_tls(gateway.world, gateway.dld, AgencyTls("required", exception_until=until))
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        shown = {row.agency_id: row.tls for row in await list_agencies(rows)}
    assert shown[gateway.opm] == "opportunistic"
    assert shown[gateway.dld] == f"required, opportunistic until {until:%Y-%m-%d} 09:30 UTC"


def refusals(gateway: Gateway) -> list[tuple[AgencyId, AgencyTls, str]]:
    now = gateway.world.now
    return [
        (gateway.opm, AgencyTls("required"), "mailboxes of .* are here"),
        (gateway.dld, AgencyTls(), "is this already"),
        (gateway.dld, AgencyTls("pinned"), "who vouches"),
        (gateway.dld, AgencyTls("required", authorities=PEM), "pinned or mutual"),
        (gateway.dld, AgencyTls("pinned", authorities="none"), "no PEM certificate"),
        (gateway.dld, AgencyTls("pinned", authorities=PEM * 200), "at most"),
        (gateway.dld, AgencyTls("mutual"), "a certificate that we show"),
        (gateway.dld, AgencyTls("pinned", PEM, PEM), "a certificate that we show"),
        (gateway.dld, AgencyTls(exception_until=now - timedelta(days=1)), "ends in the future"),
        (gateway.dld, AgencyTls(exception_until=now + timedelta(days=400)), "within 366 days"),
    ]


async def test_what_cannot_be_meant_is_refused(gateway: Gateway) -> None:
    for agency_id, policy, why in refusals(gateway):
        with pytest.raises(Refused, match=why):
            demand_tls(gateway.world, agency_id, policy)
