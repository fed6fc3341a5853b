"""What a client wants to hear of without asking, and what there is to tell it (NOTIFY).

The shell keeps a picture of the account's mailboxes as the client was told of them, and compares it with the
rows whenever those may have changed. So nothing queues up however much happens, and nobody needs
NOTIFICATIONOVERFLOW.

Source: RFC 5465 §3 (the command), §5 (events), §6 (which mailboxes).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.mail.mailbox_name import INBOX, SEPARATOR
from gateway.protocols.imap.attributes import Attribute
from gateway.protocols.imap.commands import (
    Check,
    Command,
    Expunge,
    Move,
    Noop,
    Notify,
    NotifyGroup,
    Replace,
    Store,
)

_SELECTED: Final = frozenset({"SELECTED", "SELECTED-DELAYED"})
# After these a client hears of its selected mailbox even if it did not ask for its events: it has changed it,
# or it asks.
_ASKING: Final = (Check, Expunge, Move, Noop, Replace, Store)


class Shown(Protocol):
    """A mailbox, as far as events tell of it."""

    @property
    def is_subscribed(self) -> bool: ...
    @property
    def uidnext(self) -> int: ...
    @property
    def messages(self) -> int: ...
    @property
    def highestmodseq(self) -> int: ...


Picture = Mapping[str, tuple[str, Shown]]  # by mailbox_id: whole name and what it shows


@dataclass(frozen=True, slots=True)
class Named:
    """A mailbox is there, is called otherwise, or is subscribed to or not any more (§5.4, §5.5)."""

    path: str
    old_path: str | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """§5.4: a mailbox is not there any more."""

    path: str


@dataclass(frozen=True, slots=True)
class Counted:
    """§5.1 to §5.3: messages have come, gone, or changed in a mailbox that is not selected."""

    path: str


News = Named | Gone | Counted


class Wishes:
    """What one client has asked for by its last NOTIFY SET or NONE."""

    def __init__(self, command: Notify) -> None:
        self._groups = command.groups
        found = (group for group in command.groups if group.mailboxes in _SELECTED and group.events)
        self._selected = next(found, None)

    # --- the selected mailbox ---------------------------------------------------------------------

    def tells_selected(self, command: Command | None = None) -> bool:
        """Whether anything is told of it. command: that has just been carried out; None: between two."""
        return self._selected is not None or isinstance(command, _ASKING)

    def tells_flags(self, command: Command | None = None) -> bool:
        asks = self._selected is not None and "FLAGCHANGE" in self._selected.events
        return asks or isinstance(command, _ASKING)

    @property
    def is_immediate(self) -> bool:
        """§6.1: expunges are told at any time, so the client counts on no message number."""
        return self._selected is not None and self._selected.mailboxes == "SELECTED"

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """§5.2: what is fetched of each message that arrives there."""
        return () if self._selected is None else self._selected.attributes

    # --- the others -------------------------------------------------------------------------------

    def events_of(self, path: str, *, is_subscribed: bool) -> frozenset[str]:
        """Several groups may have a mailbox; behind one with NONE no other counts for it (§6)."""
        events: frozenset[str] = frozenset()
        for group in self._groups:
            if _has(group, path, is_subscribed):
                if not group.events:
                    break
                events |= group.events
        return events

    @property
    def wants_server_metadata(self) -> bool:
        return any("SERVERMETADATACHANGE" in group.events for group in self._groups)

    def counted(self, picture: Picture, selected_id: str | None) -> Iterator[Counted]:
        """For NOTIFY SET STATUS: all those whose messages are told of (§3.1)."""
        for mailbox_id, (path, shown) in picture.items():
            if mailbox_id != selected_id and "MESSAGENEW" in self._events(path, shown):
                yield Counted(path)

    def differences(self, before: Picture, now: Picture, selected_id: str | None) -> Iterator[News]:
        """What is to be told of all mailboxes but of the messages of the selected one."""
        for mailbox_id, (path, shown) in before.items():
            if mailbox_id not in now and "MAILBOXNAME" in self._events(path, shown):
                yield Gone(path)
        for mailbox_id, (path, shown) in now.items():
            events = self._events(path, shown)
            old_path, old = before.get(mailbox_id, (None, None))
            # Whoever listens to either name, or has listened until now, hears of it.
            concerned = events if old is None else events | self._events(old_path or path, old)
            is_moved = path != old_path and "MAILBOXNAME" in concerned
            is_turned = old is not None and old.is_subscribed != shown.is_subscribed
            if is_moved or (is_turned and "SUBSCRIPTIONCHANGE" in concerned):
                yield Named(path, old_path if is_moved else None)
            if mailbox_id != selected_id and _has_changed(old, shown, events):
                yield Counted(path)

    def _events(self, path: str, shown: Shown) -> frozenset[str]:
        return self.events_of(path, is_subscribed=shown.is_subscribed)


def _has(group: NotifyGroup, path: str, is_subscribed: bool) -> bool:
    match group.mailboxes:
        case "PERSONAL":
            return True
        case "INBOXES":  # §6.3: where mail is delivered
            return path == INBOX
        case "SUBSCRIBED":
            return is_subscribed
        case "SUBTREE":
            return any(path == name or path.startswith(name + SEPARATOR) for name in group.names)
        case "MAILBOXES":
            return path in group.names
    return False


def _has_changed(old: Shown | None, shown: Shown, events: frozenset[str]) -> bool:
    """Whether its messages have, in a way that was asked for."""
    messages, uidnext, modseq = (0, 1, 0) if old is None else (old.messages, old.uidnext, old.highestmodseq)
    if (messages, uidnext) != (shown.messages, shown.uidnext):
        return "MESSAGENEW" in events
    return old is not None and modseq != shown.highestmodseq and "FLAGCHANGE" in events
