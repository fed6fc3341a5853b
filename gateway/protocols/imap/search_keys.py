"""What SEARCH, SORT and THREAD look for, as a tree of keys, and its grammar.

UNSEEN and the like are Not of their flag, NEW is RECENT UNSEEN (RFC 9051 appendix E), and a list of keys is
And. Evaluating them is `searching.py`.

Source: RFC 9051 §6.4.4 and RFC 3501 §6.4.4 (keys), RFC 5032 §3 (WITHIN), RFC 7162 §3.1.5 (MODSEQ), RFC 8474
§6 (EMAILID, THREADID), RFC 8514 §4.3 (SAVEDATE), RFC 5182 (`$`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from gateway.protocols.imap.errors import CannotObey
from gateway.protocols.imap.grammar import Reader, Unreadable
from gateway.protocols.imap.sequence_set import NUMBER_MAX, SAVED, SequenceSet

DEPTH_MAX: Final = 50
KEYS_MAX: Final = 1_000  # of one command
TEXT_CHARACTERS_MAX: Final = 1_000  # looked for in a message

# By their names in the command; RFC 2978 names in upper case. What Thai offices had before UTF-8 is the
# last four.
CHARSETS: Final = {
    "US-ASCII": "ascii",
    "UTF-8": "utf-8",
    "TIS-620": "tis-620",
    "ISO-8859-11": "iso8859-11",
    "WINDOWS-874": "cp874",
    "CP874": "cp874",
}

When = Literal["BEFORE", "ON", "SINCE"]


@dataclass(frozen=True, slots=True)
class All:
    pass


@dataclass(frozen=True, slots=True)
class And:
    keys: "tuple[Key, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    left: "Key"
    right: "Key"


@dataclass(frozen=True, slots=True)
class Not:
    key: "Key"


@dataclass(frozen=True, slots=True)
class Messages:
    """A sequence set among the keys. by_uid: behind UID."""

    numbers: SequenceSet
    by_uid: bool


@dataclass(frozen=True, slots=True)
class HasFlag:
    flag: str  # system flag in its canonical case, or a keyword


@dataclass(frozen=True, slots=True)
class Recent:
    """RFC 3501; the session alone knows."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Internal date, its time and zone disregarded."""

    when: When
    date: date


@dataclass(frozen=True, slots=True)
class Sent:
    """The Date field, its time and zone disregarded."""

    when: When
    date: date


@dataclass(frozen=True, slots=True)
class Saved:
    """RFC 8514 §4.3: the date it came into this mailbox."""

    when: When
    date: date


@dataclass(frozen=True, slots=True)
class Within:
    """RFC 5032: the internal date is at most, or at least, so many seconds ago."""

    is_younger: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class Sized:
    """RFC822.SIZE is above or below."""

    is_larger: bool
    octets: int


@dataclass(frozen=True, slots=True)
class ModifiedSince:
    """MODSEQ: at least (RFC 7162 §3.1.5); the name of an entry changes nothing: one MODSEQ has all of
    them."""

    modseq: int


@dataclass(frozen=True, slots=True)
class HasEmailId:
    id: str


@dataclass(frozen=True, slots=True)
class HasThreadId:
    id: str


@dataclass(frozen=True, slots=True)
class InEnvelope:
    """BCC, CC, FROM, SUBJECT, TO: text in that field. field: in lower case."""

    field: Literal["bcc", "cc", "from", "subject", "to"]
    text: str


@dataclass(frozen=True, slots=True)
class InHeader:
    """Text in any field of that name; "": the field is there. field: in lower case."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class InBody:
    text: str


@dataclass(frozen=True, slots=True)
class InText:
    """In the header or the body."""

    text: str


Key = (
    All | And | Or | Not | Messages | HasFlag | Recent | Arrived | Sent | Saved | Within | Sized |
    ModifiedSince | HasEmailId | HasThreadId | InEnvelope | InHeader | InBody | InText
)  # fmt: skip


def each_key(key: Key) -> Iterator[Key]:
    """The key and all inside it; those for texts are what an index may be asked about."""
    yield key
    match key:
        case And(keys):
            for one in keys:
                yield from each_key(one)
        case Or(left, right):
            yield from each_key(left)
            yield from each_key(right)
        case Not(inner):
            yield from each_key(inner)


_FLAGS: Final = ("Answered", "Deleted", "Draft", "Flagged", "Seen")
_PLAIN: Final[dict[str, Key]] = {
    "ALL": All(),
    "RECENT": Recent(),
    "OLD": Not(Recent()),
    "NEW": And((Recent(), Not(HasFlag("\\Seen")))),
    "SAVEDATESUPPORTED": All(),  # RFC 8514 §4.3: every mailbox of ours has save dates
    **{flag.upper(): HasFlag(f"\\{flag}") for flag in _FLAGS},
    **{f"UN{flag.upper()}": Not(HasFlag(f"\\{flag}")) for flag in _FLAGS},
}


def read_charset(name: str) -> str:
    """The codec of a CHARSET. Raises CannotObey, without its tag yet (RFC 9051 §6.4.4, BADCHARSET)."""
    try:
        return CHARSETS[name.upper()]
    except KeyError:
        known = " ".join(CHARSETS)
        raise CannotObey("", "This charset is not known here", f"BADCHARSET ({known})") from None


def read_keys(reader: Reader, charset: str = "utf-8") -> Key:
    """The keys up to the end of the command. charset: a codec."""
    return _Keys(reader, charset).all()


class _Keys:
    """The keys of one command, as they are read."""

    def __init__(self, reader: Reader, charset: str) -> None:
        self._reader, self._charset = reader, charset
        self._count = 0
        self._depth = 0

    def all(self) -> Key:
        found = [self.key()]
        while not self._reader.is_at_end:
            self._reader.space()
            found.append(self.key())
        return found[0] if len(found) == 1 else And(tuple(found))

    def key(self) -> Key:
        self._count += 1
        if self._count > KEYS_MAX or self._depth >= DEPTH_MAX:
            raise Unreadable(f"A search has at most {KEYS_MAX} keys, {DEPTH_MAX} levels deep")
        self._depth += 1
        key = self._one()
        self._depth -= 1
        return key

    def _one(self) -> Key:
        reader = self._reader
        if reader.sees(b"("):
            found = reader.listed(self.key)
            return found[0] if len(found) == 1 else And(tuple(found))
        if reader.skip(b"$"):
            return Messages(SAVED, by_uid=False)
        if any(map(reader.sees, _SET_BEGINS)):
            return Messages(reader.sequence_set(), by_uid=False)
        name = reader.keyword()
        if plain := _PLAIN.get(name):
            return plain
        read = _WITH_ARGUMENTS.get(name)
        if read is None:
            raise Unreadable("There is no such search key")
        reader.space()
        return read(self)

    def text(self) -> str:
        octets = self._reader.astring()
        try:
            text = octets.decode(self._charset)
        except UnicodeDecodeError:
            raise Unreadable("A search text is not in its charset") from None
        if len(text) > TEXT_CHARACTERS_MAX:
            raise Unreadable(f"A search text has at most {TEXT_CHARACTERS_MAX} characters")
        return text

    def header(self) -> Key:
        name = self._reader.text(self._reader.astring()).lower()
        self._reader.space()
        return InHeader(name, self.text())

    def either(self) -> Key:
        left = self.key()
        self._reader.space()
        return Or(left, self.key())

    def modified_since(self) -> Key:
        """RFC 7162 §3.1.5: `MODSEQ ["/flags/\\Seen" all] 4711`."""
        if self._reader.string() is not None:
            self._reader.space()
            if self._reader.keyword() not in ("ALL", "PRIV", "SHARED"):
                raise Unreadable("MODSEQ has an entry of all, priv or shared")
            self._reader.space()
        return ModifiedSince(self._reader.number())

    def flag(self) -> str:
        flag = self._reader.flag()
        if flag.startswith("\\"):
            raise Unreadable("A keyword has no backslash")
        return flag

    @property
    def reader(self) -> Reader:
        return self._reader


def _dated(kind: type[Arrived | Sent | Saved], when: When) -> Callable[[_Keys], Key]:
    return lambda keys: kind(when, keys.reader.date())


def _in_envelope(field: Literal["bcc", "cc", "from", "subject", "to"]) -> Callable[[_Keys], Key]:
    return lambda keys: InEnvelope(field, keys.text())


_SET_BEGINS: Final = (b"*", *(b"%d" % digit for digit in range(1, 10)))
_WITH_ARGUMENTS: Final[dict[str, Callable[[_Keys], Key]]] = {
    "BCC": _in_envelope("bcc"),
    "BEFORE": _dated(Arrived, "BEFORE"),
    "BODY": lambda keys: InBody(keys.text()),
    "CC": _in_envelope("cc"),
    "EMAILID": lambda keys: HasEmailId(keys.reader.text(keys.reader.astring())),
    "FROM": _in_envelope("from"),
    "HEADER": _Keys.header,
    "KEYWORD": lambda keys: HasFlag(keys.flag()),
    "LARGER": lambda keys: Sized(True, keys.reader.number()),
    "MODSEQ": _Keys.modified_since,
    "NOT": lambda keys: Not(keys.key()),
    "OLDER": lambda keys: Within(False, keys.reader.number(NUMBER_MAX, 1)),
    "ON": _dated(Arrived, "ON"),
    "OR": _Keys.either,
    "SAVEDBEFORE": _dated(Saved, "BEFORE"),
    "SAVEDON": _dated(Saved, "ON"),
    "SAVEDSINCE": _dated(Saved, "SINCE"),
    "SENTBEFORE": _dated(Sent, "BEFORE"),
    "SENTON": _dated(Sent, "ON"),
    "SENTSINCE": _dated(Sent, "SINCE"),
    "SINCE": _dated(Arrived, "SINCE"),
    "SMALLER": lambda keys: Sized(False, keys.reader.number()),
    "SUBJECT": _in_envelope("subject"),
    "TEXT": lambda keys: InText(keys.text()),
    "THREADID": lambda keys: HasThreadId(keys.reader.text(keys.reader.astring())),
    "TO": _in_envelope("to"),
    "UID": lambda keys: Messages(keys.reader.sequence_set(), by_uid=True),
    "UNKEYWORD": lambda keys: Not(HasFlag(keys.flag())),
    "YOUNGER": lambda keys: Within(True, keys.reader.number(NUMBER_MAX, 1)),
}
