"""What a search finds: RFC 9051 §6.4.4. A verdict from less is the verdict from all."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mail.collation import folded
from gateway.mail.summary import EnvelopeAlone, Summary, summarise
from gateway.mail.uids import Ranges
from gateway.protocols.imap.fetching import date_time
from gateway.protocols.imap.search_keys import (
    All,
    And,
    Arrived,
    HasEmailId,
    HasFlag,
    HasThreadId,
    InBody,
    InEnvelope,
    InHeader,
    InText,
    Key,
    Messages,
    ModifiedSince,
    Not,
    Or,
    Recent,
    Saved,
    Sent,
    Sized,
    Within,
)
from gateway.protocols.imap.searching import NOTHING, Context, Known, Need, Search, need_of
from gateway.protocols.imap.sequence_set import SequenceSet
from tests.mail.messages import scan

NOW = datetime(2026, 2, 10, 12, tzinfo=UTC)
HEADER = (
    "From: =?UTF-8?B?4Liq4Lih4LiK4Liy4Lii?= <Somchai@opm.example>\r\nTo: Ann <ann@opdc.example>\r\n"
    "Subject: หนังสือราชการ\r\nDate: Sun, 1 Feb 2026 23:30:00 -0500\r\nMessage-ID: <1@opm.example>\r\n"
    "X-Priority: 1\r\nX-Priority: high\r\n\r\n"
).encode()
SUMMARY = msgspec.json.decode(summarise(scan(HEADER + b"x")), type=Summary)
CUT = EnvelopeAlone(SUMMARY.envelope, cut=True)
TEXT = folded("น้ำท่วมที่อำเภอ")
EVERYTHING = Known(SUMMARY, HEADER, TEXT)
STAGES = (NOTHING, Known(SUMMARY), Known(SUMMARY, HEADER), EVERYTHING)


@dataclass(frozen=True)
class Line:
    uid: int = 7
    flags: str = "\\Seen $Forwarded"
    modseq: int = 90
    octets: int = 100
    internal_date: datetime = datetime(2026, 2, 2, 4, 31, tzinfo=UTC)
    saved_at: datetime = datetime(2026, 2, 5, tzinfo=UTC)
    origin: int = 77


def uids_of(messages: Messages) -> Ranges:
    return messages.numbers.resolve(9) if messages.by_uid else [(2, 2)]


CONTEXT = Context(NOW, uids_of, recent=frozenset({7}))
DAY = date(2026, 2, 2)

KEYS: list[tuple[Key, bool, Need]] = [
    (All(), True, Need.ROW),
    (HasFlag("\\Seen"), True, Need.ROW),
    (HasFlag("\\Draft"), False, Need.ROW),
    (HasFlag("$forwarded"), True, Need.ROW),  # RFC 9051 §2.3.2: in any case
    (HasFlag("Forwarded"), False, Need.ROW),
    (Recent(), True, Need.ROW),
    (Messages(SequenceSet(((6, 8),)), by_uid=True), True, Need.ROW),
    (Messages(SequenceSet(((1, 6), (8, 0))), by_uid=True), False, Need.ROW),
    (Messages(SequenceSet(((7, 7),)), by_uid=False), False, Need.ROW),
    (Arrived("BEFORE", DAY), False, Need.ROW),
    (Arrived("ON", DAY), True, Need.ROW),
    (Arrived("SINCE", DAY), True, Need.ROW),
    (Arrived("SINCE", date(2026, 2, 3)), False, Need.ROW),
    (Saved("BEFORE", date(2026, 2, 6)), True, Need.ROW),
    (Sized(True, 100), False, Need.ROW),
    (Sized(True, 99), True, Need.ROW),
    (Sized(False, 100), False, Need.ROW),
    (Sized(False, 101), True, Need.ROW),
    (ModifiedSince(90), True, Need.ROW),
    (ModifiedSince(91), False, Need.ROW),
    (HasEmailId("E77"), True, Need.ROW),
    (HasEmailId("E78"), False, Need.ROW),
    (HasThreadId("T1"), False, Need.ROW),
    # RFC 9051 §6.4.4: time and zone are disregarded.
    (Sent("ON", date(2026, 2, 1)), True, Need.ENVELOPE),
    (Sent("SINCE", DAY), False, Need.ENVELOPE),
    (InEnvelope("from", "SOMCHAI@OPM"), True, Need.HEADER),
    (InEnvelope("from", "สมชาย"), True, Need.HEADER),
    (InEnvelope("to", "somchai"), False, Need.HEADER),
    (InEnvelope("cc", "x"), False, Need.HEADER),
    (InEnvelope("subject", "ราชการ"), True, Need.HEADER),
    (InHeader("message-id", "<1@OPM.example>"), True, Need.HEADER),
    (InHeader("in-reply-to", ""), False, Need.HEADER),
    (InHeader("x-priority", "HIGH"), True, Need.HEADER),
    (InHeader("x-priority", ""), True, Need.HEADER),
    (InHeader("x-mailer", ""), False, Need.HEADER),
    (InBody("ท่วม"), True, Need.TEXT),
    (InBody("น\u0e4d\u0e49\u0e32"), True, Need.TEXT),
    (InBody("priority"), False, Need.TEXT),
    (InText("x-priority: 1"), True, Need.TEXT),
    (InText("อำเภอ"), True, Need.TEXT),
    (InText("nowhere"), False, Need.TEXT),
    (Not(All()), False, Need.ROW),
    (And((All(), HasFlag("\\Draft"), InBody("ท่วม"))), False, Need.TEXT),
    (Or(InBody("ท่วม"), HasFlag("\\Seen")), True, Need.TEXT),
    (Or(HasFlag("\\Draft"), HasFlag("\\Flagged")), False, Need.ROW),
]


@pytest.mark.parametrize(("key", "is_found", "need"), KEYS)
def test_a_key_finds_a_message_or_not(key: Key, is_found: bool, need: Need) -> None:
    assert Search(key, CONTEXT).verdict(Line(), EVERYTHING) is is_found
    assert Search(Not(key), CONTEXT).verdict(Line(), EVERYTHING) is not is_found
    assert need_of(key) == Search(key, CONTEXT).need == need


DAYS = [
    # 31 January, 23:59:59, in Bangkok; and a second later.
    (datetime(2026, 1, 31, 16, 59, 59, tzinfo=UTC), date(2026, 1, 31)),
    (datetime(2026, 1, 31, 17, 0, 0, tzinfo=UTC), date(2026, 2, 1)),
]


@pytest.mark.parametrize(("at", "day"), DAYS)
def test_a_day_is_the_one_people_live_in(at: datetime, day: date) -> None:
    """RFC 9051 §6.4.4: time and zone are disregarded, of the date as FETCH shows it."""
    line = Line(internal_date=at, saved_at=at)
    for kind in (Arrived, Saved):
        on, next_day = kind("ON", day), day + timedelta(days=1)
        assert Search(on, CONTEXT).verdict(line) is True
        assert Search(kind("SINCE", day), CONTEXT).verdict(line) is True
        assert Search(kind("BEFORE", next_day), CONTEXT).verdict(line) is True
        assert Search(kind("BEFORE", day), CONTEXT).verdict(line) is False
        assert Search(kind("SINCE", next_day), CONTEXT).verdict(line) is False
    assert date_time(at).lstrip().startswith(f"{day.day}-")


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_ends_of_time_are_searched_too(day: date) -> None:
    found = [Search(Arrived(when, day), CONTEXT).verdict(Line()) for when in ("BEFORE", "ON", "SINCE")]
    assert found == [day == date.max, False, day == date.min]


@pytest.mark.parametrize(
    ("ago", "is_younger", "is_found"),
    [(59, True, True), (60, True, True), (61, True, False), (59, False, False), (60, False, True)],
)
def test_within_is_told_from_now(ago: int, is_younger: bool, is_found: bool) -> None:
    """RFC 5032 §3."""
    line = Line(internal_date=NOW - timedelta(seconds=ago))
    assert Search(Within(is_younger, 60), CONTEXT).verdict(line) is is_found
    assert Search(Within(is_younger, 2**32 - 1), CONTEXT).verdict(line) is is_younger


def test_nothing_is_read_where_a_row_is_enough() -> None:
    unseen = And((InText("x"), Not(HasFlag("\\Seen"))))
    assert Search(unseen, CONTEXT).verdict(Line()) is False
    assert Search(Or(InText("x"), HasFlag("\\Seen")), CONTEXT).verdict(Line()) is True
    assert Search(unseen, CONTEXT).verdict(Line(flags="")) is None


def test_a_cut_envelope_is_believed_in_what_it_has() -> None:
    for key, found in ((InEnvelope("subject", "ราชการ"), True), (InEnvelope("subject", "x"), None)):
        assert Search(key, CONTEXT).verdict(Line(), Known(CUT)) is found
    assert Search(InHeader("message-id", "1"), CONTEXT).verdict(Line(), Known(CUT)) is None


def test_what_an_index_knows_is_not_read() -> None:
    known = {InBody("a"): {7: True, 8: False}.get}
    search = Search(InBody("a"), Context(NOW, uids_of, indexed=known))
    assert [search.verdict(Line(uid=uid)) for uid in (7, 8, 9)] == [True, False, None]


LEAVES = st.sampled_from([key for key, _, _ in KEYS])
TREES = st.recursive(
    LEAVES,
    lambda keys: (
        st.builds(Not, keys)
        | st.builds(Or, keys, keys)
        | st.lists(keys, min_size=1, max_size=4).map(lambda found: And(tuple(found)))
    ),
    max_leaves=12,
)


def meant(key: Key) -> bool:
    """What the tree means, from what its leaves find."""
    match key:
        case Not(inner):
            return not meant(inner)
        case Or(left, right):
            return meant(left) or meant(right)
        case And(keys):
            return all(map(meant, keys))
    return Search(key, CONTEXT).verdict(Line(), EVERYTHING) is True


@settings(max_examples=200)
@given(TREES)
def test_a_verdict_from_less_is_the_verdict_from_all(key: Key) -> None:
    search = Search(key, CONTEXT)
    for stage, known in enumerate(STAGES, Need.ROW):
        verdict = search.verdict(Line(), known)
        assert verdict in (None, meant(key))
        assert verdict is not None or stage < search.need
