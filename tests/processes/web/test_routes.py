"""The route of an agency's mail, through the API."""

from typing import Any

import pytest

from gateway.domain.agency import NextHop
from gateway.domain.route import AgencyRouteSet
from projections.queue import hops
from tests.processes.web.world import World

WHY = {"reason": "agreed"}
ONE, TWO = {"host": "mx1.dld.go.th", "port": 25}, {"host": "192.0.2.25", "port": 2525}


async def relayed(world: World) -> str:
    """An agency with a server of its own: where its route is."""
    new = {"name": "DLD", "domains": ["dld.go.th"], "relay_to": "mx.dld.example:25"}
    made = await world.ask("operator", "POST", "/agencies", new)
    return f"/agencies/{made.body['agency_id']}"


def shown(hop: dict[str, Any], weight: int = 1, silent_for_s: float | None = None) -> dict[str, Any]:
    return {**hop, "weight": weight, "silent_for_s": silent_for_s}


async def test_an_operator_says_and_sees_it_and_nobody_else_says_it(world: World) -> None:
    agency = await relayed(world)
    new = {"main": [{**ONE, "weight": 3}], "backup": [TWO], "down_for_s": 600, **WHY}
    for who in ("admin", "auditor", "helpdesk", "member", "stranger"):
        assert (who, (await world.ask(who, "PUT", f"{agency}/route", new)).status) == (who, 403)
    put = await world.ask("operator", "PUT", f"{agency}/route", new)
    assert put.status == 200, put
    assert isinstance(await world.last_event(), AgencyRouteSet)
    assert (put.body["main"], put.body["backup"]) == ([shown(ONE, 3)], [shown(TWO)])
    assert (put.body["down_for_s"], put.body["back_for_s"]) == (600, 300)
    assert (await world.ask("operator", "GET", f"{agency}/route")).body == put.body
    about = (await world.ask("operator", "GET", agency)).body
    assert (about["next_hop"], about["way"]) == ("mx1.dld.go.th:25", "main")


async def test_who_is_silent_is_told(world: World) -> None:
    agency = await relayed(world)
    await world.ask("operator", "PUT", f"{agency}/route", {"main": [ONE, TWO], **WHY})
    async with world.office.pool.rows() as rows:
        await hops.see(rows, {NextHop(**ONE): True, NextHop(**TWO): False})
    told = (await world.ask("operator", "GET", f"{agency}/route")).body["main"]
    assert told[0]["silent_for_s"] >= 0
    assert told[1]["silent_for_s"] is None


MALFORMED: dict[str, dict[str, Any]] = {
    "nobody": {"main": []},
    "no port": {"main": [{**ONE, "port": 0}]},
    "no weight": {"main": [{**ONE, "weight": 0}]},
    "no time": {"main": [ONE], "down_for_s": 0},
    "a word that is not known": {"main": [{**ONE, "wait": 1}]},
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_route_is_malformed(world: World, body: dict[str, Any]) -> None:
    agency = await relayed(world)
    assert (await world.ask("operator", "PUT", f"{agency}/route", {**body, **WHY})).status == 400


async def test_an_agency_with_its_mailboxes_here_has_none(world: World) -> None:
    path = f"/agencies/{world.agencies['opm.go.th']}/route"
    told = await world.ask("admin", "GET", path)
    assert (told.status, told.body["main"]) == (200, [])
    refused = await world.ask("operator", "PUT", path, {"main": [ONE], **WHY})
    assert (refused.status, "are here" in refused.detail) == (409, True), refused
    assert (await world.ask("operator", "GET", f"/agencies/ag_{'0' * 26}/route")).status == 404
