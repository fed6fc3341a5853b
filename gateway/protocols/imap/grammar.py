"""The words that commands are made of: a reader that goes over one command from left to right.

Every method takes what it is named after, or raises Unreadable with a constant sentence for the client.

Source: RFC 9051 §9 (formal syntax), RFC 3501 §9.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final, TypeVar

from gateway.mail.flags import SYSTEM
from gateway.mail.local_time import BANGKOK
from gateway.mail.mailbox_name import read_name
from gateway.protocols.imap.framer import TAG, Lines, Literal, Part, Spooled
from gateway.protocols.imap.sequence_set import SequenceSet, parse_set

T = TypeVar("T")

NUMBER64_MAX: Final = 2**63 - 1  # RFC 9051 §9: number64
ITEMS_MAX: Final = 1_000  # of one list in parentheses
# Precedents: Dovecot MAIL_KEYWORD_MAX_LENGTH 50 (63 on disk), Cyrus 128 flags a mailbox.
FLAG_OCTETS_MAX: Final = 100
FLAGS_MAX: Final = 128

# RFC 9051 §9: atom-specials are ( ) { SP CTL % * " \ and ], an astring may have ], a pattern % and * too.
ATOM: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_PATTERN: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_QUOTED: Final = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_ESCAPE: Final = re.compile(rb'\\(["\\])')
_NUMBER: Final = re.compile(rb"[0-9]{1,20}")
_SET: Final = re.compile(rb"[0-9:*,]+|\$")
_FLAG: Final = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_DATE: Final = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_DATE_TIME: Final = re.compile(
    rb'"([ 0-9]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_REST: Final = re.compile(rb".*", re.DOTALL)

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH: Final = {name.lower().encode(): number for number, name in enumerate(MONTHS, 1)}
_SYSTEM_FLAGS: Final = {flag.lower(): flag for flag in SYSTEM}


class Unreadable(ValueError):
    """The command is not what the grammar says."""


class Reader:
    """is_utf8: the client has enabled IMAP4rev2 or UTF8=ACCEPT, so mailbox names are UTF-8."""

    def __init__(self, lines: Lines, *, is_utf8: bool = False) -> None:
        self._parts = lines.parts
        self._part = 0
        self._at = 0  # in the text
        self.is_utf8 = is_utf8

    # --- places -----------------------------------------------------------------------------------

    @property
    def _text(self) -> bytes:
        text = self._parts[self._part]
        assert isinstance(text, bytes), "a literal stands between texts"
        return text

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """What a pattern matches here."""
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def sees(self, octets: bytes) -> bool:
        return self._text.startswith(octets, self._at)

    def skip(self, octets: bytes) -> bool:
        """Take these octets if they come next."""
        if not self.sees(octets):
            return False
        self._at += len(octets)
        return True

    def expect(self, octets: bytes, sentence: str) -> None:
        if not self.skip(octets):
            raise Unreadable(sentence)

    def space(self) -> None:
        self.expect(b" ", "A space and an argument are missing")

    @property
    def is_at_end(self) -> bool:
        return self._part == len(self._parts) - 1 and self._at >= len(self._text)

    def end(self) -> None:
        if not self.is_at_end:
            raise Unreadable("There is too much behind the command")

    def rest(self) -> bytes:
        """The rest of the text here."""
        found = self.take(_REST)
        assert found is not None
        return found[0]

    # --- words ------------------------------------------------------------------------------------

    def tag(self) -> str:
        found = self.take(TAG)
        if found is None:
            raise Unreadable("A command begins with a tag")
        return found[0].decode()

    def keyword(self) -> str:
        """An atom that names something, in upper case; ASCII, so "ı" never becomes "I"."""
        return self.atom().upper()

    def atom(self) -> str:
        found = self.take(ATOM)
        if found is None:
            raise Unreadable("An atom is missing")
        return found[0].decode()

    def number(self, most: int = NUMBER64_MAX, least: int = 0) -> int:
        found = self.take(_NUMBER)
        if found is None:
            raise Unreadable("A number is missing")
        if not least <= (number := int(found[0])) <= most:
            raise Unreadable("A number is too small or too large")
        return number

    def sequence_set(self) -> SequenceSet:
        found = self.take(_SET)
        if found is None:
            raise Unreadable("A set of messages is missing")
        try:
            return parse_set(found[0])
        except ValueError as error:
            raise Unreadable(str(error)) from None

    def literal(self) -> Literal | Spooled | None:
        """The literal that stands here, if one does."""
        if self._at < len(self._text) or self._part == len(self._parts) - 1:
            return None
        found: Part = self._parts[self._part + 1]
        assert not isinstance(found, bytes), "texts stand between literals"
        self._part, self._at = self._part + 2, 0
        return found

    def string(self) -> bytes | None:
        """A quoted string or a literal; None: none stands here."""
        found = self.take(_QUOTED)
        if found is not None:
            return _ESCAPE.sub(rb"\1", found[1])
        literal = self.literal()
        match literal:
            case None:
                return None
            case Literal(octets, False) if b"\0" not in octets:
                return octets
        raise Unreadable("A literal stands where none may")

    def astring(self) -> bytes:
        string = self.string()
        if string is not None:
            return string
        found = self.take(_ASTRING)
        if found is None:
            raise Unreadable("A string is missing")
        return found[0]

    def text(self, octets: bytes) -> str:
        """A string as text."""
        try:
            return octets.decode()
        except UnicodeDecodeError:
            raise Unreadable("A string is not UTF-8") from None

    def nstring(self) -> str | None:
        string = self.string()
        if string is not None:
            return self.text(string)
        if self.keyword() != "NIL":
            raise Unreadable("A string or NIL is missing")
        return None

    def mailbox(self) -> str:
        return self._name(self.astring())

    def pattern(self) -> str:
        """A mailbox name with wildcards (RFC 9051 §6.3.9)."""
        string = self.string()
        if string is None:
            found = self.take(_PATTERN)
            if found is None:
                raise Unreadable("A mailbox pattern is missing")
            string = found[0]
        return self._name(string)

    def _name(self, octets: bytes) -> str:
        try:
            return read_name(octets, is_utf8=self.is_utf8)
        except ValueError as error:
            text = str(error)
            raise Unreadable(text[0].upper() + text[1:]) from None

    def listed(self, item: Callable[[], T], *, least: int = 1) -> list[T]:
        """`(a b c)`, each read by `item`."""
        self.expect(b"(", "A list in parentheses is missing")
        return [] if least == 0 and self.skip(b")") else self.listed_on(item)

    def listed_on(self, item: Callable[[], T]) -> list[T]:
        """The rest of a list, behind its `(`."""
        found: list[T] = []
        while len(found) < ITEMS_MAX:
            found.append(item())
            if self.skip(b")"):
                return found
            self.space()
        raise Unreadable("A list is too long")

    # --- flags and times --------------------------------------------------------------------------

    def flag(self) -> str:
        """In its canonical case. RFC 9051 §2.3.2; \\Recent is read, and left out by `flags`."""
        found = self.take(_FLAG)
        if found is None:
            raise Unreadable("A flag is missing")
        flag = found[0].decode()
        if len(flag) > FLAG_OCTETS_MAX:
            raise Unreadable(f"A flag has at most {FLAG_OCTETS_MAX} octets")
        if not flag.startswith("\\"):
            return flag
        if flag.lower() == "\\recent":
            return "\\Recent"
        try:
            return _SYSTEM_FLAGS[flag.lower()]
        except KeyError:
            raise Unreadable("There is no such system flag") from None

    def flags(self) -> tuple[str, ...]:
        """In parentheses or, as STORE may have them, without; each once."""
        if self.sees(b"("):
            found = self.listed(self.flag, least=0)
        else:
            found = [self.flag()]
            while self.skip(b" "):
                found.append(self.flag())
        once = {flag.lower(): flag for flag in reversed(found) if flag != "\\Recent"}
        if len(once) > FLAGS_MAX:
            raise Unreadable(f"A command has at most {FLAGS_MAX} flags")
        return tuple(sorted(once.values()))

    def date(self) -> date:
        """`1-Feb-1994`, quoted or not."""
        found = self.take(_DATE)
        try:
            if found is not None:
                return date(int(found[4]), _MONTH[found[3].lower()], int(found[2]))
        except (ValueError, KeyError):
            pass
        raise Unreadable("A date is written as in 1-Feb-2026")

    def date_time(self) -> datetime:
        """`"17-Jul-1996 02:44:25 -0700"`, in UTC."""
        found = self.take(_DATE_TIME)
        try:
            if found is not None:
                day, month, year, hour, minute, second, sign, zone_h, zone_m = found.groups()
                offset = timedelta(hours=int(zone_h), minutes=int(zone_m))
                zone = timezone(-offset if sign == b"-" else offset)
                place = (int(year), _MONTH[month.lower()], int(day), int(hour), int(minute), int(second))
                at = datetime(*place, tzinfo=zone).astimezone(UTC)
                at.astimezone(BANGKOK)  # as it will be shown: the last hours there are have no such time
                return at
        except (ValueError, KeyError, OverflowError):
            pass
        raise Unreadable('A date-time is written as in "17-Jul-2026 02:44:25 +0700"')
