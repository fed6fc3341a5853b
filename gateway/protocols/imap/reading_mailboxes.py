"""The arguments of commands about the session and about mailboxes.

Source: RFC 9051 §6.1 to §6.3 and §9; RFC 2971 (ID), RFC 4959 (SASL-IR), RFC 6154 §3 (CREATE-SPECIAL-USE),
RFC 7162 §7 (QRESYNC), RFC 5258 and RFC 5819 (LIST), RFC 6154 §5.2, RFC 8440, RFC 9590, RFC 9208 (QUOTA).
"""

import re
from collections.abc import Callable
from typing import Final

from gateway.mail.uids import count_uids
from gateway.protocols.imap.commands import (
    ROLES,
    STATUS_ITEMS,
    Authenticate,
    Command,
    Compress,
    Create,
    Delete,
    Enable,
    GetAcl,
    GetQuota,
    GetQuotaRoot,
    Id,
    List,
    Login,
    Lsub,
    MyRights,
    Qresync,
    Rename,
    Select,
    SetQuota,
    Status,
    Subscribe,
    Unsubscribe,
)
from gateway.protocols.imap.errors import CannotObey
from gateway.protocols.imap.grammar import NUMBER64_MAX, Reader, Unreadable
from gateway.protocols.imap.sequence_set import NUMBER_MAX, SequenceSet

_BASE64: Final = re.compile(rb"=|[A-Za-z0-9+/]+={0,2}")
_MECHANISM: Final = re.compile(rb"[A-Za-z0-9_-]{1,20}")  # RFC 4422 §3.1
_ROLE: Final = {use.lower(): role for use, role in ROLES.items()}
_USE: Final = re.compile(rb"\\[A-Za-z]+")
# RFC 2971 §3.3: at most 30 pairs, names of 30 octets, values of 1,024.
_ID_FIELDS_MAX, _ID_NAME_MAX, _ID_VALUE_MAX = 30, 30, 1024
_PATTERNS_MAX: Final = 20
_SELECTS: Final = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
_RETURNS: Final = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "MYRIGHTS"})
_RETURN: Final = re.compile(rb" RETURN ", re.IGNORECASE)


# --- the session ----------------------------------------------------------------------------------


def read_id(reader: Reader, by_uid: bool) -> Command:
    if not reader.sees(b"("):
        if reader.nstring() is not None:
            raise Unreadable("ID takes a list or NIL")
        return Id()

    def pair() -> tuple[str, str | None]:
        name = reader.text(reader.astring())
        reader.space()
        value = reader.nstring()
        if len(name) > _ID_NAME_MAX or (value is not None and len(value) > _ID_VALUE_MAX):
            raise Unreadable("A field of ID is too long")
        return name.lower(), value

    fields = reader.listed(pair, least=0)
    if len(fields) > _ID_FIELDS_MAX:
        raise Unreadable(f"ID has at most {_ID_FIELDS_MAX} fields")
    return Id(tuple(dict(fields).items()))


def read_authenticate(reader: Reader, by_uid: bool) -> Command:
    mechanism = reader.take(_MECHANISM)
    if mechanism is None:
        raise Unreadable("A mechanism is missing")
    initial = None
    if reader.skip(b" "):
        found = reader.take(_BASE64)
        if found is None:
            raise Unreadable("An initial response is base64")
        initial = found[0]
    return Authenticate(mechanism[0].decode().upper(), initial)


def read_login(reader: Reader, by_uid: bool) -> Command:
    username = reader.text(reader.astring())
    reader.space()
    return Login(username, reader.text(reader.astring()))


def read_enable(reader: Reader, by_uid: bool) -> Command:
    names = [reader.keyword()]
    while reader.skip(b" "):
        names.append(reader.keyword())
    return Enable(tuple(dict.fromkeys(names)))


def read_compress(reader: Reader, by_uid: bool) -> Command:
    return Compress(reader.keyword())


# --- one mailbox ----------------------------------------------------------------------------------


def read_named(
    make: type[Delete | Subscribe | Unsubscribe | GetQuotaRoot | GetAcl | MyRights],
) -> Callable[[Reader, bool], Command]:
    """Commands that take a mailbox and nothing else."""
    return lambda reader, by_uid: make(reader.mailbox())


def read_select(reader: Reader, by_uid: bool) -> Command:
    return _select(reader, is_examine=False)


def read_examine(reader: Reader, by_uid: bool) -> Command:
    return _select(reader, is_examine=True)


def _select(reader: Reader, *, is_examine: bool) -> Command:
    mailbox = reader.mailbox()
    found: list[Qresync | None] = []
    if reader.skip(b" "):
        found = reader.listed(lambda: _select_parameter(reader))
    qresync = next((one for one in found if one is not None), None)
    return Select(mailbox, is_examine, is_condstore=None in found, qresync=qresync)


def _select_parameter(reader: Reader) -> Qresync | None:
    """None: CONDSTORE."""
    match reader.keyword():
        case "CONDSTORE":
            return None
        case "QRESYNC":
            reader.space()
            return _qresync(reader)
    raise Unreadable("There is no such SELECT parameter")


def _qresync(reader: Reader) -> Qresync:
    """RFC 7162 §7: `(67890007 90060115194045000 41:211,214:541 (1,3,5 7,30,50))`."""
    reader.expect(b"(", "QRESYNC has a list")
    uidvalidity = reader.number(NUMBER_MAX, 1)
    reader.space()
    modseq = reader.number(NUMBER64_MAX, 1)
    known = matches = None
    if reader.skip(b" ") and not reader.sees(b"("):
        known = _known(reader)
        reader.skip(b" ")
    if reader.skip(b"("):
        numbers = _known(reader)
        reader.space()
        matches = (numbers, _known(reader))
        counts = {count_uids(one.resolve(NUMBER_MAX)) for one in matches}
        if len(counts) > 1:
            raise Unreadable("To each number belongs one UID")
        reader.expect(b")", "A list ends in )")
    reader.expect(b")", "A list ends in )")
    return Qresync(uidvalidity, modseq, known, matches)


def _known(reader: Reader) -> SequenceSet:
    numbers = reader.sequence_set()
    if numbers.is_saved or any(0 in one for one in numbers.ranges):
        raise Unreadable("What is known of a mailbox has no * and no $")
    return numbers


def read_create(reader: Reader, by_uid: bool) -> Command:
    mailbox = reader.mailbox()
    if not reader.skip(b" "):
        return Create(mailbox)
    roles: list[str] = []

    def parameter() -> None:
        if reader.keyword() != "USE":
            raise Unreadable("There is no such CREATE parameter")
        reader.space()
        roles.extend(reader.listed(lambda: _role(reader), least=0))

    reader.listed(parameter)
    if len(roles) > 1:
        raise CannotObey("", "A mailbox has one special use", "USEATTR")
    return Create(mailbox, roles[0] if roles else "")


def _role(reader: Reader) -> str:
    found = reader.take(_USE)
    if found is None:
        raise Unreadable("A special use begins with a backslash")
    try:
        return _ROLE[found[0].decode().lower()]
    except KeyError:
        raise CannotObey("", "A mailbox cannot have this special use", "USEATTR") from None


def read_rename(reader: Reader, by_uid: bool) -> Command:
    mailbox = reader.mailbox()
    reader.space()
    return Rename(mailbox, reader.mailbox())


def read_status(reader: Reader, by_uid: bool) -> Command:
    mailbox = reader.mailbox()
    reader.space()
    return Status(mailbox, _status_items(reader))


def _status_items(reader: Reader) -> tuple[str, ...]:
    items = tuple(dict.fromkeys(reader.listed(reader.keyword)))
    if not STATUS_ITEMS.issuperset(items):
        raise Unreadable("There is no such STATUS item")
    return items


# --- LIST -----------------------------------------------------------------------------------------


def read_lsub(reader: Reader, by_uid: bool) -> Command:
    reference = reader.mailbox()
    reader.space()
    return Lsub(reference, reader.pattern())


def read_list(reader: Reader, by_uid: bool) -> Command:
    """RFC 9051 §6.3.9 and §9 (list)."""
    selects: frozenset[str] | None = None
    if reader.sees(b"("):
        selects = _selects(reader)
        reader.space()
    reference = reader.mailbox()
    reader.space()
    is_listed = reader.sees(b"(")
    patterns = reader.listed(reader.pattern) if is_listed else [reader.pattern()]
    if len(patterns) > _PATTERNS_MAX:
        raise Unreadable(f"LIST takes at most {_PATTERNS_MAX} patterns")
    has_returns = reader.take(_RETURN) is not None
    returns = _ListReturns(reader)
    if has_returns:
        reader.listed(returns.option, least=0)
    return List(
        reference,
        tuple(patterns),
        selects or frozenset(),
        frozenset(returns.options),
        returns.status_items,
        returns.entries,
        is_extended=selects is not None or is_listed or has_returns,
    )


def _selects(reader: Reader) -> frozenset[str]:
    found = frozenset(reader.listed(reader.keyword, least=0))
    if not found <= _SELECTS:
        raise Unreadable("There is no such LIST selection option")
    if "RECURSIVEMATCH" in found and found <= {"RECURSIVEMATCH", "REMOTE"}:  # RFC 9051 §6.3.9.1
        raise Unreadable("RECURSIVEMATCH needs another selection option")
    return found


class _ListReturns:
    """What stands behind RETURN."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.options: set[str] = set()
        self.status_items: tuple[str, ...] = ()
        self.entries: tuple[str, ...] = ()

    def option(self) -> None:
        reader = self._reader
        match reader.keyword():
            case "STATUS":
                reader.space()
                self.status_items = _status_items(reader)
            case "METADATA":
                reader.space()
                self.entries = tuple(reader.listed(lambda: reader.text(reader.astring()).lower()))
            case name if name in _RETURNS:
                self.options.add(name)
            case _:
                raise Unreadable("There is no such LIST return option")


# --- quotas ---------------------------------------------------------------------------------------


def read_get_quota(reader: Reader, by_uid: bool) -> Command:
    return GetQuota(reader.text(reader.astring()))


def read_set_quota(reader: Reader, by_uid: bool) -> Command:
    root = reader.text(reader.astring())
    reader.space()

    def limit() -> tuple[str, int]:
        resource = reader.keyword()
        reader.space()
        return resource, reader.number()

    return SetQuota(root, tuple(reader.listed(limit, least=0)))
