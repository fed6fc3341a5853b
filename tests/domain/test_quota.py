"""Whether a mailbox has room for one more mail."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.quota import FULL, FULL_FOR_NOW, QuotaRule, Room
from gateway.mail.reply import Reply

AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
WEEK = timedelta(days=7)
JUST = AT - WEEK + timedelta(seconds=1)

REFUSALS = [
    # There is room, for this mail too, and for the last octet of it.
    (Room(1000, 0, None), 0, None),
    (Room(1000, 400, None), 600, None),
    # RFC 1870 §6.1: a mail that says it does not fit is not taken.
    (Room(1000, 400, None), 601, FULL_FOR_NOW),
    # One that is larger than the whole quota never will be.
    (Room(1000, 0, None), 1001, FULL),
    # Full: for now, and after the grace time for good.
    (Room(1000, 1000, AT), 0, FULL_FOR_NOW),
    (Room(1000, 1200, JUST), 0, FULL_FOR_NOW),
    (Room(1000, 1000, AT - WEEK), 0, FULL),
    # Full, and no delivery has made it so.
    (Room(0, 0, None), 0, FULL_FOR_NOW),
]


@pytest.mark.parametrize(("room", "octets", "refusal"), REFUSALS)
def test_a_recipient_is_refused_while_its_mailbox_is_full(
    room: Room, octets: int, refusal: Reply | None
) -> None:
    assert QuotaRule(WEEK).refusal(room, octets, AT) == refusal


def test_an_office_may_be_spared() -> None:
    desk = Room(1000, 1200, AT - WEEK, is_office=True)
    assert QuotaRule(WEEK).refusal(desk, 0, AT) == FULL
    assert QuotaRule(WEEK, spares_offices=True).refusal(desk, 5000, AT) is None
