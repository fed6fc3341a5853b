"""What each event does to the mailboxes of an account: the rules, for one message after the other.

A change is a fact whatever it finds; what it did is its outcome, and the session that asked answers from it.
To what is not there nothing happens, and the outcome says so.

Source: architecture §1, §2 (imap); RFC 9051 §6.4.3 (EXPUNGE), §6.4.6 (STORE), §6.4.7 (COPY), §6.4.8 (MOVE);
RFC 7162 §3.1.3 (UNCHANGEDSINCE); ADR 0024.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from gateway.domain.changes import (
    Changed,
    MessageCopied,
    MessageExpunged,
    MessageFlagged,
    MessageMoved,
    MessageMovedOut,
    MessageRestored,
    viewer_of,
)
from gateway.mail.flags import DELETED, SEEN, has_flag, replaced_flags, with_flags, without_flags
from gateway.mail.uids import Ranges, parse_uids, ranges_of, subtract
from projections.mailbox.counting import ALL_UIDS, FIRST_UID, Mailbox, Message, Usage

INBOX: Final = "inbox"
_HOW: Final[dict[str, Callable[[str, Iterable[str]], str]]] = {
    "add": with_flags,
    "remove": without_flags,
    "replace": replaced_flags,
}


class NoMailbox(Exception):
    """Mail for an account that never had an INBOX before it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Place and time of the event that is folded."""

    position: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change. to_*: where messages arrived, in the order of `applied`; one range."""

    mailbox_id: str
    applied: Ranges = ()
    refused: Ranges = ()
    to_mailbox_id: str = ""
    to_uidvalidity: int = 0
    to_uids: Ranges = ()


Arrival = tuple[Mailbox, int]  # and the UID there


@dataclass(slots=True)
class Account:
    """One account while a batch is folded: its INBOX and the mailboxes that events name."""

    account_id: str
    usage: Usage
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    last_uidvalidity: int = 0  # known where a mailbox is opened; base, for an account that has none yet

    def open(self, mailbox_id: str, moment: Moment, *, parent_id: str, name: str, role: str) -> None:
        self.last_uidvalidity += 1
        self.mailboxes[mailbox_id] = Mailbox(
            self.usage, mailbox_id, parent_id, name, role, self.last_uidvalidity, FIRST_UID, moment.position,
            0, 0, 0, 0, 0, is_subscribed=True, opened_at=moment.position,
        )  # fmt: skip

    def close(self, mailbox_id: str, moment: Moment) -> None:
        """It is gone, and its messages are tombstones."""
        mailbox = self.mailboxes[mailbox_id]
        for message in mailbox.there(ALL_UIDS):
            mailbox.bury(message, moment.position)
        mailbox.closed_at = moment.position

    def arrive(
        self,
        mailbox_id: str,
        moment: Moment,
        octets: int,
        internal_date: datetime,
        flags: str = "",
        viewer: str | None = None,
    ) -> Arrival:
        """A message that this event brings; to INBOX where the mailbox is gone (architecture §2).

        viewer: who brings it, if that is not the owner. Raises NoMailbox.
        """
        target = self._open(mailbox_id) or self._inbox(moment)
        uid, position = target.uidnext, moment.position
        own = without_flags(flags, [SEEN]) if viewer else flags
        message = Message(uid, position, position, own, octets, internal_date, moment.at)
        target.add(message)
        if viewer and has_flag(flags, SEEN):
            target.see(message, viewer, is_seen=True, position=position)
        return target, uid

    def change(self, event: Changed, moment: Moment) -> Outcome:
        """Do what is asked to those of the messages that are there and meet the condition."""
        uids = parse_uids(event.uids)
        source = self.mailboxes.get(event.mailbox_id)
        outcome = self._change(event, source, uids, moment) if source else Outcome(event.mailbox_id)
        return replace(outcome, refused=subtract(uids, outcome.applied))

    def _change(self, event: Changed, source: Mailbox, uids: Ranges, moment: Moment) -> Outcome:
        match event:
            case MessageFlagged():
                return _flag(event, source, uids, moment)
            case MessageExpunged():
                return _expunge(event, source, uids, moment)
            case MessageCopied():
                return self._copy(source, list(source.there(uids)), event.to_mailbox_id, moment)
            case MessageMoved():
                return self._move(source, list(source.there(uids)), event.to_mailbox_id, moment)
            case MessageMovedOut():
                return _move_out(source, list(source.there(uids)), moment)
            case MessageRestored():
                return self._restore(source, list(source.tombstones(uids)), event.to_mailbox_id, moment)
            case _:
                raise AssertionError(f"{event.TOPIC} is no change of messages")

    def _copy(self, source: Mailbox, found: Sequence[Message], to_mailbox_id: str, moment: Moment) -> Outcome:
        target = self._open(to_mailbox_id)
        return _put(source, found, target, moment) if target else Outcome(source.mailbox_id)

    def _move(self, source: Mailbox, found: Sequence[Message], to_mailbox_id: str, moment: Moment) -> Outcome:
        target = self._open(to_mailbox_id)
        if target is None:
            return Outcome(source.mailbox_id)
        outcome = _put(source, found, target, moment)
        for message in found:
            source.bury(message, moment.position, is_elsewhere=True)
        return outcome

    def _restore(
        self, source: Mailbox, tombstones: Sequence[Message], to_mailbox_id: str, moment: Moment
    ) -> Outcome:
        """Without \\Deleted: the next EXPUNGE would take them again. To INBOX where the mailbox is gone."""
        found = [tombstone for tombstone in tombstones if not tombstone.is_elsewhere]
        target = self._open(to_mailbox_id) or self._inbox(moment)
        outcome = _put(source, found, target, moment, without=[DELETED])
        for tombstone in found:
            source.mark_elsewhere(tombstone)
        return outcome

    def _open(self, mailbox_id: str) -> Mailbox | None:
        mailbox = self.mailboxes.get(mailbox_id)
        return mailbox if mailbox is not None and mailbox.closed_at is None else None

    def _inbox(self, moment: Moment) -> Mailbox:
        for mailbox in self.mailboxes.values():
            if mailbox.role == INBOX:
                return mailbox
        raise NoMailbox(f"{self.account_id} has no INBOX at position {moment.position}")


def appended(mailbox_id: str, arrival: Arrival | None) -> Outcome:
    """mailbox_id: where it was meant to go. arrival: None: the account had it already."""
    if arrival is None:
        return Outcome(mailbox_id)
    mailbox, uid = arrival
    return Outcome(mailbox_id, (), (), mailbox.mailbox_id, mailbox.uidvalidity, ((uid, uid),))


def _flag(event: MessageFlagged, source: Mailbox, uids: Ranges, moment: Moment) -> Outcome:
    """Flags that stay as they were count as changed, and keep the MODSEQ (RFC 7162 §3.1)."""
    found, known, viewer = [], dict[str, str](), viewer_of(event)
    sees = _sees(event) if viewer else None
    for message in source.there(uids):
        if event.unchanged_since is not None and message.modseq_for(viewer) > event.unchanged_since:
            continue
        found.append(message)
        flags = known.get(message.flags)
        if flags is None:
            flags = known[message.flags] = _flags_after(event, message.flags, viewer)
        if flags != message.flags:
            source.flag(message, flags, moment.position)
        if viewer and sees is not None:
            source.see(message, viewer, is_seen=sees, position=moment.position)
    return Outcome(source.mailbox_id, _uids(found))


def _flags_after(event: MessageFlagged, flags: str, viewer: str | None) -> str:
    """Of a message. The owner's \\Seen is not changed by anybody else."""
    after = _HOW[event.how](flags, event.flags)
    if viewer is None:
        return after
    return with_flags(after, [SEEN]) if has_flag(flags, SEEN) else without_flags(after, [SEEN])


def _sees(event: MessageFlagged) -> bool | None:
    """Whether who is not the owner has seen the messages by this; None: as before."""
    names_seen = any(flag.lower() == SEEN.lower() for flag in event.flags)
    if event.how == "replace":
        return names_seen
    return event.how == "add" if names_seen else None


def _expunge(event: MessageExpunged, source: Mailbox, uids: Ranges, moment: Moment) -> Outcome:
    found = [
        message
        for message in source.there(uids)
        if not event.only_deleted or has_flag(message.flags, DELETED)
    ]
    for message in found:
        source.bury(message, moment.position)
    return Outcome(source.mailbox_id, _uids(found))


def _move_out(source: Mailbox, found: Sequence[Message], moment: Moment) -> Outcome:
    for message in found:
        source.bury(message, moment.position, is_elsewhere=True)
    return Outcome(source.mailbox_id, _uids(found))


def _put(
    source: Mailbox, found: Sequence[Message], target: Mailbox, moment: Moment, without: Sequence[str] = ()
) -> Outcome:
    """One more of each in the target, by new UIDs in their order; who has seen one has seen the other."""
    first = target.uidnext
    for message in found:
        put = Message(
            target.uidnext,
            message.origin,
            moment.position,
            without_flags(message.flags, without) if without else message.flags,
            message.octets,
            message.internal_date,
            moment.at,
        )
        target.add(put)
        for viewer, sight in (message.sights or {}).items():
            target.see(put, viewer, is_seen=sight.is_seen, position=moment.position)
    if not found:
        return Outcome(source.mailbox_id)
    arrived = ((first, target.uidnext - 1),)
    return Outcome(source.mailbox_id, _uids(found), (), target.mailbox_id, target.uidvalidity, arrived)


def _uids(messages: Iterable[Message]) -> Ranges:
    return ranges_of(message.uid for message in messages)
