"""Since when a recipient must have been the same person (RFC 7293)."""

from datetime import UTC, datetime

import pytest

from gateway.mail.address import Address, parse_address
from gateway.mail.reply import Reply
from gateway.mail.valid_since import (
    NOBODYS,
    NOT_ON_RECORD,
    OWNER_CHANGED,
    Owner,
    asked_of,
    fields_of,
    parse_valid_since,
    refusal,
)

BOB, EVE = parse_address("bob@example.org"), parse_address("eve@example.org")

# RFC 7293 §3.2: an address, a semicolon and a date of RFC 5322. What cannot be read asks nothing.
FIELDS = [
    (
        b"Require-Recipient-Valid-Since: Bob@example.ORG; Sat, 1 Jun 2013 09:23:01 -0700\r\n",
        "2013-06-01T16:23:01Z;C",
    ),
    (
        b"require-recipient-valid-since:bob@example.org;\r\n 1 Jun 13 09:23 +0000\r\n",
        "2013-06-01T09:23:00Z;C",
    ),
    (b"Require-Recipient-Valid-Since: bob@example.org\r\n", ""),
    (b"Require-Recipient-Valid-Since: bob@example.org; yesterday\r\n", ""),
    (b"Require-Recipient-Valid-Since: Sat, 1 Jun 2013 09:23:01 -0700\r\n", ""),
    (b"Require-Recipient-Valid-Since: eve@example.org; Sat, 1 Jun 2013 09:23:01 -0700\r\n", ""),
    (b"X-Require-Recipient-Valid-Since: bob@example.org; Sat, 1 Jun 2013 09:23:01 -0700\r\n", ""),
]


@pytest.mark.parametrize(("header", "asked"), FIELDS)
def test_a_message_asks_by_its_field(header: bytes, asked: str) -> None:
    assert str(fields_of(header + b"\r\n").get(BOB, "")) == asked


def test_what_rcpt_asks_counts_before_what_the_message_asks() -> None:
    header = b"".join(
        b"Require-Recipient-Valid-Since: %s@example.org; 1 Jun 2013 09:23:01 +0000\r\n" % name
        for name in (b"bob", b"eve")
    )
    said = ("2020-03-01T09:00:00Z", "")
    assert asked_of([BOB, EVE], said, header) == ("2020-03-01T09:00:00Z", "2013-06-01T09:23:01Z;C")
    assert asked_of([BOB, EVE], (), header)[0] == "2013-06-01T09:23:01Z;C"
    assert asked_of([BOB, EVE], (), b"") == ()


AT = datetime(2020, 3, 1, 9, tzinfo=UTC)
SECOND, FIRST = Owner(AT), Owner(AT, is_first=True)
POSTMASTER = parse_address("Postmaster@example.org")
ANSWERS = [
    (BOB, "2020-03-01T09:00:00Z", SECOND, None),
    (BOB, "2020-03-01T08:59:59Z", SECOND, OWNER_CHANGED),
    (BOB, "2020-03-01T08:59:59Z;C", SECOND, OWNER_CHANGED),
    (BOB, "", SECOND, None),
    (BOB, "2020-03-01T08:59:59Z", None, None),
    # RFC 7293 §9: the answer may be unknown, and what is done then is for us to say.
    (BOB, "2020-03-01T09:00:00Z", FIRST, None),
    (BOB, "2020-03-01T08:59:59Z", FIRST, NOT_ON_RECORD),
    (BOB, "2020-03-01T08:59:59Z;C", FIRST, None),
    (BOB, "2020-03-01T08:59:59Z", NOBODYS, NOT_ON_RECORD),
    (BOB, "2020-03-01T08:59:59Z;C", NOBODYS, None),
    # RFC 7293 §5.1 with RFC 2142: an office's, whoever holds it.
    (POSTMASTER, "2020-03-01T08:59:59Z", SECOND, None),
    (POSTMASTER, "2020-03-01T08:59:59Z", NOBODYS, None),
]


@pytest.mark.parametrize(("address", "asked", "owner", "said"), ANSWERS)
def test_who_has_an_address_is_whom_the_sender_means_or_not_or_nobody_knows(
    address: Address, asked: str, owner: Owner | None, said: Reply | None
) -> None:
    assert refusal(address, asked, owner) == said


def test_what_is_written_is_read_again() -> None:
    for text in ("2020-03-01T09:00:00Z", "2020-03-01T09:00:00Z;C", "0999-01-01T00:00:00Z"):
        assert parse_valid_since(str(parse_valid_since(text))) == parse_valid_since(text)
