"""Messages as multi-line responses, whole or their beginnings, in any split.

Source: RFC 1939 §3 (byte-stuffing), §7 (TOP); RFC 2449 §8 (codes).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.pop3.replies import Sending, TopLines, err, lines, ok

MESSAGES = [
    (b"", b".\r\n"),
    (b"a\r\n", b"a\r\n.\r\n"),
    (b"a", b"a\r\n.\r\n"),
    (b".\r\n..\r\n.a\r\n", b"..\r\n...\r\n..a\r\n.\r\n"),
    (b"a.\r\nb", b"a.\r\nb\r\n.\r\n"),
    (b"a\r", b"a\r\r\n.\r\n"),
    (b"a\n.b\r\n", b"a\n.b\r\n.\r\n"),  # lines end in CRLF, and in nothing else
]
TOPS = [
    (b"A: 1\r\n\r\none\r\ntwo\r\n", 0, b"A: 1\r\n\r\n"),
    (b"A: 1\r\n\r\none\r\ntwo\r\n", 1, b"A: 1\r\n\r\none\r\n"),
    (b"A: 1\r\n\r\none\r\ntwo\r\n", 9, b"A: 1\r\n\r\none\r\ntwo\r\n"),
    (b"A: 1\r\n", 1, b"A: 1\r\n"),  # no body
    (b"\r\none\r\ntwo", 1, b"\r\none\r\n"),  # no header
]


def splits(octets: bytes, data: st.DataObject) -> list[bytes]:
    pieces = []
    while octets:
        size = data.draw(st.integers(1, len(octets)))
        pieces.append(octets[:size])
        octets = octets[size:]
    return pieces


def sent(pieces: list[bytes]) -> bytes:
    sending = Sending()
    return b"".join([sending.feed(piece) for piece in pieces]) + sending.finish()


@pytest.mark.parametrize(("message", "on_the_wire"), MESSAGES)
def test_a_message_is_sent_as_lines(message: bytes, on_the_wire: bytes) -> None:
    assert sent([message]) == on_the_wire
    assert sent([message[at : at + 1] for at in range(len(message))]) == on_the_wire


@given(st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"\r\n."]), max_size=12), st.data())
def test_in_any_split_it_is_the_same_and_a_client_gets_the_message(
    parts: list[bytes], data: st.DataObject
) -> None:
    message = b"".join(parts)
    on_the_wire = sent(splits(message, data))
    assert on_the_wire == sent([message])
    whole = message if message.endswith(b"\r\n") or not message else message + b"\r\n"
    received = (b"\r\n" + on_the_wire.removesuffix(b".\r\n")).replace(b"\r\n..", b"\r\n.")[2:]
    assert received == whole


@pytest.mark.parametrize(("message", "wanted", "beginning"), TOPS)
def test_top_is_the_header_and_so_many_lines(message: bytes, wanted: int, beginning: bytes) -> None:
    for pieces in ([message], [message[at : at + 1] for at in range(len(message))]):
        top = TopLines(wanted)
        assert b"".join([top.feed(piece) for piece in pieces]) == beginning


def test_responses_have_their_codes() -> None:
    assert ok("2 320") == b"+OK 2 320\r\n"
    assert err("Wrong", "AUTH") == b"-ERR [AUTH] Wrong\r\n"
    assert lines("Two", ["1 a", "2 b"]) == b"+OK Two\r\n1 a\r\n2 b\r\n.\r\n"
