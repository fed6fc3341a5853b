"""`saraban agency route`: an agency's own mail servers, and its backup."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

import click
import msgspec

from gateway.cli.desk import Where, administering, confirm, reason_option
from gateway.cli.instants import Span, length
from gateway.cli.output import as_json, cell, print_json, print_rows, say
from gateway.cli.registering import agencies_at
from gateway.cli.remote import Remote
from gateway.domain.agency import NextHop
from gateway.domain.route import BACK_FOR_S, DOWN_FOR_S, SPAN_S_MAX, Route, WeightedHop
from gateway.mail.ids import AgencyId
from gateway.processes.web.routes import HopShown, RouteShown, read_route
from gateway.settings import split_address

SPAN: Final = Span(timedelta(seconds=SPAN_S_MAX))


class Weighted(click.ParamType[WeightedHop]):
    """A mail server, and its share of the connections."""

    name = "host:port[=weight]"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> WeightedHop:
        address, equals, weight = str(value).partition("=")
        try:
            if equals and not (weight.isascii() and weight.isdigit()):
                raise ValueError(weight)
            return WeightedHop(NextHop(*split_address(address)), int(weight or 1))
        except ValueError:
            self.fail(f"{value!r} is no host:port[=weight] such as mx.example.org:25=2", parameter, context)


WEIGHTED: Final = Weighted()


@click.group("route")
def route() -> None:
    """Where the mail of an agency with servers of its own goes.

    Example: saraban agency route show ag_01…
    """


@route.command("show")
@click.argument("agency_id")
@administering
async def show(where: Where, agency_id: str) -> None:
    """Its servers, which of its ways mail goes now, and who is silent since when.

    Example: saraban agency route show ag_01…
    """
    shown = await _shown(where, AgencyId(agency_id))
    if as_json():
        print_json(msgspec.to_builtins(shown))
        return
    if not shown.main:
        click.echo(f"{agency_id}: its mailboxes are here")
        return
    since = f" since {cell(shown.since)}" if shown.since else ""
    click.echo(f"{agency_id}: mail goes by the {shown.way} way{since}")
    if shown.backup:
        down, back = _span(shown.down_for_s), _span(shown.back_for_s)
        click.echo(f"backup when main is silent for {down}, back when it answers for {back}")
    columns = ("way", "server", "weight", "silent_for")
    print_rows([*_rows("main", shown.main), *_rows("backup", shown.backup)], columns)


@route.command("set")
@click.argument("agency_id")
@click.option("--main", type=WEIGHTED, multiple=True, required=True, help="A server of its own; repeat.")
@click.option("--backup", type=WEIGHTED, multiple=True, help="Who has its mail when all those are silent.")
@click.option("--down-for", type=SPAN, help="So long they are silent before mail goes there [default: 15m].")
@click.option("--back-for", type=SPAN, help="So long one answers before mail goes back [default: 5m].")
@reason_option("Why")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def set_(
    where: Where,
    agency_id: str,
    main: Sequence[WeightedHop],
    backup: Sequence[WeightedHop],
    down_for: timedelta | None,
    back_for: timedelta | None,
    reason: str,
    yes: bool,
) -> None:
    """Say where an agency's mail goes, all of it. A weight is a server's share of the connections.

    Example: saraban agency route set ag_01… --main mx.dld.go.th:25=3 --backup mx.example:25 --reason agreed
    """
    wanted = Route(
        tuple(main),
        tuple(backup),
        int(down_for.total_seconds()) if down_for else DOWN_FOR_S,
        int(back_for.total_seconds()) if back_for else BACK_FOR_S,
    )
    confirm(f"Have all mail for {agency_id} brought to {wanted}?", yes=yes)
    await agencies_at(where).set_route(AgencyId(agency_id), wanted, reason)
    say(f"{agency_id}: mail goes to {wanted}", agency_id=agency_id, **msgspec.to_builtins(wanted))


async def _shown(where: Where, agency_id: AgencyId) -> RouteShown:
    if isinstance(where, Remote):
        told = await where.ask("GET", f"/agencies/{quote(agency_id)}/route")
        return msgspec.convert(told, RouteShown)
    async with where.pool.rows() as rows:
        return await read_route(rows, agency_id)


def _rows(way: str, hops: Sequence[HopShown]) -> list[dict[str, Any]]:
    return [
        {
            "way": way,
            "server": str(NextHop(hop.host, hop.port)),
            "weight": hop.weight,
            "silent_for": "" if hop.silent_for_s is None else _span(hop.silent_for_s),
        }
        for hop in hops
    ]


def _span(seconds: float) -> str:
    return length(timedelta(seconds=seconds))
