"""`saraban status`: what runs, how far everybody is, what waits."""

import asyncio
from typing import Any

import click

from gateway.cli.desk import saying_why
from gateway.cli.output import as_json, fail, print_json, print_rows
from gateway.cli.remote import Remote
from gateway.cli.session import Session, session_of
from gateway.ports import Unavailable
from gateway.processes.up.announcement import read_gateway
from gateway.processes.up.children import StartFailed
from gateway.processes.up.folder import is_held
from gateway.processes.web.figures import Figures
from gateway.settings import Settings
from gateway.wiring.desk import open_desk

ANSWER_S = 15.0


@click.command()
@click.pass_obj
def status(settings: Settings) -> None:
    """What runs, how far every consumer is behind the log, what waits to be packed or passed on.

    Through the API an operator sees the figures; which processes run is known on the data folder.

    Example: saraban status --json
    """
    if session := session_of(click.get_current_context()):
        _remote(session)
        return
    try:
        gateway = read_gateway(settings.data)
    except StartFailed as error:
        fail(str(error))
    announcement = gateway.announcement
    if not is_held(settings.data):
        fail(f"no gateway runs on the data folder {settings.data}: start one with `saraban up`")
    processes = [row for row in announcement.processes if row["role"] not in gateway.down]
    processes += [{"role": role, "pid": None} for role in gateway.down]
    figures = asyncio.run(_figures(settings))
    shown = {"ready": gateway.ready, "data": announcement.data, "processes": processes, **figures}
    if as_json():
        print_json(shown)
        return
    click.echo(f"{'ready' if gateway.ready else 'starting'}, data in {announcement.data}\n")
    shown_rows = [{**row, "pid": row["pid"] or "is being started again"} for row in processes]
    print_rows(shown_rows, ("role", "pid"))
    _tell(figures)


def _remote(session: Session) -> None:
    with saying_why():
        figures = asyncio.run(Remote.of(session).ask("GET", "/status"))
    if as_json():
        print_json({"api": session.url, **figures})
        return
    click.echo(f"{session.url} is {'well' if figures['is_well'] else 'not well'}")
    if figures["stuck"]:
        click.echo(f"behind and not moving: {', '.join(figures['stuck'])}")
    _tell(figures)


async def _figures(settings: Settings) -> dict[str, Any]:
    """The figures, or why there are none: a server that is away is news, not an error of this command."""
    try:
        async with asyncio.timeout(ANSWER_S), open_desk(settings) as desk:
            figures: Figures = await desk.gauge.read()
    except (Unavailable, TimeoutError) as error:
        return {"unavailable": str(error) or "no answer in time"}
    return figures.as_dict()


def _tell(figures: dict[str, Any]) -> None:
    if reason := figures.get("unavailable"):
        click.echo(f"\n{reason}")
        return
    lags = [{"consumer": name, "lag": lag} for name, lag in figures["lags"].items()]
    click.echo(f"\nlog at position {figures['position']}")
    print_rows(lags, ("consumer", "lag"))
    click.echo(
        f"\nqueue: {figures['waiting']} recipients wait, "
        f"{figures['possible_doubles']} possible doubles so far"
        f"\nsuspended: {figures['suspended_destinations']} destinations"
        f"\nbounced so far: {_counts(figures['bounced']) or 'nobody'}"
        f"\nwrite-ahead: {figures['write_ahead']} messages not purged yet"
        f"\nsearch index: {figures['index_lag']} events behind"
        f"\ndisk: {figures['disk_free_octets'] / 1024**3:.1f} GiB free"
    )
    if figures["held"]:
        click.echo(f"what comes is held: {', '.join(figures['held'])} (saraban queue holds)")
    if figures["on_backup"]:
        click.echo(f"by their backup: {', '.join(figures['on_backup'])} (saraban agency route show)")
    if destinations := list(dict.fromkeys([*figures["waiting_at"], *figures["bounced_at"]])):
        click.echo("")
        print_rows(
            [_destination(figures, each) for each in destinations], ("destination", "waiting", "bounced")
        )
    if suspended := figures["suspended"]:
        click.echo("")
        print_rows(suspended, ("destination", "suspended_at", "probe_at", "probes", "why"))


def _destination(figures: dict[str, Any], domain: str) -> dict[str, Any]:
    waiting, bounced = figures["waiting_at"].get(domain, ""), figures["bounced_at"].get(domain, {})
    return {"destination": domain, "waiting": waiting, "bounced": _counts(bounced)}


def _counts(by_reason: dict[str, int]) -> str:
    """12 mailbox, 3 spam: most first."""
    return ", ".join(f"{number} {reason}" for reason, number in sorted(by_reason.items(), key=_most))


def _most(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]
