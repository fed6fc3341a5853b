"""Decisions about the mailboxes of an account that rest on their names.

Who decides opens the names with the account's key; the guard of the history makes sure that nobody has
decided meanwhile. A path is a name as clients write it, `Projects/2569`.

Source: RFC 9051 §5.1 (names), §6.3.4 (CREATE), §6.3.5 (DELETE), §6.3.6 (RENAME), §6.3.7 (SUBSCRIBE).
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

from gateway.domain.events import Stamp
from gateway.domain.mailboxtree import (
    MailboxCreated,
    MailboxDeleted,
    MailboxRenamed,
    MailboxSubscribed,
    MailboxTree,
    NameSecret,
    Node,
    Role,
    name_label,
)
from gateway.domain.sealing import seal, unseal
from gateway.mail.ids import MailboxId

SEPARATOR: Final = "/"
INBOX: Final = "INBOX"
# Precedents: Dovecot allows 255 octets a name and 16 levels; Exchange Online 1 000 folders below one.
NAME_OCTETS_MAX: Final = 255
LEVELS_MAX: Final = 16
MAILBOXES_MAX: Final = 2_000
_INVISIBLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # Unicode general categories no name has

Why = Literal["exists", "missing", "children", "inbox", "name", "role", "limit"]
Parent = MailboxId | None  # None: the top


class MailboxRefused(Exception):
    """A tree cannot become so; the text says why."""

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why = why


class OpenTree:
    """A tree whose names are open, and the decisions that rest on them. Each raises MailboxRefused.

    new_id, nonce: from the entropy port.
    """

    def __init__(
        self,
        tree: MailboxTree,
        account_key: bytes,
        stamp: Stamp,
        *,
        new_id: Callable[[], MailboxId],
        nonce: Callable[[], bytes],
    ) -> None:
        self._tree, self._key, self._stamp = tree, account_key, stamp
        self._new_id, self._nonce = new_id, nonce
        self._names = {mailbox_id: self._open(mailbox_id, node) for mailbox_id, node in tree.nodes.items()}

    def find(self, path: str) -> MailboxId | None:
        levels = _levels(path)
        if levels[0].upper() == INBOX:
            levels[0] = INBOX
        found: Parent = None
        for name in levels:
            below = self._child(found, name)
            if below is None:
                return None
            found = below
        return found

    def create(self, path: str, role: Role | None = None) -> MailboxId:
        """Make it, and what is missing above it (RFC 9051 §6.3.4)."""
        levels = _checked(path)
        if role and any(node.role == role for node in self._tree.nodes.values()):
            raise MailboxRefused("role", f"the account has a mailbox for {role} already")
        parent: Parent = None
        made: MailboxId | None = None
        for depth, name in enumerate(levels):
            found = self._child(parent, name)
            if found is None:
                made = found = self._make(parent, name, role if depth == len(levels) - 1 else None)
            parent = found
        if made is None or made != parent:
            raise MailboxRefused("exists", "there is a mailbox of that name")
        return made

    def rename(self, path: str, to: str) -> MailboxId:
        """Give it another name and place, with all that lies below. INBOX keeps its own."""
        mailbox_id = self._found(path)
        if mailbox_id == self._tree.inbox_id:
            raise MailboxRefused("inbox", "INBOX keeps its name")
        levels = _checked(to)
        if self.find(to) is not None:
            raise MailboxRefused("exists", "there is a mailbox of that name")
        parent: Parent = None
        for name in levels[:-1]:
            parent = self._child(parent, name) or self._make(parent, name, None)
            if parent == mailbox_id:
                raise MailboxRefused("name", "a mailbox cannot lie below itself")
        if len(levels) + self._height(mailbox_id) > LEVELS_MAX:
            raise MailboxRefused("limit", f"mailboxes lie in at most {LEVELS_MAX} levels")
        self._names[mailbox_id] = levels[-1]
        self._tree.trigger(
            MailboxRenamed,
            self._stamp,
            mailbox_id=mailbox_id,
            parent_id=parent,
            name=self._sealed(mailbox_id, levels[-1]),
        )
        return mailbox_id

    def delete(self, path: str) -> MailboxId:
        """RFC 9051 §6.3.5: INBOX stays, and so does what has mailboxes below it."""
        mailbox_id = self._found(path)
        if mailbox_id == self._tree.inbox_id:
            raise MailboxRefused("inbox", "INBOX cannot be deleted")
        if any(node.parent_id == mailbox_id for node in self._tree.nodes.values()):
            raise MailboxRefused("children", "there are mailboxes below it: delete those first")
        self._tree.trigger(MailboxDeleted, self._stamp, mailbox_id=mailbox_id)
        return mailbox_id

    def subscribe(self, path: str, *, is_subscribed: bool) -> MailboxId:
        mailbox_id = self._found(path)
        if self._tree.nodes[mailbox_id].is_subscribed != is_subscribed:
            self._tree.trigger(
                MailboxSubscribed, self._stamp, mailbox_id=mailbox_id, is_subscribed=is_subscribed
            )
        return mailbox_id

    def furnish(self, names: Mapping[Role, str]) -> None:
        """The mailboxes a new account gets beside INBOX; one that has decided anything keeps its own."""
        if self._tree.is_new:
            for role, name in names.items():
                self.create(name, role)

    def _found(self, path: str) -> MailboxId:
        mailbox_id = self.find(path)
        if mailbox_id is None:
            raise MailboxRefused("missing", "there is no mailbox of that name")
        return mailbox_id

    def _child(self, parent: Parent, name: str) -> MailboxId | None:
        return next((one for one in self._children(parent) if self._names[one] == name), None)

    def _children(self, parent: Parent) -> Iterator[MailboxId]:
        return (one for one, node in self._tree.nodes.items() if node.parent_id == parent)

    def _height(self, mailbox_id: MailboxId) -> int:
        """Levels below it."""
        return max((1 + self._height(child) for child in self._children(mailbox_id)), default=0)

    def _make(self, parent: Parent, name: str, role: Role | None) -> MailboxId:
        if len(self._tree.nodes) >= MAILBOXES_MAX:
            raise MailboxRefused("limit", f"an account has at most {MAILBOXES_MAX} mailboxes")
        mailbox_id = self._new_id()
        self._names[mailbox_id] = name
        self._tree.trigger(
            MailboxCreated,
            self._stamp,
            mailbox_id=mailbox_id,
            parent_id=parent,
            name=self._sealed(mailbox_id, name),
            role=role,
        )
        return mailbox_id

    def _open(self, mailbox_id: MailboxId, node: Node) -> str:
        if not node.name:
            return INBOX
        return unseal(NameSecret, node.name, self._key, label=name_label(mailbox_id)).name

    def _sealed(self, mailbox_id: MailboxId, name: str) -> bytes:
        return seal(NameSecret(name), self._key, nonce=self._nonce(), label=name_label(mailbox_id))


def _levels(path: str) -> list[str]:
    """RFC 9051 §5.1: names are Net-Unicode, and a separator at the end says only that more may lie below."""
    return unicodedata.normalize("NFC", path).removesuffix(SEPARATOR).split(SEPARATOR)


def _checked(path: str) -> list[str]:
    """The levels of a name that is to be. Raises MailboxRefused."""
    levels = _levels(path)
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    if len(levels) > LEVELS_MAX:
        raise MailboxRefused("limit", f"mailboxes lie in at most {LEVELS_MAX} levels")
    for name in levels:
        if not name or name != name.strip() or len(name.encode("utf-8", "replace")) > NAME_OCTETS_MAX:
            raise MailboxRefused("name", f"a name has 1 to {NAME_OCTETS_MAX} octets, no blank at either end")
        if any(character in "*%" or unicodedata.category(character) in _INVISIBLE for character in name):
            raise MailboxRefused("name", "a name has no *, % or control character")
    return levels
