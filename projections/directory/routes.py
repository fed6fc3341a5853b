"""Where mail for agencies goes, and by which of their ways now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from gateway.domain.agency import NextHop
from gateway.domain.route import Route, WayName, WeightedHop
from gateway.mail.ids import AgencyId
from projections.directory.project import DirectoryModel
from projections.readmodel import Rows, schema_of

_SCHEMA: Final = schema_of(DirectoryModel)
_COLUMNS: Final = "agency_id, route, relay_host, relay_port, way, way_since"


@dataclass(frozen=True, slots=True)
class RouteRow:
    """since: when mail began to go this way; None: it was never switched."""

    route: Route
    way: WayName
    since: datetime | None = None

    def __str__(self) -> str:
        """As people read it: which way, and since when."""
        return f"{self.way} since {self.since:%Y-%m-%d %H:%M} UTC" if self.since else self.way


async def routes(rows: Rows, agencies: Sequence[AgencyId]) -> dict[AgencyId, RouteRow]:
    """Of these agencies; without those whose mailboxes are here."""
    found = await rows.fetch(
        f"""SELECT {_COLUMNS} FROM {_SCHEMA}.agency
        WHERE agency_id = ANY($1::text[]) AND relay_host IS NOT NULL""",
        list(agencies),
    )
    return {AgencyId(row["agency_id"]): route_in(row) for row in found}


async def route_row(rows: Rows, agency_id: AgencyId) -> RouteRow | None:
    """None: there is no such agency."""
    row = await rows.fetchrow(f"SELECT {_COLUMNS} FROM {_SCHEMA}.agency WHERE agency_id = $1", agency_id)
    return route_in(row) if row else None


async def routes_set(rows: Rows) -> dict[AgencyId, RouteRow]:
    """Of all agencies for which somebody set one; some hundreds."""
    found = await rows.fetch(f"SELECT {_COLUMNS} FROM {_SCHEMA}.agency WHERE route IS NOT NULL")
    return {AgencyId(row["agency_id"]): route_in(row) for row in found}


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """The most that is asked of an agency's servers. None: the gateway's limit holds."""

    connections_max: int | None
    mails_a_minute: int | None


async def relay_limits(rows: Rows, agencies: Sequence[AgencyId]) -> dict[AgencyId, RelayLimits]:
    """Of those that have limits of their own."""
    found = await rows.fetch(
        f"""SELECT agency_id, relay_connections_max, relay_mails_a_minute FROM {_SCHEMA}.agency
        WHERE agency_id = ANY($1::text[])
            AND coalesce(relay_connections_max, relay_mails_a_minute) IS NOT NULL""",
        list(agencies),
    )
    return {
        AgencyId(agency_id): RelayLimits(*limits) for agency_id, *limits in (row.values() for row in found)
    }


async def on_backup(rows: Rows) -> list[AgencyId]:
    """The agencies whose mail goes by their backup now."""
    found = await rows.fetch(
        f"SELECT agency_id FROM {_SCHEMA}.agency WHERE way = 'backup' ORDER BY agency_id"
    )
    return [AgencyId(row["agency_id"]) for row in found]


def route_in(row: asyncpg.Record) -> RouteRow:
    """Of a row of the agencies' table. Nobody is in the route of an agency whose mailboxes are here."""
    if row["relay_host"] is None:
        return RouteRow(Route(()), "main")
    if row["route"] is None:
        return RouteRow(Route((WeightedHop(NextHop(row["relay_host"], row["relay_port"])),)), "main")
    return RouteRow(msgspec.json.decode(row["route"], type=Route), row["way"], row["way_since"])
