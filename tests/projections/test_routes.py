"""Where agencies' mail goes, by the rows."""

import pytest

from gateway.domain.agencies import switch_route
from gateway.domain.agency import Agency, NextHop
from gateway.domain.registration import Refused
from gateway.domain.route import AgencyRouteSwitched, Route, Switch, WeightedHop
from gateway.mail.ids import AgencyId
from projections.directory.query import list_agencies, sending_hosts
from projections.directory.routes import RouteRow, on_backup, route_row, routes, routes_set
from projections.queue.listing import EVERYTHING, destinations, with_agencies
from tests.projections.gateway import DLD, Gateway
from tests.projections.governing import send_by, switch

ONE, TWO, BACKUP = (WeightedHop(NextHop(host, 25)) for host in ("mx1.dld.go.th", "2001:db8::1", "192.0.2.7"))
ALONE = RouteRow(Route((WeightedHop(DLD),)), "main")


async def known(gateway: Gateway) -> dict[AgencyId, RouteRow]:
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        return await routes(rows, [gateway.opm, gateway.dld])


async def test_the_last_route_holds_all_of_it(gateway: Gateway) -> None:
    assert await known(gateway) == {gateway.dld: ALONE}
    async with gateway.pool.rows() as rows:
        assert await routes_set(rows) == {}
    for route in (
        Route((WeightedHop(NextHop("mx1.dld.go.th", 25), 3), TWO), (BACKUP,), 600, 60),
        Route((TWO,)),
        Route((ONE, TWO)),
    ):
        send_by(gateway.world, gateway.dld, route)
        assert await known(gateway) == {gateway.dld: RouteRow(route, "main")}
        async with gateway.pool.rows() as rows:
            assert set(await routes_set(rows)) == {gateway.dld}
            assert await sending_hosts(rows) == [(gateway.dld, hop.host) for hop in route.hops]
            assert (await list_agencies(rows, gateway.dld))[0].next_hop == route.main[0].hop


async def test_mail_goes_by_the_way_it_was_switched_to_until_the_route_is_set_anew(gateway: Gateway) -> None:
    world, dld = gateway.world, gateway.dld
    route = Route((ONE,), (BACKUP,))
    send_by(world, dld, route)
    assert switch(world, dld, "backup")
    assert not switch(world, dld, "backup")
    switched = world.log[-1].event
    assert isinstance(switched, AgencyRouteSwitched)
    assert (switched.at - switched.since).total_seconds() == 900
    assert await known(gateway) == {dld: RouteRow(route, "backup", switched.at)}
    async with gateway.pool.rows() as rows:
        assert await on_backup(rows) == [dld]
        shown = {row.agency_id: row.way for row in await list_agencies(rows)}
    assert shown[gateway.opm] is None
    assert shown[dld] == f"backup since {switched.at:%Y-%m-%d %H:%M} UTC"
    mail = world.accept(gateway.opm, "ann@opm.go.th", ["vet@dld.go.th", "bob@example.org"])
    world.queue(mail, dld, [0])
    world.queue(mail, None, [1])
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        waiting = await with_agencies(rows, await destinations(rows, EVERYTHING, limit=10))
    assert {each.domain: each.way for each in waiting} == {"dld.go.th": shown[dld], "example.org": None}
    assert switch(world, dld, "main")
    assert (await known(gateway))[dld].way == "main"
    assert switch(world, dld, "backup")
    other = Route((TWO,), (BACKUP,))
    send_by(world, dld, other)
    assert await known(gateway) == {dld: RouteRow(other, "main")}
    async with gateway.pool.rows() as rows:
        assert await on_backup(rows) == []


async def test_a_switch_of_a_route_that_is_another_by_now_is_none(gateway: Gateway) -> None:
    world, dld = gateway.world, gateway.dld
    send_by(world, dld, Route((ONE,), (BACKUP,)))
    agency, position = world.aggregate(Agency, dld)
    before = Route((TWO,), (BACKUP,))
    assert switch_route(agency, position, before, Switch("backup", 900), world.stamp()) is None


async def test_who_is_not_there_and_who_has_no_server(gateway: Gateway) -> None:
    async with gateway.pool.rows() as rows:
        assert await route_row(rows, AgencyId("ag_nobody")) is None
        assert await route_row(rows, gateway.opm) == RouteRow(Route(()), "main")


REFUSED: dict[str, tuple[Route, str]] = {
    "the same": (ALONE.route, "is this already"),
    "nobody": (Route((), (BACKUP,)), "1 to 8 servers"),
    "too many": (Route(tuple(WeightedHop(NextHop("mx", port)) for port in range(1, 10))), "1 to 8 servers"),
    "no port": (Route((WeightedHop(NextHop("mx", 0)),)), "mx:0 is no host and port"),
    "no host": (Route((ONE,), (WeightedHop(NextHop("", 25)),)), "is no host and port"),
    "no weight": (Route((WeightedHop(NextHop("mx", 25), 0),)), "from 1 to 1000, not 0"),
    "twice": (Route((ONE,), (ONE,)), "named twice"),
    "no time": (Route((ONE,), (BACKUP,), 0), "1 second to 7 days"),
    "no end": (Route((ONE,), (BACKUP,), 900, 8 * 86_400), "1 second to 7 days"),
}


@pytest.mark.parametrize(("route", "why"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_meant_is_refused(gateway: Gateway, route: Route, why: str) -> None:
    with pytest.raises(Refused, match=why):
        send_by(gateway.world, gateway.dld, route)


async def test_an_agency_with_its_mailboxes_here_has_no_route(gateway: Gateway) -> None:
    with pytest.raises(Refused, match=r"mailboxes of .* are here"):
        send_by(gateway.world, gateway.opm, Route((ONE,)))
