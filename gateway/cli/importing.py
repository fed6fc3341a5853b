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

from gateway.cli.desk import at_desk
from gateway.cli.invitations import open_invitations
from gateway.cli.output import as_json, cell, fail, print_json
from gateway.cli.registering import importing
from gateway.domain.importing import LINE_OCTETS_MAX, Header, RefusedRow, Row
from gateway.domain.registration import Refused
from gateway.mail.address import Address
from gateway.ports import Unavailable
from gateway.processes.registry.importing import Report
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
@at_desk
async def import_(desk: Desk, file: Path, is_check: bool, invitations: Path | None) -> None:
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
        digest, lines, header = _survey(file)
        has_invitations = _invites(file, header)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    if has_invitations and invitations is None and not is_check:
        fail(f"{file} has invitations: say with --invitations FILE where their codes are to be written")

    async def find_claims(names: Sequence[str]) -> Mapping[str, ClaimRow]:
        async with desk.pool.rows() as rows:
            return await claims_of(rows, names)

    async def nowhere(codes: Mapping[Address, str]) -> None:
        raise Refused(
            f"an import that was killed has invited {len(codes)} whose codes are not written yet: "
            "say with --invitations FILE where"
        )

    last = await desk.log.last()
    if not await reached(desk.pool, DirectoryModel, last, ROWS_TIMEOUT_S):
        raise Unavailable("directory", f"its rows have not reached position {last}")
    with ExitStack() as stack:
        codes = stack.enter_context(open_invitations(invitations)) if invitations and not is_check else None
        octets = stack.enter_context(file.open("rb"))
        progress = stack.enter_context(_progress())
        bar = progress.add_task("checked" if is_check else "added", total=lines)
        work = importing(desk, digest, find_claims, codes.keep if codes else nowhere)

        def advance(line: int) -> None:
            progress.update(bar, completed=line)

        rows = _rows(octets, header)
        report = await (work.check(rows, advance) if is_check else work.run(rows, advance))
        if codes is not None:
            codes.tidy()
    _tell(report, is_check=is_check)


def _survey(file: Path) -> tuple[str, int, Header]:
    """The file's digest, how many lines it has, and its columns."""
    digest, lines = hashlib.sha256(), 0
    with file.open("rb") as octets:
        header = Header(octets.readline(LINE_OCTETS_MAX))
        octets.seek(0)
        while piece := octets.read(PIECE_OCTETS):
            digest.update(piece)
            lines += piece.count(b"\n")
    return digest.hexdigest(), lines, header


def _invites(file: Path, header: Header) -> bool:
    with file.open("rb") as octets:
        return any(isinstance(row, Row) and row.credential == "invite" for row in _rows(octets, header))


def _rows(octets: BinaryIO, header: Header) -> Iterator[Row | RefusedRow]:
    """The rows below the header, in order."""
    octets.readline(LINE_OCTETS_MAX)
    number = 1
    while line := octets.readline(LINE_OCTETS_MAX + 1):
        number += 1
        row = header.read(number, line)
        while len(line) > LINE_OCTETS_MAX and not line.endswith(b"\n"):  # to the end of the long line
            line = octets.readline(LINE_OCTETS_MAX + 1)
        if row is not None:
            yield row


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
