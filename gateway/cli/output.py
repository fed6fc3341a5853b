"""How the command line answers: tables for people, JSON with `--json`, errors on stderr with an exit code.

Exit codes: 0 done, 1 could not be done, 2 wrong usage (click), 3 nothing found.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

NOTHING_FOUND = 3
UNFOLDED = 100_000  # characters a line: what goes into a pipe is searched, and never folded


def as_json() -> bool:
    """Whether `--json` was given before or after the command."""
    context = click.get_current_context(silent=True)
    return bool(context and context.find_root().meta.get("saraban.json"))


def print_json(value: Any) -> None:
    """One JSON document; Thai stays Thai, octets become base64 elsewhere, times ISO 8601."""
    sys.stdout.write(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_line(value: Any) -> None:
    """One JSON line, for what is followed."""
    sys.stdout.write(orjson.dumps(value, default=str).decode() + "\n")
    sys.stdout.flush()


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """A list: a JSON array of objects, or a table with these columns. No control octet reaches a terminal."""
    if as_json():
        print_json(list(rows))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = tuple(columns)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(name))) for name in names))
    console = Console(width=None if sys.stdout.isatty() else UNFOLDED)
    console.print(table)


def cell(value: Any) -> str:
    """What a person reads in a table: nothing for None, seconds for times, no control characters."""
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat(timespec="milliseconds")
        case list() | tuple():
            return ", ".join(cell(item) for item in value)
        case _:
            return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))


def say(text: str, **fields: Any) -> None:
    """One finished thing: the fields with `--json`, else the sentence."""
    if as_json():
        print_json(fields)
    else:
        click.echo(text)


def fail(sentence: str, *, code: int = 1) -> NoReturn:
    """One clear sentence on stderr, and the exit code."""
    if as_json():
        click.echo(orjson.dumps({"error": sentence}).decode(), err=True)
    else:
        click.echo(f"saraban: {sentence}", err=True)
    raise SystemExit(code)


def nothing(sentence: str) -> NoReturn:
    fail(sentence, code=NOTHING_FOUND)
