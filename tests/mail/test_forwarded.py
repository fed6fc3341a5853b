"""What stands before a forwarded mail, and how one is known that comes round again."""

import pytest

from gateway.mail.address import parse_address
from gateway.mail.forwarded import CHAIN_MAX, forwarded_front, is_going_round, mark_of
from gateway.mail.hops import HOPS_MAX

SUDA = parse_address("Suda@opm.go.th")
FRONT = b"Return-Path: <ann@example.org>\r\nReceived: from a\r\n\tby b\r\n"


def test_only_fields_before_the_message_are_added_and_the_return_path_is_the_new_one() -> None:
    assert forwarded_front(FRONT, SUDA, parse_address("b@c.example")) == (
        b"Return-Path: <b@c.example>\r\nDelivered-To: Suda@opm.go.th\r\nReceived: from a\r\n\tby b\r\n"
    )
    assert forwarded_front(b"X: y\r\n", SUDA, None) == (
        b"Return-Path: <>\r\nDelivered-To: Suda@opm.go.th\r\nX: y\r\n"
    )


@pytest.mark.parametrize(
    ("header", "is_round"),
    [
        (forwarded_front(FRONT, SUDA, None), True),
        (b"Subject: x\r\nDelivered-To:\r\n suda@OPM.go.th\r\n", True),
        (b"Delivered-To: somchai@opm.go.th\r\nX-Delivered-To: suda@opm.go.th\r\n", False),
        (b"Subject: Delivered-To: suda@opm.go.th\r\n", False),
        (b"Received: from a by b\r\n" * HOPS_MAX, False),
        (b"Received: from a by b\r\n" * HOPS_MAX + b"Delivered-To: ann@example.org\r\n", True),
    ],
)
def test_a_mail_that_was_here_or_comes_too_long_a_way_is_seen(header: bytes, is_round: bool) -> None:
    assert is_going_round(b"", header + b"\r\n", SUDA) is is_round


def test_a_mail_goes_on_here_a_few_times_alone() -> None:
    """Five targets each, and five of theirs: nobody makes thousands of mails of one."""
    others = [parse_address(f"a{number}@opm.go.th") for number in range(CHAIN_MAX)]
    front = FRONT
    for other in others:
        assert not is_going_round(front, b"\r\n", SUDA)
        front = forwarded_front(front, other, None)
    assert is_going_round(front, b"\r\n", SUDA)
    assert not is_going_round(b"", front + b"\r\n", SUDA)  # what others wrote is no chain of ours


def test_an_address_in_thai_is_marked_in_ascii_and_known_by_that() -> None:
    """The next host may take no UTF-8 in header fields (RFC 6531 §3.2)."""
    mark = mark_of(parse_address("สมชาย@กรม.example"), "acc_01kamz")
    assert str(mark) == "acc_01kamz@xn--12c8df.example"
    assert is_going_round(forwarded_front(FRONT, mark, None), b"\r\n", mark)
    assert mark_of(SUDA, "acc_01kamz") == SUDA
