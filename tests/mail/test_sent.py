"""When a message was sent: RFC 5322 §3.3, RFC 5256 §2.2."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.sent import sent_at, sent_on

DATES = [
    ("Mon, 23 Nov 2026 01:00:00 +0700", date(2026, 11, 23), datetime(2026, 11, 22, 18, tzinfo=UTC)),
    ("23 Nov 2026 10:00 GMT", date(2026, 11, 23), datetime(2026, 11, 23, 10, tzinfo=UTC)),
    # RFC 5322 §4.3: as it was once written.
    ("Mon, 23 Nov 98 10:00:00 EST (x)", date(1998, 11, 23), datetime(1998, 11, 23, 15, tzinfo=UTC)),
    # RFC 5256 §2.2: a time that is none is midnight.
    ("23 Nov 2026 25:61:00 +0000", date(2026, 11, 23), datetime(2026, 11, 23, tzinfo=UTC)),
    ("31 Feb 2026 10:00:00 +0000", None, None),
    ("no date", None, None),
    ("", None, None),
    (None, None, None),
]


@pytest.mark.parametrize(("text", "on", "at"), DATES)
def test_a_date_is_read(text: str | None, on: date | None, at: datetime | None) -> None:
    assert sent_on(text) == on
    assert sent_at(text) == at


WORDS = [
    "Mon,",
    "23",
    "Nov",
    "0",
    "2026",
    "99999",
    "10:00:00",
    "1:2:3:4",
    "+0700",
    "-9999",
    "+999999",
    "(",
    ",",
]


@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join) | st.text())
def test_any_text_is_a_date_or_none(text: str) -> None:
    on, at = sent_on(text), sent_at(text)
    assert at is None or on is not None
