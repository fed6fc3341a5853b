"""IMAP commands as values, and in which state of a session each may come.

`parsing.parse_command` makes them; the session carries them out. Mailbox names are text
(mail/mailbox_name.py), keywords are in upper case, numbers are as the client wrote them: which messages a
set names, `Selected` knows.

Source: RFC 9051 §3 (states), §6 (commands), RFC 3501 §6; each extension at its command.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import ClassVar, Final
from typing import Literal as OneOf

from gateway.protocols.imap.attributes import Attribute
from gateway.protocols.imap.framer import Literal, Spooled
from gateway.protocols.imap.search_keys import Key
from gateway.protocols.imap.sequence_set import SequenceSet

How = OneOf["add", "remove", "replace"]
# In the words of the mailbox tree (domain/mailboxtree.py). RFC 6154 §2; \All is no mailbox of ours.
ROLES: Final = {
    "\\Archive": "archive",
    "\\Drafts": "drafts",
    "\\Flagged": "flagged",
    "\\Junk": "junk",
    "\\Sent": "sent",
    "\\Trash": "trash",
}


class State(Enum):
    """RFC 9051 §3. After LOGOUT nothing is read any more."""

    NOT_SIGNED_IN = auto()
    SIGNED_IN = auto()
    SELECTED = auto()


class Command:
    """states: where it may come. by_uid: it came behind UID, and its set says UIDs."""

    __slots__ = ()
    states: ClassVar[frozenset[State]]
    by_uid: bool = False


class Always(Command):
    """RFC 9051 §6.1."""

    __slots__ = ()
    states = frozenset(State)


class BeforeSignIn(Command):
    """RFC 9051 §6.2."""

    __slots__ = ()
    states = frozenset({State.NOT_SIGNED_IN})


class AfterSignIn(Command):
    """RFC 9051 §6.3."""

    __slots__ = ()
    states = frozenset({State.SIGNED_IN, State.SELECTED})


class InMailbox(Command):
    """RFC 9051 §6.4."""

    __slots__ = ()
    states = frozenset({State.SELECTED})


@dataclass(frozen=True, slots=True)
class Tagged:
    tag: str
    command: Command


# --- any state ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capability(Always):
    pass


@dataclass(frozen=True, slots=True)
class Noop(Always):
    pass


@dataclass(frozen=True, slots=True)
class Logout(Always):
    pass


@dataclass(frozen=True, slots=True)
class Id(Always):
    """RFC 2971. fields: what the client says of itself, names in lower case; none for NIL."""

    fields: tuple[tuple[str, str | None], ...] = ()


# --- before sign-in -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Starttls(BeforeSignIn):
    pass


@dataclass(frozen=True, slots=True)
class Authenticate(BeforeSignIn):
    """initial: the first response in base64, as it came ("=" is an empty one); None: there was none."""

    mechanism: str
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login(BeforeSignIn):
    username: str
    password: str = field(repr=False)


# --- mailboxes ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enable(AfterSignIn):
    """RFC 9051 §6.3.1. Unknown names are ignored by whoever answers."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Qresync:
    """RFC 7162 §3.2.5. known_uids: None: all. matches: numbers and the UIDs they had, of equal length."""

    uidvalidity: int
    modseq: int
    known_uids: SequenceSet | None = None
    matches: tuple[SequenceSet, SequenceSet] | None = None


@dataclass(frozen=True, slots=True)
class Select(AfterSignIn):
    """is_examine: EXAMINE, which changes nothing."""

    mailbox: str
    is_examine: bool = False
    is_condstore: bool = False
    qresync: Qresync | None = None


@dataclass(frozen=True, slots=True)
class Create(AfterSignIn):
    """role: a value of ROLES (RFC 6154 §3); "" for none."""

    mailbox: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Delete(AfterSignIn):
    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename(AfterSignIn):
    mailbox: str
    to: str


@dataclass(frozen=True, slots=True)
class Subscribe(AfterSignIn):
    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe(AfterSignIn):
    mailbox: str


@dataclass(frozen=True, slots=True)
class List(AfterSignIn):
    """RFC 9051 §6.3.9 (LIST-EXTENDED). A single pattern "" asks for the separator alone.

    selects: of SUBSCRIBED, REMOTE, RECURSIVEMATCH, SPECIAL-USE. returns: of SUBSCRIBED, CHILDREN,
    SPECIAL-USE, MYRIGHTS. status_items: of RETURN (STATUS …) (RFC 5819). entries: of RETURN (METADATA …)
    (RFC 9590).
    """

    reference: str
    patterns: tuple[str, ...]
    selects: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status_items: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    is_extended: bool = False


@dataclass(frozen=True, slots=True)
class Lsub(AfterSignIn):
    """RFC 3501 §6.3.9."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Namespace(AfterSignIn):
    pass


@dataclass(frozen=True, slots=True)
class Status(AfterSignIn):
    """items: of STATUS_ITEMS, each once, in the order asked for."""

    mailbox: str
    items: tuple[str, ...]


# RFC 9051 §6.3.11, RFC 3501 §6.3.10 (RECENT), RFC 8438 (SIZE), RFC 7162 §3.1.7, RFC 8474 §4.3,
# RFC 9208 §4.1.4, RFC 7889 §3.1.
STATUS_ITEMS: Final = frozenset({
    "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "HIGHESTMODSEQ",
    "MAILBOXID", "DELETED-STORAGE", "APPENDLIMIT",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Url:
    """A part of a CATENATE that is taken from a mailbox (RFC 4469 §3)."""

    url: str


@dataclass(frozen=True, slots=True)
class Catenated:
    """RFC 4469: the message is these parts, one behind the other."""

    parts: tuple[Url | Literal | Spooled, ...]


Content = Literal | Spooled | Catenated


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """internal_date: in UTC; None: when it is stored."""

    content: Content
    flags: tuple[str, ...] = ()
    internal_date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Append(AfterSignIn):
    """messages: several by MULTIAPPEND, all or none (RFC 3502)."""

    mailbox: str
    messages: tuple[AppendMessage, ...]


@dataclass(frozen=True, slots=True)
class Idle(AfterSignIn):
    """Until the client's next line, which is DONE (RFC 9051 §6.3.13)."""


@dataclass(frozen=True, slots=True)
class GetQuota(AfterSignIn):
    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot(AfterSignIn):
    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota(AfterSignIn):
    """RFC 9208 §4.1.3. limits: resource and how much of it."""

    root: str
    limits: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Compress(AfterSignIn):
    mechanism: str


# --- shared mailboxes, metadata, notifications ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetAcl(AfterSignIn):
    """RFC 4314 §3.1. how: replace the rights of that identifier, add to them, or take from them."""

    mailbox: str
    identifier: str
    how: How
    rights: frozenset[str]


@dataclass(frozen=True, slots=True)
class DeleteAcl(AfterSignIn):
    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class GetAcl(AfterSignIn):
    mailbox: str


@dataclass(frozen=True, slots=True)
class ListRights(AfterSignIn):
    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class MyRights(AfterSignIn):
    mailbox: str


@dataclass(frozen=True, slots=True)
class GetMetadata(AfterSignIn):
    """RFC 5464 §4.2. mailbox: "" for the server. entries: in lower case. depth: 0, 1, or None for
    infinity."""

    mailbox: str
    entries: tuple[str, ...]
    octets_max: int | None = None
    depth: int | None = 0


@dataclass(frozen=True, slots=True)
class SetMetadata(AfterSignIn):
    """RFC 5464 §4.3. values: by entry; None: it is taken away."""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class NotifyGroup:
    """RFC 5465 §6. mailboxes: of SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE,
    MAILBOXES; names: of the last two. events: in upper case; none for NONE. attributes: fetched of a new
    message."""

    mailboxes: str
    names: tuple[str, ...]
    events: frozenset[str]
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Notify(AfterSignIn):
    """RFC 5465 §3. groups: the first that has a mailbox counts for it; none for NOTIFY NONE."""

    groups: tuple[NotifyGroup, ...] = ()
    wants_status: bool = False


# --- the selected mailbox -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check(InMailbox):
    """RFC 3501 §6.4.1."""


@dataclass(frozen=True, slots=True)
class Close(InMailbox):
    pass


@dataclass(frozen=True, slots=True)
class Unselect(InMailbox):
    pass


@dataclass(frozen=True, slots=True)
class Expunge(InMailbox):
    """uids: of UID EXPUNGE (RFC 9051 §6.4.9); None: every message that has \\Deleted."""

    uids: SequenceSet | None = None

    @property
    def by_uid(self) -> bool:  # type: ignore[override]
        return self.uids is not None


@dataclass(frozen=True, slots=True)
class Returns:
    """RFC 9051 §6.4.4 (ESEARCH). options: of MIN, MAX, ALL, COUNT, SAVE; `RETURN ()` is ALL.

    partial: RFC 9394 §3.1: first and last of the results, both counted from 1, or both from the end when
    negative.
    """

    options: frozenset[str]
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Search(InMailbox):
    """returns: None: the answer is a SEARCH response, unless IMAP4rev2 is enabled. charset: a codec, in which
    its texts came."""

    key: Key
    returns: Returns | None = None
    by_uid: bool = False
    charset: str = "utf-8"


@dataclass(frozen=True, slots=True)
class SortCriterion:
    """key: ARRIVAL, CC, DATE, FROM, SIZE, SUBJECT, TO (RFC 5256 §3), DISPLAYFROM, DISPLAYTO (RFC 5957)."""

    key: str
    is_reverse: bool = False


@dataclass(frozen=True, slots=True)
class Sort(InMailbox):
    criteria: tuple[SortCriterion, ...]
    key: Key
    returns: Returns | None = None  # RFC 5267 §2
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Thread(InMailbox):
    """algorithm: ORDEREDSUBJECT or REFERENCES."""

    algorithm: str
    key: Key
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Fetch(InMailbox):
    """changed_since, is_vanished: RFC 7162 §3.1.4.1 and §3.2.6. partial: as in Returns (RFC 9394 §3.4)."""

    numbers: SequenceSet
    attributes: tuple[Attribute, ...]
    by_uid: bool = False
    changed_since: int | None = None
    is_vanished: bool = False
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Store(InMailbox):
    """unchanged_since: RFC 7162 §3.1.3."""

    numbers: SequenceSet
    how: How
    flags: tuple[str, ...]
    is_silent: bool = False
    unchanged_since: int | None = None
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Copy(InMailbox):
    numbers: SequenceSet
    mailbox: str
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Move(InMailbox):
    numbers: SequenceSet
    mailbox: str
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Replace(InMailbox):
    """RFC 8508: what APPEND does, and the one message named is gone."""

    numbers: SequenceSet
    mailbox: str
    message: AppendMessage
    by_uid: bool = False
