"""Whether a message is what a search looks for, decided from as little of it as possible.

A `Search` is made once for a command. The shell asks for the verdict on each row; where it is None, it asks
again with more of the message: its envelope, then its header, then its text. `need` says how far that can go,
so that a search for UNSEEN reads nothing but rows. What an index knows of texts, it gives as `indexed`.

Source: RFC 9051 §6.4.4; RFC 5032 §3 (WITHIN), RFC 7162 §3.1.5 (MODSEQ), RFC 8474 §6, RFC 8514 §4.3.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum, auto
from typing import Final, assert_never

from gateway.mail import headers
from gateway.mail.addresslist import HeaderAddress
from gateway.mail.collation import folded
from gateway.mail.local_time import BANGKOK
from gateway.mail.sent import sent_on
from gateway.mail.summary import Envelope, EnvelopeAlone, Summary
from gateway.mail.uids import Ranges
from gateway.protocols.imap.fetching import Row, email_id
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
    When,
    Within,
    each_key,
)


class Need(IntEnum):
    """How much of a message a key may want to see."""

    ROW = auto()
    ENVELOPE = auto()
    HEADER = auto()
    TEXT = auto()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a message beside its row. header: the octets of it; text: what a person reads of its
    body, as `folded` gives it."""

    summary: Summary | EnvelopeAlone | None = None
    header: bytes | None = None
    text: str | None = None


NOTHING: Final = Known()
Verdict = bool | None  # None: not from this alone
Test = Callable[[Row, Known], Verdict]


@dataclass(frozen=True, slots=True)
class Context:
    """now: for OLDER and YOUNGER. uids_of: of a set among the keys, `Selected.matching`. recent: UIDs.
    indexed: of the keys that an index has answered: what it says of a UID, None where it cannot tell."""

    now: datetime
    uids_of: Callable[[Messages], Ranges]
    recent: frozenset[int] = frozenset()
    indexed: Mapping[Key, Callable[[int], Verdict]] = field(default_factory=dict)


def need_of(key: Key) -> Need:
    """The most that a key may want to see."""
    return max((_NEEDS.get(type(one), Need.ROW) for one in each_key(key)), default=Need.ROW)


def cheapest_first(keys: Sequence[Key]) -> list[Key]:
    """Where one tells already, nothing more is read."""
    return sorted(keys, key=need_of)


def is_of_envelope(field: str) -> bool:
    """Whether an envelope has such a field whole, so that nothing else needs to be asked for it."""
    return field in _WHOLE


class Search:
    """need: how much of a message `verdict` may want to see."""

    def __init__(self, key: Key, context: Context) -> None:
        self.need = need_of(key)
        self._test = _test(key, context)

    def verdict(self, row: Row, known: Known = NOTHING) -> Verdict:
        """With all that `need` says, it is never None."""
        return self._test(row, known)


_NEEDS: Final[dict[type, Need]] = {
    Sent: Need.ENVELOPE,
    InEnvelope: Need.HEADER,  # when the summary was cut
    InHeader: Need.HEADER,
    InBody: Need.TEXT,
    InText: Need.TEXT,
}


# --- the keys one by one --------------------------------------------------------------------------


def _test(key: Key, context: Context) -> Test:
    if answer := context.indexed.get(key):
        return _indexed(answer, _plain(key, context))
    return _plain(key, context)


def _plain(key: Key, context: Context) -> Test:
    match key:
        case And(keys):
            return _all([_test(one, context) for one in cheapest_first(keys)])
        case Or(left, right):
            return _either(*(_test(one, context) for one in cheapest_first((left, right))))
        case Not(inner):
            return _not(_test(inner, context))
        case Sent(when, day):
            return _sent(when, day)
        case InEnvelope(name, text):
            return _in_envelope(name, folded(text))
        case InHeader(name, text):
            return _in_header(name, folded(text))
        case InBody(text):
            return _in_text(folded(text))
        case InText(text):
            return _either(_in_any_field(folded(text)), _in_text(folded(text)))
        case _:
            return _of_row(key, context)


def _of_row(
    key: All | Messages | HasFlag | Recent | Arrived | Saved | Within | Sized | ModifiedSince | HasEmailId
    | HasThreadId,
    context: Context,
) -> Test:  # fmt: skip
    """Keys that a row answers."""
    match key:
        case All():
            return lambda row, _: True
        case Messages():
            return _among(context.uids_of(key))
        case HasFlag(flag):
            return _has_flag(flag)
        case Recent():
            return lambda row, _: row.uid in context.recent
        case Arrived(when, day):
            begins, ends = span(when, day)
            return lambda row, _: begins <= row.internal_date < ends
        case Saved(when, day):
            begins, ends = span(when, day)
            return lambda row, _: begins <= row.saved_at < ends
        case Within(is_younger, seconds):
            return _within(context.now, is_younger, seconds)
        case Sized(True, octets):
            return lambda row, _: row.octets > octets
        case Sized(_, octets):
            return lambda row, _: row.octets < octets
        case ModifiedSince(modseq):
            return lambda row, _: row.modseq >= modseq
        case HasEmailId(id_):
            return lambda row, _: email_id(row.origin) == id_
        case HasThreadId():  # RFC 8474 §5.2: no message has one
            return lambda row, _: False
        case _:
            assert_never(key)


_COMPARE: Final[dict[When, Callable[[date, date], bool]]] = {
    "BEFORE": date.__lt__,
    "ON": date.__eq__,
    "SINCE": date.__ge__,
}


def span(when: When, day: date) -> tuple[datetime, datetime]:
    """From when on, and until when, an internal date is meant: days are those it is shown in."""
    begins = _midnight(day.toordinal())
    match when:
        case "BEFORE":
            return _EARLIEST, begins
        case "ON":
            return begins, _midnight(day.toordinal() + 1)
        case "SINCE":
            return begins, _LATEST
        case _:
            assert_never(when)


def _midnight(ordinal: int) -> datetime:
    """In UTC, which rows are in; of the last and the first days there are, the nearest that can be said."""
    day = date.fromordinal(min(max(ordinal, 2), date.max.toordinal() - 1))
    return datetime(day.year, day.month, day.day, tzinfo=BANGKOK).astimezone(UTC)


_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
_LATEST: Final = datetime.max.replace(tzinfo=UTC)


def _all(tests: list[Test]) -> Test:
    def test(row: Row, known: Known) -> Verdict:
        verdict: Verdict = True
        for one in tests:
            found = one(row, known)
            if found is False:
                return False
            if found is None:
                verdict = None
        return verdict

    return test


def _either(left: Test, right: Test) -> Test:
    def test(row: Row, known: Known) -> Verdict:
        first = left(row, known)
        if first:
            return True
        second = right(row, known)
        return True if second else None if first is None else second

    return test


def _not(inner: Test) -> Test:
    def test(row: Row, known: Known) -> Verdict:
        found = inner(row, known)
        return None if found is None else not found

    return test


def _indexed(answer: Callable[[int], Verdict], test: Test) -> Test:
    def asked(row: Row, known: Known) -> Verdict:
        found = answer(row.uid)
        return test(row, known) if found is None else found

    return asked


def _among(uids: Ranges) -> Test:
    starts, ends = [start for start, _ in uids], [end for _, end in uids]

    def test(row: Row, known: Known) -> Verdict:
        index = bisect_right(starts, row.uid)
        return index > 0 and row.uid <= ends[index - 1]

    return test


def _has_flag(flag: str) -> Test:
    if flag.startswith("\\"):  # there are few, and none begins as another does
        return lambda row, _: flag in row.flags
    keyword = f" {flag.lower()} "
    return lambda row, _: keyword in f" {row.flags.lower()} "


def _within(now: datetime, is_younger: bool, seconds: int) -> Test:
    limit = within_limit(now, seconds)
    if is_younger:
        return lambda row, _: row.internal_date >= limit
    return lambda row, _: row.internal_date <= limit


def within_limit(now: datetime, seconds: int) -> datetime:
    """RFC 5032 §3: what is younger came then or later, what is older then or before."""
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return _EARLIEST


def _sent(when: When, day: date) -> Test:
    is_then = _COMPARE[when]

    def test(row: Row, known: Known) -> Verdict:
        if known.summary is None:
            return None
        on = sent_on(known.summary.envelope.date)
        return on is not None and is_then(on, day)

    return test


# --- texts ----------------------------------------------------------------------------------------


def _in_envelope(name: str, text: str) -> Test:
    """BCC, CC, FROM, SUBJECT, TO, from the envelope, unless it was cut before that text."""
    in_header = _in_header(name, text)

    def test(row: Row, known: Known) -> Verdict:
        if known.summary is not None:
            if text in folded(IN_ENVELOPE[name](known.summary.envelope)):
                return True
            if not known.summary.cut:
                return False
        return in_header(row, known)

    return test


def _in_header(name: str, text: str) -> Test:
    whole = _WHOLE.get(name)

    def test(row: Row, known: Known) -> Verdict:
        if whole is not None and known.summary is not None and not known.summary.cut:
            value = whole(known.summary.envelope)
            return value is not None and text in folded(value)
        if known.header is None:
            return None
        found = (one for one in headers.fields(known.header) if one.name.lower() == name)
        return any(text in folded(one.text) for one in found)

    return test


def _in_any_field(text: str) -> Test:
    def test(row: Row, known: Known) -> Verdict:
        if known.header is None:
            return None
        return any(text in folded(f"{one.name}: {one.text}") for one in headers.fields(known.header))

    return test


def _in_text(text: str) -> Test:
    return lambda row, known: None if known.text is None else text in known.text


def _shown(addresses: tuple[HeaderAddress, ...]) -> str:
    """Addresses as a person would look for them."""
    return ", ".join(f"{one.name or ''} <{one.mailbox or ''}@{one.host or ''}>" for one in addresses)


# Texts in which BCC, CC, FROM, SUBJECT and TO look.
IN_ENVELOPE: Final[Mapping[str, Callable[[Envelope], str]]] = {
    "bcc": lambda envelope: _shown(envelope.bcc),
    "cc": lambda envelope: _shown(envelope.cc),
    "from": lambda envelope: _shown(envelope.from_),
    "subject": lambda envelope: envelope.subject or "",
    "to": lambda envelope: _shown(envelope.to),
}
# Fields that an envelope has whole; there is one of each at most (RFC 5322 §3.6).
_WHOLE: Final[dict[str, Callable[[Envelope], str | None]]] = {
    "date": lambda envelope: envelope.date,
    "in-reply-to": lambda envelope: envelope.in_reply_to,
    "message-id": lambda envelope: envelope.message_id,
    "subject": lambda envelope: envelope.subject,
}
