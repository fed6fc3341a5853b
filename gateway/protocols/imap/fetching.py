"""FETCH responses. A `FetchRenderer` is made once for a command and gives its lines for many messages at
once.

What a row has (flags, UID, size, dates) and what its summary has (ENVELOPE, BODYSTRUCTURE) are whole lines.
Where the message itself is wanted, the shell sends the opening of a line; of each of `contents` its label
and `{octets}` CRLF and the octets, or NIL; and at last CLOSING.

Columns are made one after the other for all messages of a call, and one format puts them together: this is
the inner loop of opening a large mailbox.

Source: RFC 9051 §6.4.5 and §7.5.2; RFC 7162 §3.1.4.2 (MODSEQ), RFC 8474 §5 (EMAILID), RFC 8514 §4.2
(SAVEDATE), RFC 9586 §3 (UIDFETCH).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Final, Protocol, assert_never, cast

from gateway.mail.local_time import BANGKOK
from gateway.mail.summary import EnvelopeAlone, Summary
from gateway.protocols.imap import structure
from gateway.protocols.imap.attributes import (
    Attribute,
    Binary,
    BinarySize,
    BodySection,
    BodyStructure,
    EmailId,
    EnvelopeItem,
    Flags,
    InternalDate,
    ModSeq,
    Preview,
    SaveDate,
    Size,
    ThreadId,
    Uid,
)
from gateway.protocols.imap.commands import Fetch
from gateway.protocols.imap.grammar import MONTHS
from gateway.protocols.imap.selected import Flagged

CLOSING: Final = b")\r\n"
EMAIL_ID: Final = "E"  # an EMAILID begins with it
_TWO: Final = tuple(f"{number:02d}" for number in range(60))  # digits, at the speed of a look-up
ROWS_A_CALL: Final = 1_000  # what a shell gives at once, so that neither memory nor the loop is held for long
MARKS_A_CALL: Final = 4_000  # they are light


class Marked(Protocol):
    """What changes of a message."""

    @property
    def uid(self) -> int: ...
    @property
    def modseq(self) -> int: ...
    @property
    def flags(self) -> str: ...


class Row(Marked, Protocol):
    """What a mailbox shows of a message without opening it."""

    @property
    def octets(self) -> int: ...
    @property
    def internal_date(self) -> datetime: ...
    @property
    def saved_at(self) -> datetime: ...
    @property
    def origin(self) -> int: ...


Summaries = Sequence[Summary] | Sequence[EnvelopeAlone]
Column = Callable[[Sequence[Row], Summaries], Iterable[object]]
RowAttribute = Flags | Uid | InternalDate | Size | ModSeq | EmailId | ThreadId | SaveDate
SummaryAttribute = EnvelopeItem | BodyStructure
ContentAttribute = BodySection | Binary | BinarySize | Preview


@dataclass(frozen=True, slots=True)
class Content:
    """What only the message has. label: with the space before it, if one is needed, and the one behind it."""

    attribute: ContentAttribute
    label: bytes


class FetchRenderer:
    """Lines for one FETCH. is_utf8: the client takes UTF-8. is_uidonly: it has enabled UIDONLY."""

    def __init__(self, attributes: Sequence[Attribute], *, is_utf8: bool, is_uidonly: bool = False) -> None:
        items: list[str] = []
        columns: list[Column] = []
        contents: list[Content] = []
        for attribute in attributes:
            if isinstance(attribute, BodySection | Binary | BinarySize | Preview):
                space = " " if items or contents else ""
                contents.append(Content(attribute, f"{space}{_label(attribute)} ".encode()))
            elif not (is_uidonly and isinstance(attribute, Uid)):
                item, column = _column(attribute, is_utf8)
                items.append(item)
                columns.append(column)
        self._opening = f"* %d {'UIDFETCH' if is_uidonly else 'FETCH'} ({' '.join(items)}"
        self._columns = columns
        self._is_uidonly = is_uidonly
        self.contents = tuple(contents)
        self.needs_marks_alone = all(isinstance(one, Flags | Uid | ModSeq) for one in attributes)
        self.needs_envelope = any(isinstance(one, EnvelopeItem) for one in attributes)
        self.needs_structure = any(isinstance(one, BodyStructure) for one in attributes)

    def lines(self, numbers: Sequence[int], rows: Sequence[Row], summaries: Summaries = ()) -> bytes:
        """Whole lines, where no contents are wanted.

        summaries: of these rows, where `needs_structure` says so; EnvelopeAlone is enough for
        `needs_envelope`.
        """
        assert not self.contents, "their octets come from the shell"
        return "".join(self._format(self._opening + ")\r\n", numbers, rows, summaries)).encode()

    def mark_lines(self, numbers: Sequence[int], marks: Sequence[Marked]) -> bytes:
        """The same where `needs_marks_alone` says so."""
        assert self.needs_marks_alone, "a column asks for more"
        return self.lines(numbers, cast(Sequence[Row], marks))

    def openings(self, numbers: Sequence[int], rows: Sequence[Row], summaries: Summaries = ()) -> list[bytes]:
        """Their beginnings, up to what comes from the messages."""
        return [line.encode() for line in self._format(self._opening, numbers, rows, summaries)]

    def _format(
        self, line: str, numbers: Sequence[int], rows: Sequence[Row], summaries: Summaries
    ) -> Iterable[str]:
        first = [row.uid for row in rows] if self._is_uidonly else numbers
        values = (column(rows, summaries) for column in self._columns)
        return map(line.__mod__, zip(first, *values, strict=True))


def implied(fetch: Fetch) -> tuple[Attribute, ...]:
    """What is fetched: with the UID after UID FETCH (RFC 9051 §6.4.9), and MODSEQ after CHANGEDSINCE (RFC
    7162 §3.1.4.1)."""
    uid = (Uid(),) if fetch.by_uid else ()
    modseq = (ModSeq(),) if fetch.changed_since is not None else ()
    return tuple(dict.fromkeys((*uid, *fetch.attributes, *modseq)))


def flag_lines(
    flagged: Iterable[Flagged], *, tells_uid: bool, tells_modseq: bool, is_uidonly: bool = False
) -> bytes:
    """What others have changed, untagged (RFC 9051 §7.5.2); with MODSEQ for clients that have enabled
    CONDSTORE."""
    lines: list[str] = []
    for number, uid, flags, modseq in flagged:
        items = [f"UID {uid}"] if tells_uid and not is_uidonly else []
        items += [f"FLAGS ({flags})"] if flags is not None else []
        items += [f"MODSEQ ({modseq})"] if tells_modseq else []
        if items:
            lines.append(f"* {f'{uid} UID' if is_uidonly else f'{number} '}FETCH ({' '.join(items)})\r\n")
    return "".join(lines).encode()


def date_time(at: datetime) -> str:
    """RFC 9051 §9, without its quotes; in the time by whose days messages are searched. at: aware."""
    at = at.astimezone(BANGKOK)
    return f"{_day(at.toordinal())} {_TWO[at.hour]}:{_TWO[at.minute]}:{_TWO[at.second]} +0700"


@lru_cache(maxsize=4096)
def _day(ordinal: int) -> str:
    day = date.fromordinal(ordinal)
    return f"{day.day:2d}-{MONTHS[day.month - 1]}-{day.year:04d}"


def email_id(origin: int) -> str:
    """RFC 8474 §5.1: what a copy shares, since the same event brought the octets of both."""
    return f"{EMAIL_ID}{origin}"


def _label(attribute: ContentAttribute) -> str:
    return "PREVIEW" if isinstance(attribute, Preview) else attribute.label


def _column(attribute: RowAttribute | SummaryAttribute, is_utf8: bool) -> tuple[str, Column]:
    """How an item is written, and its values."""
    match attribute:
        case Uid():
            return "UID %d", lambda rows, _: [row.uid for row in rows]
        case Flags():
            return "FLAGS (%s)", lambda rows, _: [row.flags for row in rows]
        case Size():
            return "RFC822.SIZE %d", lambda rows, _: [row.octets for row in rows]
        case InternalDate():
            return 'INTERNALDATE "%s"', lambda rows, _: [date_time(row.internal_date) for row in rows]
        case SaveDate():
            return 'SAVEDATE "%s"', lambda rows, _: [date_time(row.saved_at) for row in rows]
        case ModSeq():
            return "MODSEQ (%d)", lambda rows, _: [row.modseq for row in rows]
        case EmailId():
            return "EMAILID (%s)", lambda rows, _: [email_id(row.origin) for row in rows]
        case ThreadId():  # RFC 8474 §5.2: a server that has no threads says so
            return "THREADID %s", lambda rows, _: ["NIL"] * len(rows)
        case EnvelopeItem():
            return "ENVELOPE %s", lambda _, summaries: [
                structure.envelope(one.envelope, is_utf8=is_utf8) for one in summaries
            ]
        case BodyStructure(is_extensible):
            name = "BODYSTRUCTURE" if is_extensible else "BODY"
            return f"{name} %s", lambda _, summaries: [
                structure.body(one.body, is_extensible=is_extensible, is_utf8=is_utf8)
                for one in summaries
                if isinstance(one, Summary)
            ]
        case _:
            assert_never(attribute)
