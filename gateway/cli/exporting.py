"""`saraban trace export`: the traffic log of some time in a file, for whoever has a right to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import quote

import click

from gateway.cli.desk import Where, administering, stamp
from gateway.cli.instants import Instant
from gateway.cli.output import fail, say
from gateway.cli.remote import Remote
from gateway.domain.events import Fact
from gateway.domain.registration import Refused
from gateway.domain.signin import access_history
from gateway.domain.traffic import Format, TraceExported
from gateway.mail.ids import AgencyId
from gateway.processes.traffic_files import WRITERS, can_write
from gateway.wiring.desk import Desk
from projections.trace.log import traffic_between


@click.command()
@click.option("--since", type=Instant(), required=True, help="From then on, e.g. 2026-11-23T09:00+07:00.")
@click.option("--until", type=Instant(), required=True, help="Up to then, that moment not included.")
@click.option("--agency", "agency_id", help="Only of this agency, by its id.")
@click.option("--format", "format_", type=click.Choice(["csv", "jsonl", "parquet"]), required=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file.")
@administering
async def export(
    where: Where, since: datetime, until: datetime, agency_id: str | None, format_: Format, output: Path
) -> None:
    """Sessions, sign-ins and mails of some time, in the order of the log; that it was done is an event.

    Through the API an agency's administrators, helpdesk and auditors take out what is of their agency.

    Example: saraban trace export --since 2026-11-01 --until 2026-12-01 --format csv --output traffic.csv
    """
    if until <= since:
        raise click.UsageError("--until is not after --since")
    try:
        if isinstance(where, Remote):
            await _download(where, since, until, agency_id, format_, output)
        else:
            await _write(where, since, until, AgencyId(agency_id) if agency_id else None, format_, output)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")


async def _write(
    desk: Desk, since: datetime, until: datetime, agency: AgencyId | None, format_: Format, output: Path
) -> None:
    if not can_write(format_):
        fail("Parquet needs pyarrow: pip install 'saraban[parquet]', or take --format csv or jsonl")
    told = TraceExported(**stamp(desk).fields(), agency_id=agency, since=since, until=until, format=format_)
    count = 0
    with _private(output) as file, WRITERS[format_](file) as write:
        async with desk.lane() as lane:
            await lane.append([Fact(access_history(agency), told)])
        async for row in traffic_between(desk.pool, since, until, agency):
            write(row)
            count += 1
    say(f"{count} rows in {output}", rows=count, output=str(output))


async def _download(
    remote: Remote, since: datetime, until: datetime, agency_id: str | None, format_: Format, output: Path
) -> None:
    agency_id = agency_id or await _own_agency(remote)
    path = f"/agencies/{quote(agency_id, safe='')}/trace/export" if agency_id else "/trace/export"
    wanted = {"since": since.isoformat(), "until": until.isoformat(), "format": format_}
    octets = await remote.download(path, wanted, partial(_private, output))
    say(f"{octets} octets in {output}", octets=octets, output=str(output))


async def _own_agency(remote: Remote) -> str | None:
    """The one agency whose log one may take out; None: an operator takes all, a member is refused."""
    roles = (await remote.ask("GET", "/me"))["roles"]
    agencies = {role["agency_id"] for role in roles}
    if None in agencies or not agencies:
        return None
    if len(agencies) > 1:
        raise Refused(f"say of which agency with --agency: {', '.join(sorted(agencies))}")
    return str(agencies.pop())


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """Written anew, for its owner alone: it says who wrote to whom."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
        os.fchmod(file.fileno(), 0o600)
        yield file
