"""The arguments of commands about rights, metadata and notifications.

Source: RFC 4314 §6 (ACL), RFC 5464 §3 and §5 (METADATA), RFC 5465 §6 and §8 (NOTIFY).
"""

import re
from collections.abc import Callable
from typing import Final

from gateway.protocols.imap.attributes import Attribute, read_listed
from gateway.protocols.imap.commands import (
    Command,
    DeleteAcl,
    GetMetadata,
    How,
    ListRights,
    Notify,
    NotifyGroup,
    SetAcl,
    SetMetadata,
)
from gateway.protocols.imap.errors import CannotObey
from gateway.protocols.imap.framer import Literal
from gateway.protocols.imap.grammar import ITEMS_MAX, Reader, Unreadable
from gateway.protocols.imap.rights import read_rights

_HOW: Final[dict[str, How]] = {"+": "add", "-": "remove"}
# RFC 5464 §3.2: two components at least, of printable ASCII without wildcards.
_ENTRY: Final = re.compile(r"/(?:private|shared)(?:/[^/*%\x00-\x20\x7f-\U0010ffff]+)+")
_ENTRY_OCTETS_MAX: Final = 500

_MESSAGE_EVENTS: Final = frozenset({"MESSAGENEW", "MESSAGEEXPUNGE", "FLAGCHANGE"})
_MAILBOX_EVENTS: Final = frozenset(
    {"MAILBOXNAME", "SUBSCRIPTIONCHANGE", "MAILBOXMETADATACHANGE", "SERVERMETADATACHANGE"}
)
# As RFC 5465 §8 spells them, for clients that ask for another.
_EVENTS: Final = (
    "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange "
    "ServerMetadataChange"
)
_PLAIN_FILTERS: Final = frozenset({"SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED"})
_NAMED_FILTERS: Final = frozenset({"SUBTREE", "MAILBOXES"})


# --- rights ---------------------------------------------------------------------------------------


def read_identified(make: type[DeleteAcl | ListRights]) -> Callable[[Reader, bool], Command]:
    def read(reader: Reader, by_uid: bool) -> Command:
        mailbox = reader.mailbox()
        reader.space()
        return make(mailbox, _identifier(reader))

    return read


def read_set_acl(reader: Reader, by_uid: bool) -> Command:
    mailbox = reader.mailbox()
    reader.space()
    identifier = _identifier(reader)
    reader.space()
    written = reader.text(reader.astring())
    try:
        rights = read_rights(written[1:] if written[:1] in _HOW else written)
    except ValueError as error:
        raise Unreadable(str(error)) from None
    return SetAcl(mailbox, identifier, _HOW.get(written[:1], "replace"), rights)


def _identifier(reader: Reader) -> str:
    identifier = reader.text(reader.astring())
    if not identifier:
        raise Unreadable("An identifier is missing")
    return identifier


# --- metadata -------------------------------------------------------------------------------------


def read_get_metadata(reader: Reader, by_uid: bool) -> Command:
    """RFC 5464 §5 has the options before the mailbox, clients also send them behind it."""
    options: list[tuple[str, int | None]] = []
    if reader.sees(b"("):
        options += reader.listed(lambda: _option(reader))
        reader.space()
    mailbox = reader.mailbox()
    reader.space()
    if reader.sees(b"(") and not options:
        found = reader.listed(lambda: _option_or_entry(reader))
        options = [one for one in found if isinstance(one, tuple)]
        entries = [one for one in found if isinstance(one, str)]
        if options and entries:
            raise Unreadable("Options and entries stand in lists of their own")
        if options:
            reader.space()
            entries = _entries(reader)
    else:
        entries = _entries(reader)
    chosen = dict(options)
    return GetMetadata(mailbox, tuple(entries), chosen.get("MAXSIZE"), chosen.get("DEPTH", 0))


def _entries(reader: Reader) -> list[str]:
    return reader.listed(lambda: _entry(reader)) if reader.sees(b"(") else [_entry(reader)]


def _option_or_entry(reader: Reader) -> tuple[str, int | None] | str:
    return _entry(reader) if reader.sees(b"/") or reader.sees(b'"') else _option(reader)


def _option(reader: Reader) -> tuple[str, int | None]:
    name = reader.keyword()
    reader.space()
    match name:
        case "MAXSIZE":
            return name, reader.number()
        case "DEPTH":
            depth = reader.keyword()
            if depth in ("0", "1", "INFINITY"):
                return name, None if depth == "INFINITY" else int(depth)
    raise Unreadable("GETMETADATA takes MAXSIZE, and DEPTH of 0, 1 or infinity")


def _entry(reader: Reader) -> str:
    name = reader.text(reader.astring())
    if _ENTRY.fullmatch(name.lower()) is None or len(name) > _ENTRY_OCTETS_MAX:
        raise Unreadable("An entry is written as in /private/comment or /shared/comment")
    return name.lower()


def read_set_metadata(reader: Reader, by_uid: bool) -> Command:
    mailbox = reader.mailbox()
    reader.space()

    def pair() -> tuple[str, bytes | None]:
        name = _entry(reader)
        reader.space()
        return name, _value(reader)

    return SetMetadata(mailbox, tuple(dict(reader.listed(pair)).items()))


def _value(reader: Reader) -> bytes | None:
    """A string, a literal of any octets, or NIL."""
    literal = reader.literal()
    if isinstance(literal, Literal):
        return literal.octets
    string = reader.string()
    if string is None and reader.keyword() != "NIL":
        raise Unreadable("A value is a string or NIL")
    return string


# --- notifications --------------------------------------------------------------------------------


def read_notify(reader: Reader, by_uid: bool) -> Command:
    match reader.keyword():
        case "NONE":
            return Notify()
        case "SET":
            pass
        case _:
            raise Unreadable("NOTIFY takes SET or NONE")
    reader.space()
    wants_status = not reader.sees(b"(")
    if wants_status:
        if reader.keyword() != "STATUS":
            raise Unreadable("NOTIFY SET takes STATUS and groups of events")
        reader.space()
    groups = [_group(reader)]
    while reader.skip(b" ") and len(groups) < ITEMS_MAX:
        groups.append(_group(reader))
    if sum(group.mailboxes.startswith("SELECTED") for group in groups) > 1:
        raise Unreadable("The selected mailbox has one group of events")
    return Notify(tuple(groups), wants_status)


def _group(reader: Reader) -> NotifyGroup:
    reader.expect(b"(", "A group of events is missing")
    mailboxes = reader.keyword()
    names: tuple[str, ...] = ()
    if mailboxes in _NAMED_FILTERS:
        reader.space()
        names = tuple(reader.listed(reader.mailbox) if reader.sees(b"(") else [reader.mailbox()])
    elif mailboxes not in _PLAIN_FILTERS:
        raise Unreadable("There is no such choice of mailboxes")
    reader.space()
    events: set[str] = set()
    attributes: list[Attribute] = []
    if reader.sees(b"("):
        reader.listed(lambda: _event(reader, events, attributes))
    elif reader.keyword() != "NONE":
        raise Unreadable("Events stand in parentheses, or are NONE")
    reader.expect(b")", "A group ends in )")
    _check(mailboxes, events, attributes)
    return NotifyGroup(mailboxes, names, frozenset(events), tuple(attributes))


def _event(reader: Reader, events: set[str], attributes: list[Attribute]) -> None:
    name = reader.keyword()
    if name not in _MESSAGE_EVENTS | _MAILBOX_EVENTS:  # RFC 5465 §5: a NO that tells which there are
        raise CannotObey("", "There is no such event here", f"BADEVENT ({_EVENTS})")
    events.add(name)
    if name == "MESSAGENEW" and reader.skip(b" ("):
        attributes += read_listed(reader)


def _check(mailboxes: str, events: set[str], attributes: list[Attribute]) -> None:
    """RFC 5465 §5: what may not be asked for alone, or of these mailboxes."""
    is_selected = mailboxes.startswith("SELECTED")
    if events & _MESSAGE_EVENTS and not {"MESSAGENEW", "MESSAGEEXPUNGE"} <= events:
        raise Unreadable("MessageNew and MessageExpunge go together, FlagChange with both")
    if is_selected and events & _MAILBOX_EVENTS:
        raise Unreadable("Of the selected mailbox only events of messages are told")
    if attributes and not is_selected:
        raise Unreadable("Attributes are fetched of the selected mailbox alone")
