"""The traffic log in a file: for spreadsheets, for programs."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.domain.traffic import Format
from gateway.processes import traffic_files
from gateway.processes.traffic_files import CHUNK_OCTETS, WRITERS, csv_rows, json_lines, octets_of
from projections.trace.traffic import COLUMNS, Traffic

AT = datetime(2026, 11, 23, 4, 5, 6, 789_000, tzinfo=UTC)
ROW = Traffic(
    7, date(2026, 11, 23), AT, "mail", "ag_opm", helo="=cmd|'/c calc'!A0", mail_from="สมหญิง@opm.go.th",
    rcpt_to=["a@example.org", "b@example.org"], refused=["550 5.1.1 No, \"no\""],
)  # fmt: skip


def test_csv_has_a_byte_order_mark_a_row_each_and_no_formula() -> None:
    file = io.BytesIO()
    with csv_rows(file) as write:
        write(ROW)
        write(ROW)
    assert file.getvalue().startswith(b"\xef\xbb\xbf" + b"position,day,at,")
    head, first, second = csv.reader(io.StringIO(file.getvalue().decode("utf-8-sig"), newline=""))
    assert (tuple(head), first) == (COLUMNS, second)
    found = dict(zip(head, first, strict=True))
    assert found["at"] == "2026-11-23T04:05:06.789+00:00"
    assert found["helo"] == "'=cmd|'/c calc'!A0"
    assert found["mail_from"] == "สมหญิง@opm.go.th"
    assert found["rcpt_to"] == "a@example.org\nb@example.org"
    assert found["refused"] == '550 5.1.1 No, "no"'
    assert (found["began_at"], found["account_id"], found["octets"]) == ("", "", "0")


def test_json_lines_have_everything_as_it_is() -> None:
    file = io.BytesIO()
    with json_lines(file) as write:
        write(ROW)
    (line,) = file.getvalue().splitlines()
    found = json.loads(line)
    assert tuple(found) == COLUMNS
    assert found["helo"] == ROW.helo
    assert (found["rcpt_to"], found["began_at"], found["day"]) == (list(ROW.rcpt_to), None, "2026-11-23")


def test_every_column_has_its_type_in_parquet() -> None:
    class Arrow:
        """Types by their names: pyarrow is an extra."""

        def __getattr__(self, name: str) -> object:
            return lambda *arguments, **options: name if name != "schema" else dict(*arguments)

    kinds = {"int": ("int32", "int64"), "str": ("string",), "date": ("date32",), "datetime": ("timestamp",)}
    for name, kind in traffic_files._schema(Arrow()).items():
        value = getattr(ROW, name)
        expected = kinds.get(type(value).__name__, ("list_",) if isinstance(value, list | tuple) else ())
        assert kind in (expected or ("timestamp", "string")), name


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
async def test_a_file_is_made_in_pieces_and_is_the_same(format_: Format) -> None:
    async def rows() -> AsyncIterator[Traffic]:
        for _ in range(2_000):
            yield ROW

    pieces = [piece async for piece in octets_of(rows(), format_)]
    whole = io.BytesIO()
    with WRITERS[format_](whole) as write:
        for _ in range(2_000):
            write(ROW)
    assert b"".join(pieces) == whole.getvalue()
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 2 * CHUNK_OCTETS


@pytest.mark.parametrize("missing", ["--since", "--until", "--format", "--output"])
def test_an_export_says_what_it_wants(missing: str) -> None:
    options = {"--since": "2026-11-01", "--until": "2026-12-01", "--format": "csv", "--output": "x.csv"}
    del options[missing]
    given = [word for option in options.items() for word in option]
    told = CliRunner().invoke(main, ["trace", "export", *given])
    assert told.exit_code == 2
    assert f"Missing option '{missing}'" in told.stderr
