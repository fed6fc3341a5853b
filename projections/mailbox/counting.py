"""Mailboxes and messages while a batch is folded: their numbers and counters. Frozen: tests/golden/uids.

The n-th message a mailbox ever got is UID n, whatever is removed later; the k-th mailbox an account ever had
has UIDVALIDITY base + k; MODSEQ is a place in the log. No writer coordinates anything, and a rebuild gives
the same numbers.

Source: architecture §1; RFC 9051 §2.3.1.1 (UID, UIDVALIDITY), RFC 7162 §3.1 (MODSEQ).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from gateway.mail.flags import DELETED, SEEN, has_flag
from gateway.mail.uids import Ranges

FIRST_UID: Final = 1
ALL_UIDS: Final[Ranges] = ((FIRST_UID, 2**32 - 1),)  # RFC 9051 §9: nz-number has 32 bits


class Sight(NamedTuple):
    """Whether somebody who is not the owner has seen a message, and since when that is so."""

    is_seen: bool
    modseq: int


@dataclass(slots=True)
class Message:
    """What a UID stands for. is_elsewhere: it is a tombstone, and the message goes on under another UID.

    sights: by viewer, as far as they are at hand; whoever is not there has not seen it.
    """

    uid: int
    origin: int  # position of the event that brought the octets
    modseq: int
    flags: str
    octets: int  # presented
    internal_date: datetime
    saved_at: datetime
    expunged_at: int | None = None  # position; None: it is there
    is_elsewhere: bool = False
    sights: dict[str, Sight] | None = None

    def modseq_for(self, viewer: str | None) -> int:
        """viewer: None for the owner."""
        sight = self.sights.get(viewer) if self.sights and viewer else None
        return max(self.modseq, sight.modseq) if sight else self.modseq


@dataclass(slots=True)
class Usage:
    """What an account's mailboxes hold together (RFC 9208 STORAGE and MESSAGE), and may hold."""

    account_id: str
    octets: int = 0
    messages: int = 0
    quota_octets: int | None = None  # None: not known
    kind: str | None = None
    full_since: datetime | None = None

    def settle(self, at: datetime) -> None:
        """at: of the event after which it holds so much."""
        if self.quota_octets is None or self.octets < self.quota_octets:
            self.full_since = None
        elif self.full_since is None:
            self.full_since = at


@dataclass(slots=True)
class Mailbox:
    """The columns of a row, and those of its messages that are at hand. Counters are of what is there."""

    usage: Usage
    mailbox_id: str
    parent_id: str  # "" at the top
    name: str  # of its level; "" when the account's key is gone
    role: str
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    messages: int
    octets: int
    unseen: int
    deleted: int  # with \Deleted
    deleted_octets: int
    is_subscribed: bool
    opened_at: int
    closed_at: int | None = None
    at_hand: dict[int, Message] = field(default_factory=dict)  # by UID
    behind: dict[int, Message] = field(default_factory=dict)  # those whose rows are not as they are
    sighted: dict[tuple[int, str], Sight] = field(default_factory=dict)  # by UID and viewer; not in rows yet
    first_new: int = 0  # what has this UID or a higher one has no row yet

    def __post_init__(self) -> None:
        self.first_new = self.uidnext

    def there(self, uids: Ranges) -> Iterator[Message]:
        """Of these UIDs, by UID."""
        return (message for message in self._rows(uids) if message.expunged_at is None)

    def tombstones(self, uids: Ranges) -> Iterator[Message]:
        """Of these UIDs, by UID."""
        return (message for message in self._rows(uids) if message.expunged_at is not None)

    def _rows(self, uids: Ranges) -> Iterator[Message]:
        for first, last in uids:
            for uid in range(first, min(last + 1, self.uidnext)):
                message = self.at_hand.get(uid)
                if message is not None:
                    yield message

    def add(self, message: Message) -> None:
        """One more; it has the UID that is next."""
        assert message.uid == self.uidnext, (self.mailbox_id, message)
        self.uidnext += 1
        self.highestmodseq = message.modseq
        self.at_hand[message.uid] = self.behind[message.uid] = message
        self._count(message, 1)

    def bury(self, message: Message, position: int, *, is_elsewhere: bool = False) -> None:
        """It is a tombstone from here on."""
        self._count(message, -1)
        message.expunged_at, message.is_elsewhere = position, is_elsewhere
        self._changed(message, position)

    def flag(self, message: Message, flags: str, position: int) -> None:
        self._count(message, -1)
        message.flags = flags
        self._count(message, 1)
        self._changed(message, position)

    def see(self, message: Message, viewer: str, *, is_seen: bool, position: int) -> None:
        """Somebody who is not the owner has seen it, or not any more."""
        sights = message.sights = {} if message.sights is None else message.sights
        had = sights.get(viewer)
        if (had.is_seen if had else False) != is_seen:
            sights[viewer] = self.sighted[message.uid, viewer] = Sight(is_seen, position)
            self.highestmodseq = position

    def mark_elsewhere(self, tombstone: Message) -> None:
        """It was restored. Nothing changes of what FETCH can show here."""
        tombstone.is_elsewhere = True
        self.behind[tombstone.uid] = tombstone

    def written(self) -> None:
        """The rows are as the messages are; who needs one loads it again."""
        self.at_hand.clear()
        self.behind.clear()
        self.sighted.clear()
        self.first_new = self.uidnext

    def _changed(self, message: Message, position: int) -> None:
        message.modseq = self.highestmodseq = position
        self.behind[message.uid] = message

    def _count(self, message: Message, times: int) -> None:
        self.messages += times
        self.octets += times * message.octets
        self.usage.messages += times
        self.usage.octets += times * message.octets
        if not has_flag(message.flags, SEEN):
            self.unseen += times
        if has_flag(message.flags, DELETED):
            self.deleted += times
            self.deleted_octets += times * message.octets
