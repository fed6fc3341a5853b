"""Decisions about the mailboxes of an account that rest on their names.

Who decides opens the names with the account's key; the guard of the history makes sure that nobody has
decided meanwhile. A path is a name as clients write it, `Projects/2569`.

Source: RFC 9051 §5.1 (names), §6.3.4 (CREATE), §6.3.5 (DELETE), §6.3.6 (RENAME), §6.3.7 (SUBSCRIBE);
RFC 5464 §4.3 (SETMETADATA).
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal

from gateway.domain.events import Stamp
from gateway.domain.mailboxtree import (
    AnnotationSecret,
    MailboxAnnotated,
    MailboxCreated,
    MailboxDeleted,
    MailboxFollowed,
    MailboxRenamed,
    MailboxShared,
    MailboxSubscribed,
    MailboxTree,
    NameSecret,
    Node,
    Role,
    annotation_label,
    name_label,
)
from gateway.domain.sealing import seal, unseal
from gateway.domain.sharing import HowRights, changed_rights
from gateway.mail.ids import AccountId, MailboxId

SEPARATOR: Final = "/"
INBOX: Final = "INBOX"
# Precedents: Dovecot allows 255 octets a name and 16 levels; Exchange Online 1 000 folders below one.
NAME_OCTETS_MAX: Final = 255
LEVELS_MAX: Final = 16
MAILBOXES_MAX: Final = 2_000
# RFC 5464 §4.3 leaves them to the server. Every decision about mailboxes reads all values, so they are small:
# notes and settings of programs, not files.
VALUE_OCTETS_MAX: Final = 8 * 1024
ENTRIES_MAX: Final = 100  # of a mailbox, and of the account as a whole
ACCOUNT_ENTRIES_MAX: Final = 1_000  # in all
HOLDERS_MAX: Final = 500  # of rights to one mailbox
# What lies below is of others, by their addresses (RFC 2342 §3); what is called so before stays where it is.
OTHERS: Final = "Other Users"
_INVISIBLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # Unicode general categories no name has

Why = Literal["exists", "missing", "children", "inbox", "name", "role", "limit", "value", "entries"]
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

    def above(self, path: str) -> Parent:
        """The nearest that is there of the mailboxes that a path lies in; None: the top."""
        nearest: Parent = None
        for name in _levels(path)[:-1]:
            below = self._child(nearest, name)
            if below is None:
                break
            nearest = below
        return nearest

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

    def annotate(self, path: str, values: Sequence[tuple[str, bytes | None]]) -> MailboxId | None:
        """Give entries of its metadata their values, all or none; None takes one away (RFC 5464 §4.3).

        path: "" for the account as a whole. values: each entry once. What has its value already is not
        decided again.
        """
        mailbox_id = self._found(path) if path else None
        sealed = self._tree.annotations.get(mailbox_id, {})
        kept = {
            entry: self._value(mailbox_id, entry, sealed[entry]) for entry, _ in values if entry in sealed
        }
        news = [(entry, value) for entry, value in values if value != kept.get(entry)]
        if any(value is not None and len(value) > VALUE_OCTETS_MAX for _, value in news):
            raise MailboxRefused("value", f"a value has at most {VALUE_OCTETS_MAX} octets")
        more = sum((value is not None) - (entry in kept) for entry, value in news)
        in_all = sum(len(entries) for entries in self._tree.annotations.values())
        if more > 0 and (len(sealed) + more > ENTRIES_MAX or in_all + more > ACCOUNT_ENTRIES_MAX):
            text = f"a mailbox has at most {ENTRIES_MAX} entries, an account {ACCOUNT_ENTRIES_MAX} in all"
            raise MailboxRefused("entries", text)
        for entry, value in news:
            secret = None if value is None else self._sealed_value(mailbox_id, entry, value)
            self._tree.trigger(
                MailboxAnnotated, self._stamp, mailbox_id=mailbox_id, entry=entry, value=secret
            )
        return mailbox_id

    def follow(self, owner_id: AccountId, mailbox_id: MailboxId, *, is_subscribed: bool) -> None:
        """Subscribe to what another shares, or not any more."""
        if is_subscribed == (mailbox_id in self._tree.unfollowed):
            self._tree.trigger(
                MailboxFollowed,
                self._stamp,
                owner_id=owner_id,
                mailbox_id=mailbox_id,
                is_subscribed=is_subscribed,
            )

    def share(self, mailbox_id: MailboxId, holder: str, how: HowRights, rights: frozenset[str]) -> None:
        """Say what an account, or everybody in an agency, may do with a mailbox (RFC 4314 §3.1)."""
        if mailbox_id not in self._tree.nodes:
            raise MailboxRefused("missing", "the mailbox is not there any more")
        given = self._tree.rights.get(mailbox_id, {})
        had = given.get(holder, "")
        has = changed_rights(had, how, rights)
        if has and not had and len(given) >= HOLDERS_MAX:
            raise MailboxRefused("limit", f"at most {HOLDERS_MAX} have rights to a mailbox: use anyone")
        if has != had:
            self._tree.trigger(MailboxShared, self._stamp, mailbox_id=mailbox_id, holder=holder, rights=has)

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
        if parent is not None:  # RFC 4314 §4 (CREATE): who works above works here too
            for holder, rights in self._tree.rights.get(parent, {}).items():
                self.share(mailbox_id, holder, "replace", frozenset(rights))
        return mailbox_id

    def _open(self, mailbox_id: MailboxId, node: Node) -> str:
        if not node.name:
            return INBOX
        return unseal(NameSecret, node.name, self._key, label=name_label(mailbox_id)).name

    def _value(self, mailbox_id: MailboxId | None, entry: str, sealed: bytes) -> bytes:
        return unseal(AnnotationSecret, sealed, self._key, label=annotation_label(mailbox_id, entry)).value

    def _sealed_value(self, mailbox_id: MailboxId | None, entry: str, value: bytes) -> bytes:
        label = annotation_label(mailbox_id, entry)
        return seal(AnnotationSecret(value), self._key, nonce=self._nonce(), label=label)

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
    if levels[0] == OTHERS:
        raise MailboxRefused("name", f"{OTHERS} is for what others share with you")
    for name in levels:
        if not name or name != name.strip() or len(name.encode("utf-8", "replace")) > NAME_OCTETS_MAX:
            raise MailboxRefused("name", f"a name has 1 to {NAME_OCTETS_MAX} octets, no blank at either end")
        if any(character in "*%" or unicodedata.category(character) in _INVISIBLE for character in name):
            raise MailboxRefused("name", "a name has no *, % or control character")
    return levels
