"""Replies and enhanced statuses: written, read, and what a host may not make us believe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.reply import Reply, is_last_line, parse_reply, reply
from gateway.mail.status import EnhancedStatus, parse_status

WRITTEN = [
    (reply(250, "2.1.5", "Recipient accepted"), b"250 2.1.5 Recipient accepted\r\n"),
    (reply(354, None, "Go ahead"), b"354 Go ahead\r\n"),
    (reply(250, None, "mx.example", "SIZE 100", "HELP"), b"250-mx.example\r\n250-SIZE 100\r\n250 HELP\r\n"),
    # RFC 2034 §4: the status stands in every line.
    (reply(550, "5.1.1", "No such", "mailbox"), b"550-5.1.1 No such\r\n550 5.1.1 mailbox\r\n"),
    (reply(550, "5.7.1", "ไม่รับ"), "550 5.7.1 ไม่รับ\r\n".encode()),
]


@pytest.mark.parametrize(("value", "octets"), WRITTEN)
def test_a_reply_is_written_and_read_back(value: Reply, octets: bytes) -> None:
    assert value.render() == octets
    assert parse_reply(octets.removesuffix(b"\r\n").split(b"\r\n")) == value


READ = [
    # RFC 5321 §4.2: text is optional, and so is the space.
    ([b"250"], reply(250, None, "")),
    ([b"250 "], reply(250, None, "")),
    ([b"250-", b"250 ok"], reply(250, None, "", "ok")),
    # The code decides; a status of another class is only text.
    ([b"450 5.7.1 Greylisted"], reply(450, None, "5.7.1 Greylisted")),
    # A status that is not in all lines is only text.
    ([b"550-5.1.1 No", b"550 such"], reply(550, None, "5.1.1 No", "such")),
    ([b"550 5.01.1 Odd"], reply(550, None, "5.01.1 Odd")),
    # Codes beyond 559 exist in the field.
    ([b"571 5.7.1 Blocked"], reply(571, "5.7.1", "Blocked")),
    # Neither foreign charsets nor controls reach a trace or a report as they are.
    ([b"550 \xff\x07"], reply(550, None, "\\xff\\x07")),
]


@pytest.mark.parametrize(("lines", "value"), READ)
def test_what_hosts_really_say_is_read(lines: list[bytes], value: Reply) -> None:
    assert parse_reply(lines) == value


@pytest.mark.parametrize(
    "lines",
    [[], [b""], [b"hello"], [b"150 ok"], [b"600 ok"], [b"25 ok"], [b"250ok"], [b"250-a", b"251 b"],
     [b"250-a"], [b"250 a", b"250 b"], [b"\xef\xbc\x92\xef\xbc\x95\xef\xbc\x90 a"]],
)  # fmt: skip
def test_what_is_no_reply_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(ValueError):
        parse_reply(lines)


@given(st.lists(st.binary(max_size=30), max_size=4))
def test_any_lines_are_one_reply_or_refused(lines: list[bytes]) -> None:
    try:
        value = parse_reply(lines)
    except ValueError:
        return
    assert all(line.isprintable() for line in value.text)
    assert [is_last_line(line) for line in lines] == [False] * (len(lines) - 1) + [True]


def test_a_reply_answers_what_it_means() -> None:
    assert reply(250, "2.0.0", "ok").is_success
    assert reply(451, "4.3.0", "later").is_transient
    assert reply(550, "5.1.1", "no").is_permanent
    assert not reply(354, None, "go").is_success
    assert str(reply(550, "5.1.1", "No such", "mailbox")) == "550 5.1.1 No such / mailbox"


@pytest.mark.parametrize(
    "text", ["", "5", "5.1", "3.1.1", "5.1.1.1", "5.1000.1", "5.01.1", "5.1.1 ", "5.1.๑"]
)
def test_what_is_no_status_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="5\\.1\\.1"):
        parse_status(text)


def test_a_status_is_read_and_written_back() -> None:
    assert parse_status("4.7.999") == EnhancedStatus(4, 7, 999)
    assert str(EnhancedStatus(4, 7, 999)) == "4.7.999"


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [
        (199, None, ("x",)),
        (600, None, ("x",)),
        (250, "5.0.0", ("x",)),
        (250, None, ()),
        (250, None, ("a\r\nb",)),
    ],
)
def test_a_wrong_reply_cannot_be_built(code: int, status: str | None, text: tuple[str, ...]) -> None:
    with pytest.raises(AssertionError):
        reply(code, status, *text)
