"""Every command explains itself by an example that works, and takes what people type."""

import io
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.agencies import LIMIT, NO_LIMIT, HostAndPort
from gateway.cli.desk import ADDRESS, confirm
from gateway.cli.registering import Octets
from gateway.cli.tracing import Instant
from gateway.domain.agency import NextHop
from gateway.mail.address import Address


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group, groups included, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = list(commands(main))


def name_of(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else ""


def example_of(command: click.Command) -> str:
    (example,) = [
        line.strip().removeprefix("Example: ")
        for line in (command.help or "").splitlines()
        if line.strip().startswith("Example: ")
    ]
    return example


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=name_of)
def test_every_command_has_an_example_that_parses(
    path: tuple[str, ...], command: click.Command, tmp_path: Path
) -> None:
    """The example's words, `>` left out, are words this command takes."""
    words = shlex.split(example_of(command).partition(" > ")[0])
    assert words[: len(path) + 1] == ["saraban", *path]
    rest = words[len(path) + 1 :]
    while isinstance(command, click.Group) and not rest[0].startswith("-"):  # it calls one of its commands
        found = command.get_command(click.Context(command), rest.pop(0))
        assert found is not None
        command = found
    with command.make_context(path[-1], [*rest, "--data", str(tmp_path)]):
        pass


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=name_of)
def test_every_command_has_help_and_takes_json(path: tuple[str, ...], command: click.Command) -> None:
    shown = CliRunner().invoke(main, [*path, "--help"], prog_name="saraban")
    assert shown.exit_code == 0, shown.output
    assert f"Usage: saraban {' '.join(path)}" in shown.output
    assert "Example: saraban" in shown.output
    assert isinstance(command, click.Group) or "--json" in shown.output


def test_what_the_issue_promises_is_there() -> None:
    promised = """up, init, status, reset, logs, ca export, agency add, agency list, agency suspend,
        agency activate, agency show, agency trial, agency contact, agency limits, agency forwarding,
        account show, account forward, account forward remove, login, logout, app-password make,
        account search, account add, account list, account grant,
        account revoke-role, account roles, account suspend, account activate, account close,
        account password, account accept-invitation, alias add,
        alias remove, alias list, ban list, ban add, ban lift, ban export, list add, list members,
        list add-member, list remove-member, import, mailbox list, mailbox show, mailbox export,
        trace, trace export, queue list, events tail, events show, log hold, log release, projection list,
        projection rebuild, check, send, edge, router, relay, packer, projector, steward, web"""
    assert {name.strip() for name in promised.split(",")} <= {" ".join(path) for path, _ in COMMANDS}


def test_an_unknown_command_is_wrong_usage() -> None:
    told = CliRunner().invoke(main, ["nonsense"])
    assert told.exit_code == 2
    assert "No such command" in told.stderr


# --- what people type ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("malee@opdc.go.th", Address("malee", "opdc.go.th")),
        ("สมหญิง@กรม.example", Address("สมหญิง", "กรม.example")),
        ('"a b"@example.org', Address("a b", "example.org")),
    ],
)
def test_an_address_is_read_as_in_smtp(text: str, address: Address) -> None:
    assert ADDRESS.convert(text, None, None) == address
    assert ADDRESS.convert(address, None, None) is address


@pytest.mark.parametrize(
    "text", ["malee", "a b@example.org", "@example.org", "a@", "a@b\r\nRCPT TO:<c@d>", ""]
)
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no mail address"):
        ADDRESS.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("0", 0),
        ("1073741824", 1024**3),
        ("500M", 500 * 1024**2),
        ("10G", 10 * 1024**3),
        (" 2 GiB ", 2 * 1024**3),
        ("1t", 1024**4),
        ("3kb", 3 * 1024),
    ],
)
def test_octets_take_units_of_1024(text: str, octets: int) -> None:
    assert Octets().convert(text, None, None) == octets
    assert Octets().convert(octets, None, None) == octets


@pytest.mark.parametrize("text", ["", "10X", "-1", "1.5G", "G", "๑๐G", "10 G B"])
def test_what_is_no_size_is_named(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no size such as 10G"):
        Octets().convert(text, None, None)


def test_a_host_and_its_port() -> None:
    assert HostAndPort().convert("mx.example.org:25", None, None) == NextHop("mx.example.org", 25)
    assert HostAndPort().convert("[2001:db8::1]:2525", None, None) == NextHop("2001:db8::1", 2525)


@pytest.mark.parametrize("text", ["mx.example.org", "mx.example.org:", ":25", "mx.example.org:66000", "mx:a"])
def test_what_is_no_host_and_port_is_named(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no host:port"):
        HostAndPort().convert(text, None, None)


@pytest.mark.parametrize(("text", "limit"), [("500", 500), ("30M", 30 * 1024**2), ("none", NO_LIMIT)])
def test_a_limit_is_a_number_a_size_or_none(text: str, limit: int) -> None:
    assert LIMIT.convert(text, None, None) == limit


@pytest.mark.parametrize("text", ["-1", "big", "", "None"])
def test_what_is_no_limit_is_named(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no size such as 10G"):
        LIMIT.convert(text, None, None)


def test_who_takes_something_away_is_asked_or_says_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    confirm("Close it?", yes=True)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(click.UsageError, match="nobody is at the terminal to be asked: say --yes"):
        confirm("Close it?", yes=False)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    with pytest.raises(click.Abort):
        confirm("Close it?", yes=False)
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    confirm("Close it?", yes=False)


class Terminal(io.StringIO):
    """Standard input of somebody who answers."""

    def isatty(self) -> bool:
        return True


def test_an_instant_is_utc_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    nine = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
    assert Instant().convert("2026-11-23T09:00+07:00", None, None) == nine
    assert Instant().convert("2026-11-23T02:00Z", None, None) == nine
    assert Instant().convert(nine, None, None) == nine
    assert Instant().convert("2026-11-23", None, None) == datetime(2026, 11, 23).astimezone(UTC)  # local time


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "09:00"])
def test_what_is_no_instant_is_named(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time such as"):
        Instant().convert(text, None, None)
