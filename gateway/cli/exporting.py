"""`saraban trace export`: the traffic log of some time in a file, for whoever has a right to it."""

import csv
import importlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import click
import orjson

from gateway.cli.desk import at_desk, stamp
from gateway.cli.instants import Instant
from gateway.cli.output import fail, say
from gateway.domain.events import Fact
from gateway.domain.signin import access_history
from gateway.domain.traffic import Format, TraceExported
from gateway.mail.ids import AgencyId
from gateway.wiring.desk import Desk
from projections.trace.log import traffic_between
from projections.trace.traffic import COLUMNS, Traffic

PARQUET_ROWS: Final = 10_000  # of one row group, in memory
# A spreadsheet takes a cell that begins so for a formula, and a client chooses its own name.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Write = Callable[[Traffic], None]


@click.command()
@click.option("--since", type=Instant(), required=True, help="From then on, e.g. 2026-11-23T09:00+07:00.")
@click.option("--until", type=Instant(), required=True, help="Up to then, that moment not included.")
@click.option("--agency", "agency_id", help="Only of this agency, by its id.")
@click.option("--format", "format_", type=click.Choice(["csv", "jsonl", "parquet"]), required=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file.")
@at_desk
async def export(
    desk: Desk, since: datetime, until: datetime, agency_id: str | None, format_: Format, output: Path
) -> None:
    """Sessions, sign-ins and mails of some time, in the order of the log; that it was done is an event.

    Example: saraban trace export --since 2026-11-01 --until 2026-12-01 --format csv --output traffic.csv
    """
    if until <= since:
        raise click.UsageError("--until is not after --since")
    if format_ == "parquet" and _pyarrow() is None:
        fail("Parquet needs pyarrow: pip install 'saraban[parquet]', or take --format csv or jsonl")
    agency = AgencyId(agency_id) if agency_id else None
    told = TraceExported(**stamp(desk).fields(), agency_id=agency, since=since, until=until, format=format_)
    count = 0
    try:
        with _private(output) as file, WRITERS[format_](file) as write:
            async with desk.lane() as lane:
                await lane.append([Fact(access_history(agency), told)])
            async for row in traffic_between(desk.pool, since, until, agency):
                write(row)
                count += 1
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")
    say(f"{count} rows in {output}", rows=count, output=str(output))


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """Written anew, for its owner alone: it says who wrote to whom."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
        os.fchmod(file.fileno(), 0o600)
        yield file


# --- formats ------------------------------------------------------------------------------------------


@contextmanager
def csv_rows(file: IO[bytes]) -> Iterator[Write]:
    """With a byte order mark, so that spreadsheets read Thai; of a list one item a line."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    yield lambda row: writer.writerow([_cell(value) for value in asdict(row).values()])
    text.detach()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat(timespec="milliseconds")
        case list() | tuple():
            return _cell("\n".join(value))
        case str():
            return f"'{value}" if value.startswith(FORMULA) else value
        case _:
            return str(value)


@contextmanager
def json_lines(file: IO[bytes]) -> Iterator[Write]:
    def write(row: Traffic) -> None:
        file.write(orjson.dumps(asdict(row)) + b"\n")

    yield write


@contextmanager
def parquet_rows(file: IO[bytes]) -> Iterator[Write]:
    """Times are UTC; a row group has some thousand rows."""
    arrow, parquet = _pyarrow(), importlib.import_module("pyarrow.parquet")
    assert arrow is not None, "asked before"
    schema, waiting = _schema(arrow), list[Traffic]()
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:

        def flush() -> None:
            columns = [[getattr(row, name) for row in waiting] for name in COLUMNS]
            writer.write_table(arrow.table(columns, schema=schema))
            waiting.clear()

        def write(row: Traffic) -> None:
            waiting.append(row)
            if len(waiting) == PARQUET_ROWS:
                flush()

        yield write
        flush()


def _pyarrow() -> Any:
    """The module, None when it is not installed: an extra of 55 MB (ADR 0011)."""
    try:
        return importlib.import_module("pyarrow")
    except ImportError:
        return None


def _schema(arrow: Any) -> Any:
    moment, texts = arrow.timestamp("us", tz="UTC"), arrow.list_(arrow.string())
    types = {
        "position": arrow.int64(),
        "day": arrow.date32(),
        "at": moment,
        "began_at": moment,
        "octets": arrow.int64(),
        "rcpt_to": texts,
        "refused": texts,
    } | dict.fromkeys(NUMBERS, arrow.int32())
    return arrow.schema([(name, types.get(name, arrow.string())) for name in COLUMNS])


NUMBERS: Final[Sequence[str]] = (
    "remote_port",
    "sessions",
    "transactions",
    "accepted",
    "recipients",
    "refused_recipients",
)
WRITERS: Final = {"csv": csv_rows, "jsonl": json_lines, "parquet": parquet_rows}
