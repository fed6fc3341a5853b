"""The arguments of commands about messages: APPEND and those of the selected mailbox.

Source: RFC 9051 §6.3.12, §6.4 and §9; RFC 3502 (MULTIAPPEND), RFC 4469 (CATENATE), RFC 6855 §4 (UTF8), RFC
8508 (REPLACE), RFC 7162 §7 (CONDSTORE, QRESYNC), RFC 4466 (modifiers), RFC 5256 (SORT, THREAD), RFC 5267,
RFC 9394.
"""

import re
from collections.abc import Callable
from typing import Final

from gateway.protocols.imap.attributes import read_attributes
from gateway.protocols.imap.commands import (
    Append,
    AppendMessage,
    Catenated,
    Command,
    Content,
    Copy,
    Expunge,
    Fetch,
    How,
    Move,
    Replace,
    Returns,
    Search,
    Sort,
    SortCriterion,
    Store,
    Thread,
    Url,
)
from gateway.protocols.imap.framer import Literal, Spooled
from gateway.protocols.imap.grammar import NUMBER64_MAX, Reader, Unreadable
from gateway.protocols.imap.search_keys import Key, read_charset, read_keys
from gateway.protocols.imap.sequence_set import NUMBER_MAX

_PARTIAL: Final = re.compile(rb"(-?)([1-9][0-9]{0,9}):(-?)([1-9][0-9]{0,9})")
_STORE: Final = re.compile(rb"([+-]?)FLAGS(\.SILENT)? ", re.IGNORECASE)
_HOW: Final[dict[bytes, How]] = {b"+": "add", b"-": "remove", b"": "replace"}
_RETURN_OPTIONS: Final = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE"})
_SORT_KEYS: Final = frozenset({  # RFC 5256 §5, RFC 5957 §4
    "ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO",
})  # fmt: skip
_ALGORITHMS: Final = frozenset({"ORDEREDSUBJECT", "REFERENCES"})


# --- APPEND and REPLACE ---------------------------------------------------------------------------


def read_append(reader: Reader, by_uid: bool) -> Command:
    mailbox = reader.mailbox()
    messages: list[AppendMessage] = []
    while not messages or not reader.is_at_end:
        reader.space()
        messages.append(_message(reader))
    return Append(mailbox, tuple(messages))


def read_replace(reader: Reader, by_uid: bool) -> Command:
    numbers = reader.sequence_set()
    if numbers.is_saved or len(numbers.ranges) > 1 or numbers.ranges[0][0] != numbers.ranges[0][1]:
        raise Unreadable("REPLACE takes one message")
    reader.space()
    mailbox = reader.mailbox()
    reader.space()
    return Replace(numbers, mailbox, _message(reader), by_uid)


def _message(reader: Reader) -> AppendMessage:
    flags: tuple[str, ...] = ()
    if reader.sees(b"("):
        flags = reader.flags()
        reader.space()
    at = None
    if reader.sees(b'"'):
        at = reader.date_time()
        reader.space()
    return AppendMessage(_content(reader), flags, at)


def _content(reader: Reader) -> Content:
    literal = reader.literal()
    if literal is not None:
        return literal
    match reader.keyword():
        case "CATENATE":
            reader.space()
            return Catenated(tuple(reader.listed(lambda: _part(reader))))
        case "UTF8":  # RFC 6855 §4: only a name for a literal that is UTF-8, which each of ours may be
            reader.space()
            return reader.listed(lambda: _literal(reader))[0]
    raise Unreadable("A message is a literal")


def _part(reader: Reader) -> Url | Literal | Spooled:
    kind = reader.keyword()
    reader.space()
    match kind:
        case "URL":
            return Url(reader.text(reader.astring()))
        case "TEXT":
            return _literal(reader)
    raise Unreadable("CATENATE takes TEXT and URL")


def _literal(reader: Reader) -> Literal | Spooled:
    literal = reader.literal()
    if literal is None:
        raise Unreadable("A literal is missing")
    return literal


# --- FETCH, STORE, COPY, MOVE, EXPUNGE ------------------------------------------------------------


def read_fetch(reader: Reader, by_uid: bool) -> Command:
    numbers = reader.sequence_set()
    reader.space()
    attributes = read_attributes(reader)
    changed_since, is_vanished, partial = None, False, None
    if reader.skip(b" "):
        for name, value in reader.listed(lambda: _fetch_modifier(reader, by_uid)):
            match name:
                case "CHANGEDSINCE":
                    assert isinstance(value, int), value
                    changed_since = value
                case "VANISHED":
                    is_vanished = True
                case "PARTIAL":
                    assert isinstance(value, tuple), value
                    partial = value
    if is_vanished and changed_since is None:  # RFC 7162 §3.2.6
        raise Unreadable("VANISHED needs CHANGEDSINCE")
    return Fetch(numbers, attributes, by_uid, changed_since, is_vanished, partial)


def _fetch_modifier(reader: Reader, by_uid: bool) -> tuple[str, int | tuple[int, int] | None]:
    name = reader.keyword()
    match name:
        case "CHANGEDSINCE":
            reader.space()
            return name, reader.number(NUMBER64_MAX, 1)
        case "VANISHED" if by_uid:
            return name, None
        case "PARTIAL" if by_uid:
            reader.space()
            return name, _partial(reader)
    raise Unreadable("There is no such FETCH modifier")


def read_store(reader: Reader, by_uid: bool) -> Command:
    numbers = reader.sequence_set()
    reader.space()
    unchanged_since = None
    if reader.sees(b"("):
        (unchanged_since,) = reader.listed(lambda: _unchanged_since(reader))[-1:]
        reader.space()
    found = reader.take(_STORE)
    if found is None:
        raise Unreadable("STORE changes FLAGS, +FLAGS or -FLAGS")
    return Store(numbers, _HOW[found[1]], reader.flags(), found[2] is not None, unchanged_since, by_uid)


def _unchanged_since(reader: Reader) -> int:
    if reader.keyword() != "UNCHANGEDSINCE":
        raise Unreadable("There is no such STORE modifier")
    reader.space()
    return reader.number()


def read_transfer(make: type[Copy | Move]) -> Callable[[Reader, bool], Command]:
    """COPY and MOVE have the same arguments."""

    def read(reader: Reader, by_uid: bool) -> Command:
        numbers = reader.sequence_set()
        reader.space()
        return make(numbers, reader.mailbox(), by_uid)

    return read


def read_expunge(reader: Reader, by_uid: bool) -> Command:
    return Expunge(reader.sequence_set() if by_uid else None)


# --- SEARCH, SORT, THREAD -------------------------------------------------------------------------


def read_search(reader: Reader, by_uid: bool) -> Command:
    returns = _returns(reader)
    charset = "utf-8"
    if reader.take(_CHARSET):
        charset = read_charset(reader.text(reader.astring()))
        reader.space()
    return Search(read_keys(reader, charset), returns, by_uid, charset)


def read_sort(reader: Reader, by_uid: bool) -> Command:
    returns = _returns(reader)
    criteria = tuple(reader.listed(lambda: _criterion(reader)))
    reader.space()
    return Sort(criteria, _keys_behind_charset(reader), returns, by_uid)


def read_thread(reader: Reader, by_uid: bool) -> Command:
    algorithm = reader.keyword()
    if algorithm not in _ALGORITHMS:
        raise Unreadable("There is no such algorithm of THREAD")
    reader.space()
    return Thread(algorithm, _keys_behind_charset(reader), by_uid)


def _keys_behind_charset(reader: Reader) -> Key:
    charset = read_charset(reader.text(reader.astring()))
    reader.space()
    return read_keys(reader, charset)


def _criterion(reader: Reader) -> SortCriterion:
    key = reader.keyword()
    is_reverse = key == "REVERSE"
    if is_reverse:
        reader.space()
        key = reader.keyword()
    if key not in _SORT_KEYS:
        raise Unreadable("There is no such sort key")
    return SortCriterion(key, is_reverse)


_CHARSET: Final = re.compile(rb"CHARSET ", re.IGNORECASE)
_RETURN: Final = re.compile(rb"RETURN ", re.IGNORECASE)


def _returns(reader: Reader) -> Returns | None:
    """`RETURN (MIN PARTIAL 1:100) `, with the space behind it."""
    if reader.take(_RETURN) is None:
        return None
    options: set[str] = set()
    partials: list[tuple[int, int]] = []

    def option() -> None:
        name = reader.keyword()
        if name == "PARTIAL":
            reader.space()
            partials.append(_partial(reader))
        elif name in _RETURN_OPTIONS:
            options.add(name)
        else:
            raise Unreadable("There is no such RETURN option")

    reader.listed(option, least=0)
    reader.space()
    if (partials and "ALL" in options) or len(partials) > 1:  # RFC 9394 §3.1
        raise Unreadable("PARTIAL stands once, and without ALL")
    if not options and not partials:
        options = {"ALL"}  # RFC 9051 §6.4.4
    return Returns(frozenset(options), partials[0] if partials else None)


def _partial(reader: Reader) -> tuple[int, int]:
    """RFC 9394 §3: `1:100`, or `-1:-100` counted from the end; smaller first, whichever way it was
    written."""
    found = reader.take(_PARTIAL)
    if found is None or found[1] != found[3]:
        raise Unreadable("A partial range is written as in 1:100 or -1:-100")
    first, last = sorted((int(found[2]), int(found[4])))
    if last > NUMBER_MAX:
        raise Unreadable("A number is too large")
    return (-first, -last) if found[1] else (first, last)
