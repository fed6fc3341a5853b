"""The order of messages: RFC 5256 §3, RFC 5957 §3."""

from datetime import UTC, datetime

import pytest

from gateway.mail.addresslist import HeaderAddress
from gateway.mail.summary import Envelope
from gateway.protocols.imap.commands import SortCriterion
from gateway.protocols.imap.sorting import Sortable, in_order, needs_envelope
from tests.protocols.imap.test_searching import Line


def at(day: int) -> datetime:
    return datetime(2026, 2, day, tzinfo=UTC)


ANN = (HeaderAddress("Zoe", "ann", "z.example"),)
BOB = (HeaderAddress(None, "Bob", "b.example"),)
DESK = (HeaderAddress(None, "desk", None), HeaderAddress(None, "zzz", "x"), HeaderAddress())
MESSAGES = [
    Sortable(
        Line(1, octets=30, internal_date=at(3)),
        Envelope(date="Sun, 1 Feb 2026 12:00:00 +0000", subject="Re: b", from_=ANN, to=BOB, cc=DESK),
    ),
    Sortable(
        Line(2, octets=20, internal_date=at(2)),
        Envelope(date="Sun, 1 Feb 2026 12:00:00 +0700", subject="[x] C", from_=BOB, to=DESK, cc=ANN),
    ),
    # RFC 5256 §2.2: without a date that can be read, the internal date counts.
    Sortable(Line(3, octets=30, internal_date=at(1)), Envelope(date="soon", subject="a", from_=DESK, to=ANN)),
]
ORDERS = [
    ("ARRIVAL", [3, 2, 1]),
    ("DATE", [3, 2, 1]),
    ("SIZE", [2, 1, 3]),
    ("SUBJECT", [3, 1, 2]),
    ("FROM", [1, 2, 3]),
    ("TO", [3, 1, 2]),
    ("CC", [3, 2, 1]),  # no address at all comes first
    ("DISPLAYFROM", [2, 3, 1]),
    ("DISPLAYTO", [1, 2, 3]),
]


@pytest.mark.parametrize(("key", "uids"), ORDERS)
def test_messages_are_sorted_by_a_key(key: str, uids: list[int]) -> None:
    assert in_order(MESSAGES, [SortCriterion(key)]) == uids


def test_what_is_equal_is_told_by_the_next_key_and_then_by_number() -> None:
    size = SortCriterion("SIZE", is_reverse=True)
    assert in_order(MESSAGES, [size]) == [1, 3, 2]
    assert in_order(MESSAGES, [size, SortCriterion("SUBJECT")]) == [3, 1, 2]
    assert in_order(MESSAGES, [size, SortCriterion("SUBJECT", is_reverse=True)]) == [1, 3, 2]


def test_rows_are_enough_for_arrival_and_size() -> None:
    assert not needs_envelope([SortCriterion("SIZE"), SortCriterion("ARRIVAL")])
    assert needs_envelope([SortCriterion("SIZE"), SortCriterion("DATE")])
    rows = [Sortable(one.row) for one in MESSAGES]
    assert in_order(rows, [SortCriterion("SIZE"), SortCriterion("ARRIVAL")]) == [2, 3, 1]
