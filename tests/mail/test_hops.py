"""A mail that has passed more hosts than any way has."""

import pytest

from gateway.mail.hops import HOPS_MAX, is_going_round

FIELD = b"Received: from a.example by b.example; Mon, 23 Nov 2026 04:05:06 +0000\r\n"
HEADERS = {
    "as far as a mail may come": (FIELD * HOPS_MAX + b"Subject: x\r\n\r\n", False),
    "one host more": (FIELD * (HOPS_MAX + 1) + b"Subject: x\r\n\r\n", True),
    "however it is written": (b"RECEIVED :\r\n by b.example\r\n" * (HOPS_MAX + 1), True),
    "other fields": (b"X-Received: by b.example\r\n" * 200 + b"Subject: a\r\n received: b\r\n" * 200, False),
    "nothing": (b"", False),
}


@pytest.mark.parametrize(("header", "is_round"), HEADERS.values(), ids=HEADERS)
def test_received_fields_are_counted(header: bytes, is_round: bool) -> None:
    """RFC 5321 §6.3."""
    assert is_going_round(header) == is_round
