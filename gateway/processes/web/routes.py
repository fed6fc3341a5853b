"""The route of an agency's mail, through the API: for operators to say.

Whoever says so can have all of an agency's mail brought to a server of his own.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.domain.agency import NextHop
from gateway.domain.registration import Unknown
from gateway.domain.route import (
    BACK_FOR_S,
    DOWN_FOR_S,
    HOPS_MAX,
    SPAN_S_MAX,
    WEIGHT_MAX,
    Health,
    Route,
    WayName,
    WeightedHop,
)
from gateway.mail.ids import AgencyId
from gateway.processes.registry.agencies import Agencies
from gateway.processes.web.bodies import Text
from gateway.processes.web.office import Asked, Operation
from projections.directory.routes import RouteRow, route_row
from projections.queue import hops
from projections.readmodel import Rows


class HopShown(Struct):
    """silent_for_s: null: it answered when a relay connected to it last, or none ever did."""

    host: str
    port: int
    weight: int
    silent_for_s: float | None


class RouteShown(Struct):
    """main: empty: its mailboxes are here. way: by which its mail goes now; since: null: never switched."""

    agency_id: AgencyId
    main: list[HopShown]
    backup: list[HopShown]
    down_for_s: int
    back_for_s: int
    way: WayName
    since: datetime | None


class HopNamed(Struct, forbid_unknown_fields=True):
    host: Text
    port: Annotated[int, Meta(ge=1, le=65535)]
    weight: Annotated[int, Meta(ge=1, le=WEIGHT_MAX)] = 1


Span = Annotated[int, Meta(ge=1, le=SPAN_S_MAX)]


class NewRoute(Struct, forbid_unknown_fields=True):
    """All of it. backup: empty: mail waits for main, however long that is silent."""

    reason: Text
    main: Annotated[list[HopNamed], Meta(min_length=1, max_length=HOPS_MAX)]
    backup: Annotated[list[HopNamed], Meta(max_length=HOPS_MAX)] = []
    down_for_s: Span = DOWN_FOR_S
    back_for_s: Span = BACK_FOR_S


async def read_route(rows: Rows, agency_id: AgencyId) -> RouteShown:
    """As the rows have it, with how its servers were when a relay saw them last. Raises Unknown."""
    row = await route_row(rows, agency_id)
    if row is None:
        raise Unknown(f"there is no agency {agency_id}")
    return shown_route(agency_id, row, await hops.health(rows, row.route.hops))


def shown_route(agency_id: AgencyId, row: RouteRow, health: Health) -> RouteShown:
    def shown(way: Sequence[WeightedHop]) -> list[HopShown]:
        return [HopShown(each.hop.host, each.hop.port, each.weight, silent_s(each.hop)) for each in way]

    def silent_s(hop: NextHop) -> float | None:
        seen = health.get(hop)
        return seen.for_s if seen and seen.is_silent else None

    route = row.route
    main, backup = shown(route.main), shown(route.backup)
    return RouteShown(agency_id, main, backup, route.down_for_s, route.back_for_s, row.way, row.since)


async def show(asked: Asked) -> RouteShown:
    agency_id = asked.agency("see")
    async with asked.office.pool.rows() as rows:
        return await read_route(rows, agency_id)


async def put(asked: Asked) -> RouteShown:
    agency_id, new = asked.agency("govern"), asked.body
    route = Route(_way(new.main), _way(new.backup), new.down_for_s, new.back_for_s)
    await asked.registry(Agencies).set_route(agency_id, route, new.reason)
    async with asked.office.pool.rows() as rows:
        return shown_route(agency_id, RouteRow(route, "main"), await hops.health(rows, route.hops))


def _way(named: Sequence[HopNamed]) -> tuple[WeightedHop, ...]:
    return tuple(WeightedHop(NextHop(each.host, each.port), each.weight) for each in named)


_ROUTE: Final = "/agencies/{agency_id}/route"

OPERATIONS: Final = (
    Operation("GET", _ROUTE, "Where an agency's mail goes, and which way now.", show, RouteShown),
    Operation(
        "PUT",
        _ROUTE,
        "Say where an agency's mail goes: its servers, and its backup.",
        put,
        RouteShown,
        NewRoute,
        right="govern",
    ),
)
