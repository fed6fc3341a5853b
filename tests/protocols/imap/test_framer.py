"""Commands out of octets: "any octets in any split give the same commands, and never an exception"."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.imap.framer import (
    DROPPED_OCTETS_MAX,
    HELD_OCTETS_MAX,
    LITERALS_MAX,
    Continue,
    Framer,
    Got,
    Lines,
    Literal,
    LiteralBegins,
    LiteralEnds,
    LiteralOctets,
    Refused,
    Spooled,
)
from tests.protocols.imap.splits import frame, single, splits

LARGE = HELD_OCTETS_MAX + 1
CASES: list[tuple[bytes, list[Got]]] = [
    (b"", []),
    (b"a NOOP\r\n", [Lines((b"a NOOP",))]),
    (b"\r\nb NOOP\r\n", [Lines((b"",)), Lines((b"b NOOP",))]),
    # RFC 9051 §4.3: the client waits before it sends a literal.
    (
        b"a LOGIN {3}\r\nann {2}\r\n\r\n\r\n",
        [
            Continue(3),
            Continue(2),
            Lines((b"a LOGIN ", Literal(b"ann"), b" ", Literal(b"\r\n"), b"")),
        ],
    ),
    # RFC 7888 §3: it does not.
    (b"a LOGIN {3+}\r\nann {0+}\r\n\r\n", [Lines((b"a LOGIN ", Literal(b"ann"), b" ", Literal(b""), b""))]),
    # RFC 3516 §4.2: literal8.
    (b"a X ~{1+}\r\n\0\r\n", [Lines((b"a X ", Literal(b"\0", is_binary=True), b""))]),
    # What looks like a literal inside the line, or inside one.
    (b"a X {3} y\r\n", [Lines((b"a X {3} y",))]),
    (b"a X {5+}\r\n{9}\r\n\r\n", [Lines((b"a X ", Literal(b"{9}\r\n"), b""))]),
    # A bare LF ends no command (RFC 9051 §2.2).
    (b"a NOOP\nb NOOP\r\n", [Refused(b"a BAD A command ends in CRLF\r\n"), Lines((b"b NOOP",))]),
    # RFC 7888 §4: nobody waits, so the literal is read and dropped.
    (
        b"a LOGIN {65537+}\r\n" + bytes(LARGE) + b" {1+}\r\nx y\r\nb NOOP\r\n",
        [Refused(b"a BAD [TOOBIG] Literal too large for this command\r\n"), Lines((b"b NOOP",))],
    ),
    # The client waits, and is told: it sends its next command.
    (
        b"a LOGIN {65537}\r\nb NOOP\r\n",
        [Refused(b"a BAD [TOOBIG] Literal too large for this command\r\n"), Lines((b"b NOOP",))],
    ),
    (
        b"a APPEND x {100001}\r\nb NOOP\r\n",
        [Refused(b"a NO [TOOBIG] A message has at most 100000 octets\r\n"), Lines((b"b NOOP",))],
    ),
    (
        b"a APPEND x {%d+}\r\n" % (DROPPED_OCTETS_MAX + 1),
        [Refused(b"* BYE [TOOBIG] Literal too large\r\n", is_fatal=True)],
    ),
    # A large message is spooled.
    (
        b"a append x {%d}\r\n%b\r\n" % (LARGE, b"m" * LARGE),
        [
            Continue(LARGE),
            LiteralBegins(LARGE),
            LiteralOctets(b"m" * LARGE),
            LiteralEnds(),
            Lines((b"a append x ", Spooled(0, LARGE), b"")),
        ],
    ),
    # So is each that would bring what is held above what may be.
    (
        b"a UID REPLACE 1 x {60000+}\r\n%b {6000+}\r\n%b\r\n" % (b"m" * 60_000, b"n" * 6_000),
        [
            LiteralBegins(6_000),
            LiteralOctets(b"n" * 6_000),
            LiteralEnds(),
            Lines((b"a UID REPLACE 1 x ", Literal(b"m" * 60_000), b" ", Spooled(0, 6_000), b"")),
        ],
    ),
]


@pytest.mark.parametrize(("sent", "got"), CASES)
def test_a_client_is_understood(sent: bytes, got: list[Got]) -> None:
    assert frame([sent]) == got
    assert frame(splits(sent, [1, 5, 17, 18, 19, 40, len(sent) - 1])) == got


@pytest.mark.parametrize(("sent", "got"), [case for case in CASES if len(case[0]) < 1_000])
def test_octet_by_octet_is_the_same(sent: bytes, got: list[Got]) -> None:
    assert frame(single(sent)) == got


def test_an_endless_line_ends_the_session() -> None:
    end = [Refused(b"* BYE Command line too long\r\n", is_fatal=True)]
    assert frame([b"a" * 12 + b"\r\nb NOOP\r\n"], line_octets_max=10) == end
    assert frame(single(b"a" * 12), line_octets_max=10) == end
    assert frame([b"a" * 10 + b"\r\n"], line_octets_max=10) == [Lines((b"a" * 10,))]
    # The texts of one command count together.
    assert frame([b"a X {1+}\r\nx" + b"y" * 7 + b"\r\n"], line_octets_max=10) == end


def test_a_command_has_not_endless_literals() -> None:
    sent = b"a X" + b" {0+}\r\n" * (LITERALS_MAX + 1) + b"\r\nb NOOP\r\n"
    refused, noop = frame([sent], line_octets_max=1_000_000)
    assert isinstance(refused, Refused)
    assert refused.response.startswith(b"a BAD [LIMIT]")
    assert noop == Lines((b"b NOOP",))


def test_the_messages_of_one_command_have_a_limit_together() -> None:
    """Each literal alone is within its limit; together they would fill the disk of whoever spools them."""
    framer = Framer(100_000, 200_000_000)
    assert LiteralBegins(200_000_000) in list(framer.feed(b"a APPEND INBOX {200000000}\r\n"))
    for _ in range(200):
        list(framer.feed(bytes(1_000_000)))
    too_many = b"a NO [LIMIT] Too many large messages in one command\r\n"
    assert list(framer.feed(b" {200000000}\r\n")) == [Refused(too_many)]


def test_the_shell_may_refuse_a_literal_that_the_client_waits_with() -> None:
    framer = Framer(1_000, 1_000)
    assert list(framer.feed(b"a APPEND x {10}\r\n")) == [Continue(10)]
    assert framer.holds_octets
    framer.refuse()
    assert not framer.holds_octets
    assert list(framer.feed(b"b NOOP\r\n")) == [Lines((b"b NOOP",))]


def test_limits_hold_from_the_next_command_on() -> None:
    framer = Framer(100, 4)
    gots = framer.feed(b"a LOGIN {4+}\r\nuser {2+}\r\npw\r\nb X {10+}\r\n0123456789\r\n")
    assert next(gots) == Refused(b"a BAD [TOOBIG] Literal too large for this command\r\n")
    framer.limit(100, 10)
    assert next(gots) == Lines((b"b X ", Literal(b"0123456789"), b""))


def test_what_was_sent_ahead_is_seen() -> None:
    framer = Framer(100, 100)
    gots = framer.feed(b"a STARTTLS\r\nb NOOP\r\n")
    assert next(gots) == Lines((b"a STARTTLS",))
    assert framer.holds_octets


PIECES = [
    b"a APPEND x ", b"b LOGIN ", b"{3}\r\n", b"{3+}\r\n", b"~{2+}\r\n", b"{70+}\r\n", b"{70}\r\n", b"abc",
    b"\r\n", b"\n", b"\r", b'"', b"\x00", b"\xff", b"x" * 30, b"c NOOP\r\n", b"{99999999999999999999+}\r\n",
    b"d UID REPLACE 1 y ",
]  # fmt: skip


@settings(max_examples=400)
@given(
    st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join) | st.binary(max_size=200),
    st.lists(st.integers(0, 500), max_size=8),
    st.sampled_from([20, 60, 10_000]),
)
def test_any_split_of_the_same_octets_is_the_same(octets: bytes, places: list[int], line_max: int) -> None:
    whole = frame([octets], line_max, 60)
    assert frame(single(octets), line_max, 60) == whole
    assert frame(splits(octets, places), line_max, 60) == whole
