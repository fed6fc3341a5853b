"""`saraban import`: accounts from a CSV file."""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli.desk import Where, administering
from gateway.cli.invitations import open_invitations
from gateway.cli.output import as_json, cell, fail, print_json
from gateway.cli.registering import importing
from gateway.cli.remote import Remote
from gateway.cli.remote_import import Read, RemoteImporting, agency_to_import
from gateway.domain.importing import LINE_OCTETS_MAX, Header, RefusedRow, Row
from gateway.domain.registration import Refused
from gateway.mail.address import Address
from gateway.ports import Unavailable
from gateway.processes.registry.importing import FindClaims, Report
from gateway.wiring.desk import Desk
from projections.checkpoint import reached
from projections.directory.claims import ClaimRow, claims_of
from projections.directory.project import DirectoryModel

ROWS_TIMEOUT_S: Final = 600.0  # a killed import may have left the rows far behind
PIECE_OCTETS: Final = 1024 * 1024


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--check", "is_check", is_flag=True, help="Say what would become of every row; change nothing.")
@click.option(
    "--invitations",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the codes of invitations are written, as address,code; for your eyes only.",
)
@click.option("--agency", "agency_id", help="Through the API: whose accounts they are [default: your own].")
@administering
async def import_(
    where: Where, file: Path, is_check: bool, invitations: Path | None, agency_id: str | None
) -> None:
    """Add the accounts of a CSV file. Run again, it goes on where it was and adds nobody twice.

    \b
    The first line names the columns, in any order:
      address       somchai@opm.go.th; the agency is that of the domain
      credential    invite, openid, or argon2: and a hash ($argon2id$v=19$…)
      display_name  kind (person, office)  quota (10G)  aliases (separated by ;)

    A row that is refused is told with its line, and the exit code is 1 then.

    Example: saraban import accounts.csv --invitations codes.csv
    """
    try:
        digest, count, first = _survey(file)
        header = Header(first)
        has_invitations = _invites(file, header)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    if has_invitations and invitations is None and not is_check:
        fail(f"{file} has invitations: say with --invitations FILE where their codes are to be written")

    with ExitStack() as stack:
        codes = stack.enter_context(open_invitations(invitations)) if invitations and not is_check else None
        octets = stack.enter_context(file.open("rb"))
        progress = stack.enter_context(_progress())
        bar = progress.add_task("checked" if is_check else "added", total=count)

        def advance(line: int) -> None:
            progress.update(bar, completed=line)

        keep = codes.keep if codes else nowhere
        if isinstance(where, Remote):
            agency = await agency_to_import(where, agency_id)
            far, lines = RemoteImporting(where, agency, digest, first, keep), read_lines(octets, header)
            report = await (far.check(lines, advance) if is_check else far.run(lines, advance))
        else:
            await _reach(where)
            near, rows = importing(where, digest, _claims(where), keep), _rows(octets, header)
            report = await (near.check(rows, advance) if is_check else near.run(rows, advance))
        if codes is not None:
            codes.tidy()
    _tell(report, is_check=is_check)


async def nowhere(codes: Mapping[Address, str]) -> None:
    raise Refused(
        f"an import that was killed has invited {len(codes)} whose codes are not written yet: "
        "say with --invitations FILE where"
    )


def _claims(desk: Desk) -> FindClaims:
    async def find_claims(names: Sequence[str]) -> Mapping[str, ClaimRow]:
        async with desk.pool.rows() as rows:
            return await claims_of(rows, names)

    return find_claims


async def _reach(desk: Desk) -> None:
    last = await desk.log.last()
    if not await reached(desk.pool, DirectoryModel, last, ROWS_TIMEOUT_S):
        raise Unavailable("directory", f"its rows have not reached position {last}")


def _survey(file: Path) -> tuple[str, int, bytes]:
    """The file's digest, how many lines it has, and the first of them."""
    digest, lines = hashlib.sha256(), 0
    with file.open("rb") as octets:
        first = octets.readline(LINE_OCTETS_MAX)
        octets.seek(0)
        while piece := octets.read(PIECE_OCTETS):
            digest.update(piece)
            lines += piece.count(b"\n")
    return digest.hexdigest(), lines, first


def _invites(file: Path, header: Header) -> bool:
    with file.open("rb") as octets:
        return any(isinstance(row, Row) and row.credential == "invite" for row in _rows(octets, header))


def _rows(octets: BinaryIO, header: Header) -> Iterator[Row | RefusedRow]:
    """The rows below the header, in order."""
    return (row for row, _ in read_lines(octets, header))


def read_lines(octets: BinaryIO, header: Header) -> Iterator[Read]:
    """The same, each with its octets."""
    octets.readline(LINE_OCTETS_MAX)
    number = 1
    while line := octets.readline(LINE_OCTETS_MAX + 1):
        number += 1
        row = header.read(number, line)
        rest = line
        while len(rest) > LINE_OCTETS_MAX and not rest.endswith(b"\n"):  # to the end of the long line
            rest = octets.readline(LINE_OCTETS_MAX + 1)
        if row is not None:
            yield row, line


def _progress() -> Progress:
    """A bar on stderr, where somebody looks at it."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _tell(report: Report, *, is_check: bool) -> None:
    """The report; the exit code is 1 when a row was refused."""
    refused = sorted(report.refused, key=lambda row: row.line)
    if as_json():
        told = {"added": report.added, "already": report.already, "refused": [asdict(row) for row in refused]}
        print_json(told | {"is_check": is_check})
    else:
        for row in refused:
            click.echo(f"line {row.line}: {cell(row.reason)}")
        verb = "can be added" if is_check else "added"
        click.echo(f"{report.added} {verb}, {report.already} there already, {len(refused)} refused")
    if refused:
        raise SystemExit(1)
