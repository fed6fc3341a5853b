"""The rules of mailboxes once more, as plainly as they can be said: one event at a time, every message looked
at, everything counted anew. What the fold does in sets has to come out the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.domain.account import AccountCreated
from gateway.domain.changes import (
    Changed,
    MessageAppended,
    MessageCopied,
    MessageExpunged,
    MessageFlagged,
    MessageMoved,
    MessageMovedIn,
    MessageMovedOut,
    MessageRestored,
)
from gateway.domain.events import MailDelivered
from gateway.domain.mailboxtree import (
    MailboxCreated,
    MailboxDeleted,
    MailboxFollowed,
    MailboxRenamed,
    MailboxShared,
    MailboxSubscribed,
    TreeCreated,
)
from gateway.mail.uids import each_uid, parse_uids
from gateway.ports import Recorded

SYSTEM = {flag.lower(): flag for flag in ("\\Seen", "\\Deleted", "\\Answered", "\\Flagged", "\\Draft")}

Row = tuple[Any, ...]


@dataclass
class Message:
    uid: int
    origin: int
    modseq: int
    flags: dict[str, str]  # lower case → as it is spelt
    octets: int
    internal_date: datetime
    saved_at: datetime
    expunged_at: int | None = None
    is_elsewhere: bool = False
    sights: dict[str, tuple[bool, int]] = field(default_factory=dict)  # by viewer: seen, since when


@dataclass
class Box:
    mailbox_id: str
    parent_id: str
    role: str
    uidvalidity: int
    modseq: int
    opened_at: int
    is_subscribed: bool = True
    closed_at: int | None = None
    messages: list[Message] = field(default_factory=list)

    def there(self) -> list[Message]:
        return [message for message in self.messages if message.expunged_at is None]


@dataclass
class Home:
    """An account."""

    boxes: dict[str, Box] = field(default_factory=dict)
    base: int = 0
    mails: set[str] = field(default_factory=set)
    quota_octets: int | None = None
    kind: str | None = None
    full_since: datetime | None = None
    outcomes: list[Row] = field(default_factory=list)
    rights: dict[tuple[str, str], str] = field(default_factory=dict)  # by mailbox and holder
    follows: dict[str, bool] = field(default_factory=dict)  # mailboxes of others
    departures: list[Row] = field(default_factory=list)

    def octets(self) -> int:
        return sum(message.octets for box in self.boxes.values() for message in box.there())


class Naive:
    def __init__(self) -> None:
        self.homes: dict[str, Home] = {}

    def take(self, recorded: Recorded) -> None:
        event, position = recorded.event, recorded.position
        home = self.homes.setdefault(recorded.subject.split(".")[-1], Home())
        match event:
            case AccountCreated():
                home.quota_octets, home.kind = event.quota_octets, event.kind
            case TreeCreated():
                home.base = event.base
                self.open(home, event.mailbox_id, "", "inbox", position)
            case MailboxCreated():
                self.open(home, event.mailbox_id, event.parent_id or "", event.role or "", position)
            case MailboxRenamed():
                home.boxes[event.mailbox_id].parent_id = event.parent_id or ""
            case MailboxSubscribed():
                home.boxes[event.mailbox_id].is_subscribed = event.is_subscribed
            case MailboxDeleted():
                self.close(home, event.mailbox_id, position)
            case MailboxShared():
                home.rights[event.mailbox_id, event.holder] = event.rights
            case MailboxFollowed():
                home.follows[event.mailbox_id] = event.is_subscribed
            case MailDelivered() | MessageAppended() | MessageMovedIn():
                self._arrive(home, event, position)
            case Changed():
                self.change(home, event, position)
        if home.quota_octets is not None and home.octets() >= home.quota_octets:
            home.full_since = home.full_since or event.at
        else:
            home.full_since = None

    def open(self, home: Home, mailbox_id: str, parent_id: str, role: str, position: int) -> None:
        uidvalidity = home.base + len(home.boxes) + 1
        home.boxes[mailbox_id] = Box(mailbox_id, parent_id, role, uidvalidity, position, position)

    def close(self, home: Home, mailbox_id: str, position: int) -> None:
        box = home.boxes[mailbox_id]
        for message in box.there():
            self.bury(box, message, position)
        box.closed_at = position

    def _arrive(self, home: Home, event: MailDelivered | MessageAppended, position: int) -> None:
        told: Row = ("", 0, "")
        if event.mail_id not in home.mails:
            home.mails.add(event.mail_id)
            box = self._open_or_inbox(home, event.mailbox_id)
            flags = spelt(event.flags) if isinstance(event, MessageAppended) else {}
            octets = event.message.presented_octets
            viewer, has_seen = viewer_of(event) if flags else "", "\\seen" in flags
            if viewer:
                flags.pop("\\seen", None)
            self.add(box, Message(0, position, 0, flags, octets, event.internal_date, event.at), position)
            if viewer and has_seen:
                box.messages[-1].sights[viewer] = True, position
            told = (box.mailbox_id, box.uidvalidity, str(len(box.messages)))
        if isinstance(event, MessageAppended):
            home.outcomes.append((position, event.mailbox_id, "", "", *told))

    def change(self, home: Home, event: Changed, position: int) -> None:
        applied: list[int] = []
        arrived: list[int] = []
        source = home.boxes.get(event.mailbox_id)
        to_mailbox_id = getattr(event, "to_mailbox_id", "")
        target = home.boxes.get(to_mailbox_id)
        if target is not None and target.closed_at is not None:
            target = None
        if isinstance(event, MessageRestored):
            target = target or self._open_or_inbox(home, "")
        last = len(source.messages) if source else 0  # what arrives by this change is not part of it
        for uid in each_uid(parse_uids(event.uids)):
            if source is None or uid > last:
                continue
            message = source.messages[uid - 1]
            if (message.expunged_at is not None) != isinstance(event, MessageRestored):
                continue
            match event:
                case MessageFlagged():
                    _, since = message.sights.get(viewer_of(event), (False, 0))
                    if (
                        event.unchanged_since is not None
                        and max(message.modseq, since) > event.unchanged_since
                    ):
                        continue
                    self._flag(source, message, event, position)
                case MessageExpunged():
                    if event.only_deleted and "\\deleted" not in message.flags:
                        continue
                    self.bury(source, message, position)
                case MessageCopied() | MessageMoved() | MessageRestored():
                    if target is None or message.is_elsewhere:
                        continue
                    flags = dict(message.flags)
                    if isinstance(event, MessageRestored):
                        flags.pop("\\deleted", None)
                    copy = Message(
                        0, message.origin, 0, flags, message.octets, message.internal_date, event.at
                    )
                    self.add(target, copy, position)
                    copy.sights = {who: (True, position) for who, (seen, _) in message.sights.items() if seen}
                    arrived.append(copy.uid)
                    if isinstance(event, MessageMoved):
                        self.bury(source, message, position)
                    message.is_elsewhere = not isinstance(event, MessageCopied)
                case MessageMovedOut():
                    self.bury(source, message, position)
                    message.is_elsewhere = True
                    mail_id = event.mail_ids[list(each_uid(parse_uids(event.uids))).index(uid)]
                    to = event.to_account_id, event.to_mailbox_id
                    home.departures.append(
                        (position, uid, source.opened_at, mail_id, *to, event.actor.id, event.at)
                    )
            applied.append(uid)
        asked = list(each_uid(parse_uids(event.uids)))
        to = (target.mailbox_id, target.uidvalidity) if target and arrived else ("", 0)
        refused = [uid for uid in asked if uid not in applied]
        home.outcomes.append((position, event.mailbox_id, text(applied), text(refused), *to, text(arrived)))

    def _flag(self, box: Box, message: Message, event: MessageFlagged, position: int) -> None:
        before, named, viewer = set(message.flags), spelt(event.flags), viewer_of(event)
        if viewer:
            had, _ = message.sights.get(viewer, (False, 0))
            has = {"add": had or "\\seen" in named, "remove": had and "\\seen" not in named}.get(
                event.how, "\\seen" in named
            )
            if has != had:
                message.sights[viewer] = has, position
                box.modseq = position
            named.pop("\\seen", None)
            if event.how == "replace" and "\\seen" in message.flags:
                named["\\seen"] = "\\Seen"
        if event.how == "add":
            message.flags = named | message.flags
        elif event.how == "remove":
            message.flags = {name: flag for name, flag in message.flags.items() if name not in named}
        else:
            message.flags = {name: message.flags.get(name, flag) for name, flag in named.items()}
        if set(message.flags) != before:
            message.modseq = box.modseq = position

    def add(self, box: Box, message: Message, position: int) -> None:
        message.uid, message.modseq, box.modseq = len(box.messages) + 1, position, position
        box.messages.append(message)

    def bury(self, box: Box, message: Message, position: int) -> None:
        message.expunged_at = message.modseq = box.modseq = position

    def _open_or_inbox(self, home: Home, mailbox_id: str) -> Box:
        box = home.boxes.get(mailbox_id)
        if box is not None and box.closed_at is None:
            return box
        return next(box for box in home.boxes.values() if box.role == "inbox")

    # --- as rows, in the order of the columns -----------------------------------------------------------

    def mailboxes(self) -> list[Row]:
        """Without names."""
        return sorted(
            (
                account_id, box.mailbox_id, box.parent_id, box.role, box.uidvalidity, len(box.messages) + 1,
                box.modseq, len(box.there()), sum(m.octets for m in box.there()),
                sum("\\seen" not in m.flags for m in box.there()),
                sum("\\deleted" in m.flags for m in box.there()),
                sum(m.octets for m in box.there() if "\\deleted" in m.flags),
                box.is_subscribed, box.opened_at, box.closed_at,
            )
            for account_id, home in self.homes.items()
            for box in home.boxes.values()
        )  # fmt: skip

    def messages(self) -> list[Row]:
        return sorted(
            (
                box.opened_at, m.uid, m.origin, m.modseq, m.octets, m.internal_date, m.saved_at,
                m.expunged_at, m.is_elsewhere, flags_of(m),
            )
            for home in self.homes.values()
            for box in home.boxes.values()
            for m in box.messages
        )  # fmt: skip

    def sights(self) -> list[Row]:
        return sorted(
            (box.opened_at, viewer, m.uid, *sight)
            for home in self.homes.values()
            for box in home.boxes.values()
            for m in box.messages
            for viewer, sight in m.sights.items()
        )

    def shares(self) -> list[Row]:
        return sorted(
            (account_id, *place, rights)
            for account_id, home in self.homes.items()
            for place, rights in home.rights.items()
        )

    def follows(self) -> list[Row]:
        return sorted(
            (account_id, *follow)
            for account_id, home in self.homes.items()
            for follow in home.follows.items()
        )

    def departures(self) -> list[Row]:
        return sorted(row for home in self.homes.values() for row in home.departures)

    def usage(self) -> list[Row]:
        return sorted(
            (
                account_id, home.octets(), sum(len(box.there()) for box in home.boxes.values()),
                home.quota_octets, home.kind, home.full_since,
            )
            for account_id, home in self.homes.items()
        )  # fmt: skip

    def outcomes(self) -> list[Row]:
        return sorted(
            (account_id, *outcome) for account_id, home in self.homes.items() for outcome in home.outcomes
        )


def viewer_of(event: Any) -> str:
    """Who has done it, if that is no owner."""
    actor = event.actor
    return actor.id if actor.kind == "account" and actor.id != event.account_id else ""


def spelt(flags: Iterable[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for flag in flags:
        named.setdefault(flag.lower(), SYSTEM.get(flag.lower(), flag))
    named.pop("\\recent", None)
    return named


def flags_of(message: Message) -> str:
    system = sorted(flag for flag in message.flags.values() if flag.startswith("\\"))
    return " ".join(system + sorted((f for f in message.flags.values() if f[0] != "\\"), key=str.lower))


def text(uids: Iterable[int]) -> str:
    """1,2,3,7 → 1:3,7"""
    runs: list[list[int]] = []
    for uid in uids:
        if runs and runs[-1][-1] == uid - 1:
            runs[-1].append(uid)
        else:
            runs.append([uid])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}:{run[-1]}" for run in runs)
