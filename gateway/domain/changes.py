"""What people change in their mailboxes: facts of `ev.box.<slot>.<account_id>`.

A change names the mailbox by its id, the UIDs its session saw, and its condition; the fold decides for each
message and says so in `change_outcome`. So it is a fact in any case, and a session answers from the outcome
alone, whoever else changed the mailbox meanwhile.

uids: a set as in `gateway.mail.uids`, never `*`, of at most RANGES_MAX ranges; a session makes several facts
of more. Flags stand in the clear: what a STORE changes depends on them, and numbers never depend on a seal.

\\Seen is everybody's own. Set, cleared or brought by somebody who is not the owner, it is that person's, and
the owner and the others have theirs as before (`viewer_of`).

Source: architecture §1, §2 (imap); RFC 9051 §6.4.6 (STORE), §6.4.3 (EXPUNGE), §6.4.7 (COPY), §6.4.8 (MOVE),
§6.3.12 (APPEND); RFC 7162 §3.1.3 (UNCHANGEDSINCE).
"""

from typing import ClassVar, Final, Literal

from gateway.domain.events import Event, Instant, Message, Wrap
from gateway.mail.ids import AccountId, MailboxId, MailId
from gateway.mail.uids import Ranges

RANGES_MAX: Final = 8_000  # about 120 KB of text: half of what an event should be at most (architecture §4)


def in_parts(ranges: Ranges) -> list[Ranges]:
    """As many sets as events are needed for it."""
    return [ranges[start : start + RANGES_MAX] for start in range(0, len(ranges), RANGES_MAX)]


class MessageAppended(Event, frozen=True, kw_only=True):
    """A client put a message into a mailbox. mail_id: its own; it labels the seal as that of a mail does."""

    TOPIC: ClassVar[str] = "message.appended/1"

    account_id: AccountId
    mailbox_id: MailboxId
    mail_id: MailId
    message: Message
    keys: tuple[Wrap, ...]
    internal_date: Instant
    flags: tuple[str, ...] = ()


class Changed(Event, frozen=True, kw_only=True):
    """What every change of messages carries that are there already."""

    account_id: AccountId
    mailbox_id: MailboxId
    uids: str


class MessageFlagged(Changed, frozen=True, kw_only=True):
    """unchanged_since: a message whose MODSEQ, as who asks sees it, is above it keeps its flags; None:
    whatever it is."""

    TOPIC: ClassVar[str] = "message.flagged/1"

    how: Literal["add", "remove", "replace"]
    flags: tuple[str, ...]
    unchanged_since: int | None = None


class MessageExpunged(Changed, frozen=True, kw_only=True):
    """They are not shown any more. only_deleted: what has no \\Deleted by then stays."""

    TOPIC: ClassVar[str] = "message.expunged/1"

    only_deleted: bool = False


class MessageCopied(Changed, frozen=True, kw_only=True):
    """They are in another mailbox too, with flags and internal dates as here."""

    TOPIC: ClassVar[str] = "message.copied/1"

    to_mailbox_id: MailboxId


class MessageMoved(Changed, frozen=True, kw_only=True):
    """They are in another mailbox of the account and not here any more, or nothing of it happened."""

    TOPIC: ClassVar[str] = "message.moved/1"

    to_mailbox_id: MailboxId


class MessageRestored(Changed, frozen=True, kw_only=True):
    """What was expunged is there again, under new UIDs."""

    TOPIC: ClassVar[str] = "message.restored/1"

    to_mailbox_id: MailboxId


class MessageMovedOut(Changed, frozen=True, kw_only=True):
    """They go to another account, and are not here any more. Of two that move the same, the first in the log
    does.

    mail_ids: of what they become there, one for each of uids in their order; whoever finishes the move gives
    them these, so that nothing arrives twice.
    """

    TOPIC: ClassVar[str] = "message.moved_out/1"

    to_account_id: AccountId
    to_mailbox_id: MailboxId
    mail_ids: tuple[MailId, ...]


class MessageMovedIn(MessageAppended, frozen=True, kw_only=True):
    """A message has come from another account: the other half of moved_out. from_position: of that."""

    TOPIC: ClassVar[str] = "message.moved_in/1"

    from_account_id: AccountId
    from_position: int


def viewer_of(event: Changed | MessageAppended) -> AccountId | None:
    """Who has done it, if that is a person and not the owner: \\Seen is theirs then."""
    actor = event.actor
    return AccountId(actor.id) if actor.kind == "account" and actor.id != event.account_id else None
