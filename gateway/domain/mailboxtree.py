"""MailboxTree: which mailboxes an account has, how they lie in one another, and which it subscribes to.

Mailboxes are told apart by opaque ids, so a rename moves nothing and a delivery names no folder. Names are
the account's own words and sealed under its key; decisions that rest on them open them first (open_tree.py).

Source: RFC 9051 §5.1 (names, INBOX); RFC 6154 (special use); RFC 5464 (METADATA); RFC 4314
(rights); architecture §1 (UIDVALIDITY of the k-th mailbox).
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from msgspec import Struct

from gateway.domain.aggregate import Aggregate, AggregateEvent, CreatedEvent
from gateway.domain.events import Stamp
from gateway.mail.ids import AccountId, MailboxId

Role = Literal["inbox", "archive", "drafts", "flagged", "junk", "sent", "trash"]  # RFC 6154 §2


class NameSecret(Struct, frozen=True):
    name: str  # of this level alone, in Unicode NFC


class AnnotationSecret(Struct, frozen=True):
    value: bytes


class TreeCreated(CreatedEvent, frozen=True, kw_only=True):
    """tree.<account_id>: the account's first mailbox is there, INBOX. base: as in account.created."""

    TOPIC: ClassVar[str] = "tree.created/1"

    account_id: AccountId
    base: int
    mailbox_id: MailboxId  # of INBOX


class MailboxCreated(AggregateEvent, frozen=True, kw_only=True):
    """One more mailbox. name: NameSecret under the account's key; parent_id: None at the top."""

    TOPIC: ClassVar[str] = "mailbox.created/1"

    mailbox_id: MailboxId
    parent_id: MailboxId | None = None
    name: bytes
    role: Role | None = None

    def apply(self, aggregate: "MailboxTree") -> None:
        aggregate.nodes[self.mailbox_id] = Node(self.parent_id, self.name, self.role)


class MailboxRenamed(AggregateEvent, frozen=True, kw_only=True):
    """It has another name, another place, or both; what lies below it goes along."""

    TOPIC: ClassVar[str] = "mailbox.renamed/1"

    mailbox_id: MailboxId
    parent_id: MailboxId | None = None
    name: bytes

    def apply(self, aggregate: "MailboxTree") -> None:
        node = aggregate.nodes[self.mailbox_id]
        aggregate.nodes[self.mailbox_id] = replace(node, parent_id=self.parent_id, name=self.name)


class MailboxDeleted(AggregateEvent, frozen=True, kw_only=True):
    """It is gone, and its messages are expunged."""

    TOPIC: ClassVar[str] = "mailbox.deleted/1"

    mailbox_id: MailboxId

    def apply(self, aggregate: "MailboxTree") -> None:
        del aggregate.nodes[self.mailbox_id]
        aggregate.annotations.pop(self.mailbox_id, None)
        aggregate.rights.pop(self.mailbox_id, None)


class MailboxSubscribed(AggregateEvent, frozen=True, kw_only=True):
    """Whether clients that look at subscribed mailboxes alone show it (RFC 9051 §6.3.7)."""

    TOPIC: ClassVar[str] = "mailbox.subscribed/1"

    mailbox_id: MailboxId
    is_subscribed: bool

    def apply(self, aggregate: "MailboxTree") -> None:
        node = aggregate.nodes[self.mailbox_id]
        aggregate.nodes[self.mailbox_id] = replace(node, is_subscribed=self.is_subscribed)


class MailboxAnnotated(AggregateEvent, frozen=True, kw_only=True):
    """An entry of its metadata has another value (RFC 5464). mailbox_id: None: of the account as a whole.

    entry: in lower case, a word of programs as keywords are. value: AnnotationSecret under the account's key;
    None: there is none any more.
    """

    TOPIC: ClassVar[str] = "mailbox.annotated/1"

    mailbox_id: MailboxId | None = None
    entry: str
    value: bytes | None = None

    def apply(self, aggregate: "MailboxTree") -> None:
        entries = aggregate.annotations.setdefault(self.mailbox_id, {})
        if self.value is None:
            entries.pop(self.entry, None)
        else:
            entries[self.entry] = self.value


class MailboxShared(AggregateEvent, frozen=True, kw_only=True):
    """What somebody else may do with it from now on. holder: an account, or an agency for everybody in it;
    rights: letters of RFC 4314 §2.1 in their order, "" for none."""

    TOPIC: ClassVar[str] = "mailbox.shared/1"

    mailbox_id: MailboxId
    holder: str
    rights: str

    def apply(self, aggregate: "MailboxTree") -> None:
        held = aggregate.rights.setdefault(self.mailbox_id, {})
        held[self.holder] = self.rights
        if not self.rights:
            del held[self.holder]


class MailboxFollowed(AggregateEvent, frozen=True, kw_only=True):
    """Whether the account subscribes to a mailbox that another shares with it; at first it does."""

    TOPIC: ClassVar[str] = "mailbox.followed/1"

    owner_id: AccountId
    mailbox_id: MailboxId
    is_subscribed: bool

    def apply(self, aggregate: "MailboxTree") -> None:
        change = aggregate.unfollowed.discard if self.is_subscribed else aggregate.unfollowed.add
        change(self.mailbox_id)


@dataclass(frozen=True, slots=True)
class Node:
    """A mailbox in the tree. name: sealed; b"" of INBOX."""

    parent_id: MailboxId | None
    name: bytes
    role: Role | None
    is_subscribed: bool = True


class MailboxTree(Aggregate):
    TOPIC: ClassVar[str] = "tree"

    def __init__(self, account_id: AccountId, base: int, mailbox_id: MailboxId) -> None:
        self.account_id = account_id
        self.base = base
        self.inbox_id = mailbox_id
        self.nodes: dict[MailboxId, Node] = {mailbox_id: Node(None, b"", "inbox")}
        self.annotations: dict[MailboxId | None, dict[str, bytes]] = {}  # sealed, by mailbox and entry
        self.rights: dict[MailboxId, dict[str, str]] = {}  # by mailbox and holder
        self.unfollowed: set[MailboxId] = set()  # of others

    @classmethod
    def create(cls, account_id: AccountId, stamp: Stamp, *, base: int, inbox_id: MailboxId) -> Self:
        return cls.create_as(
            TreeCreated, tree_id(account_id), stamp, account_id=account_id, base=base, mailbox_id=inbox_id
        )

    @property
    def is_new(self) -> bool:
        """Nobody has decided anything about it yet."""
        return self.version == 1


def tree_id(account_id: AccountId) -> str:
    """`tree_…`: an aggregate's id is its own even where it is one with its account."""
    return "tree" + account_id.removeprefix("acc")


def name_label(mailbox_id: MailboxId) -> str:
    """The label under which a NameSecret is sealed."""
    return f"name {mailbox_id}"


def annotation_label(mailbox_id: MailboxId | None, entry: str) -> str:
    """The label under which an AnnotationSecret is sealed."""
    return f"annotation {mailbox_id or ''} {entry}"
