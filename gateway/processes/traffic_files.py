"""The traffic log in files: CSV for spreadsheets, JSON lines and Parquet for programs."""

import csv
import importlib
import io
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final, cast

import orjson

from gateway.domain.traffic import Format
from projections.trace.traffic import COLUMNS, Traffic

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PARQUET_ROWS: Final = 10_000  # of one row group, in memory
CHUNK_OCTETS: Final = 64 * 1024
# A spreadsheet takes a cell that begins so for a formula, and a client chooses its own name.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Write = Callable[[Traffic], None]


class Sink(io.RawIOBase):
    """A file of which what was written is taken away: it never has all of it."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, octets: "ReadableBuffer") -> int:
        added = memoryview(octets).nbytes
        self._waiting += octets
        self._written += added
        return added

    def tell(self) -> int:
        """Where the file goes on, as for who reads all of it: Parquet keeps offsets."""
        return self._written

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


async def octets_of(rows: AsyncIterator[Traffic], format_: Format) -> AsyncIterator[bytes]:
    """A file of these rows, piece by piece."""
    sink = Sink()
    with WRITERS[format_](cast(IO[bytes], sink)) as write:
        async for row in rows:
            write(row)
            if len(sink) >= CHUNK_OCTETS:
                yield sink.take()
    yield sink.take()


def can_write(format_: Format) -> bool:
    """Parquet needs an extra."""
    return format_ != "parquet" or _pyarrow() is not None


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
