"""Answers of the command line: tables, JSON, what a terminal never gets, and exit codes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner, Result

from gateway.cli.output import cell, fail, nothing, print_json, print_line, print_rows, say

ROWS = [
    {"uid": 1, "subject": "ขอเชิญประชุม", "date": datetime(2026, 11, 23, 4, 5, 6, 789, tzinfo=UTC), "to": None},
    {"uid": 22, "subject": "\x1b[31mred\x07\u202e", "date": None, "to": ["a@example.org", "b@example.org"]},
]


def run(work: Callable[[], object], *, as_json: bool = False) -> Result:
    @click.command()
    @click.pass_context
    def command(context: click.Context) -> None:
        context.meta["saraban.json"] = as_json
        work()

    return CliRunner().invoke(command)


def test_rows_are_a_table_for_people() -> None:
    shown = run(lambda: print_rows(ROWS, ("uid", "subject", "date", "to"))).stdout
    head, first, second = (line.split() for line in shown.splitlines())
    assert head == ["uid", "subject", "date", "to"]
    assert first == ["1", "ขอเชิญประชุม", "2026-11-23T04:05:06.000+00:00"]
    assert second == ["22", "\ufffd[31mred\ufffd\ufffd", "a@example.org,", "b@example.org"]


def test_rows_are_an_array_of_all_fields_in_json() -> None:
    shown = run(lambda: print_rows(ROWS, ("uid",)), as_json=True).stdout
    assert "ขอเชิญประชุม" in shown
    found = json.loads(shown)
    assert [row["subject"] for row in found] == [row["subject"] for row in ROWS]
    assert found[0]["date"] == "2026-11-23T04:05:06.000789+00:00"


def test_a_table_keeps_long_values_whole() -> None:
    """A pipe has no width: what is cut cannot be searched for."""
    long = "a" * 400
    assert long in run(lambda: print_rows([{"a": long, "b": "end"}], ("a", "b"))).stdout


def test_brackets_are_no_markup() -> None:
    assert "[red]x[/red]" in run(lambda: print_rows([{"a": "[red]x[/red]"}], ("a",))).stdout


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (0, "0"),
        ("ที่ นร 0105/ว 12", "ที่ นร 0105/ว 12"),
        ("a\r\nb\tc", "a\ufffd\ufffdb\ufffdc"),
        ("\x9b2J\x7f\u2028", "\ufffd2J\ufffd\ufffd"),
        (("a", None, "b"), "a, , b"),
    ],
)
def test_a_cell_has_no_control_character(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_one_finished_thing_is_a_sentence_or_its_fields() -> None:
    def tell() -> None:
        say("accepted", mail_id="mail_x", refused={})

    assert run(tell).stdout == "accepted\n"
    assert json.loads(run(tell, as_json=True).stdout) == {"mail_id": "mail_x", "refused": {}}


def test_what_is_followed_is_one_line_each() -> None:
    shown = run(lambda: [print_line({"n": n, "เรื่อง": "ก\nข"}) for n in range(2)]).stdout
    assert [json.loads(line)["n"] for line in shown.splitlines()] == [0, 1]


def test_json_knows_what_python_values_are_called() -> None:
    assert json.loads(run(lambda: print_json({"p": print})).stdout)["p"].startswith("<built-in")


@pytest.mark.parametrize(("end", "code"), [(fail, 1), (nothing, 3)])
def test_errors_are_one_sentence_on_stderr_and_an_exit_code(end: Callable[[str], None], code: int) -> None:
    told = run(lambda: end("no mail matches"))
    assert (told.exit_code, told.stdout, told.stderr) == (code, "", "saraban: no mail matches\n")
    told = run(lambda: end("ไม่พบ"), as_json=True)
    assert (told.exit_code, told.stdout) == (code, "")
    assert json.loads(told.stderr) == {"error": "ไม่พบ"}
