"""POP3 commands out of lines, and lines out of octets.

Source: RFC 1939 §3 (keywords, arguments), RFC 2449 §4 (length), RFC 5034 §4 (AUTH), RFC 6856 §2 and §3.
"""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.pop3.commands import (
    LINE_OCTETS_MAX,
    Auth,
    BadCommand,
    Capa,
    Command,
    Dele,
    Lang,
    Lines,
    List,
    Pass,
    Quit,
    Retr,
    State,
    Stls,
    Top,
    Uidl,
    User,
    parse_command,
)

COMMANDS = [
    (b"CAPA", Capa()),
    (b"quit", Quit()),
    (b"STLS", Stls()),
    (b"USER suda@opm.go.th", User("suda@opm.go.th")),
    ("USER สุดา@opm.go.th".encode(), User("สุดา@opm.go.th")),  # RFC 6856 §2.1
    # RFC 1939 §7: a password may have spaces, also at its ends.
    (b"PASS  two words ", Pass(" two words ")),
    (b"AUTH", Auth()),
    (b"AUTH plain", Auth("PLAIN")),
    (b"AUTH PLAIN AGEAYg==", Auth("PLAIN", b"AGEAYg==")),
    (b"AUTH PLAIN =", Auth("PLAIN", b"=")),  # RFC 5034 §4: an empty response
    (b"LIST", List()),
    (b"LIST 7", List(7)),
    (b"UIDL 7", Uidl(7)),
    (b"RETR 1", Retr(1)),
    (b"TOP 1 0", Top(1, 0)),
    (b"DELE 12", Dele(12)),
    (b"LANG", Lang()),
    (b"LANG th", Lang("th")),
]
NO_COMMANDS = [
    b"", b" ", b"XTND XMIT", b"APOP a b", b"RETR", b"RETR one", b"RETR -1", b"RETR 1 2", b"RETR 12345678901",
    "RETR ๑".encode(), b"TOP 1", b"TOP 1 -2", b"USER", b"PASS", b"NOOP now", b"STAT 1", b"\xff", b"USER a\0b",
    "ＱＵＩＴ".encode(),
]  # fmt: skip


@pytest.mark.parametrize(("line", "meant"), COMMANDS)
def test_understands(line: bytes, meant: Command) -> None:
    assert parse_command(line) == meant


@pytest.mark.parametrize("line", NO_COMMANDS)
def test_refuses(line: bytes) -> None:
    with pytest.raises(BadCommand):
        parse_command(line)


@given(st.binary(max_size=60))
def test_any_line_is_a_command_or_refused(line: bytes) -> None:
    with contextlib.suppress(BadCommand):
        assert parse_command(line).states <= frozenset(State)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Pass("secret"))
    assert "secret" not in repr(Auth("PLAIN", b"secret"))


# --- lines ----------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=8), st.data())
def test_any_split_gives_the_same_lines(sent: list[bytes], data: st.DataObject) -> None:
    octets, lines, found = b"".join(line + b"\r\n" for line in sent), Lines(), []
    while octets:
        size = data.draw(st.integers(1, len(octets)))
        lines.feed(octets[:size])
        octets = octets[size:]
        while (line := lines.next()) is not None:
            found.append(line)
    assert found == sent
    assert not lines.holds_octets


@pytest.mark.parametrize(
    "octets", [b"NOOP\n", b"x" * (LINE_OCTETS_MAX + 1), b"x" * LINE_OCTETS_MAX + b"y\r\n"]
)
def test_an_endless_line_and_a_bare_lf_end_the_session(octets: bytes) -> None:
    lines = Lines()
    lines.feed(octets)
    with pytest.raises(BadCommand):
        lines.next()


def test_what_was_sent_ahead_is_known() -> None:
    lines = Lines()
    lines.feed(b"STLS\r\nUSER a\r\n")
    assert lines.next() == b"STLS"
    assert lines.holds_octets
