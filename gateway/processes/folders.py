"""The mailboxes of an account: made, renamed, deleted, subscribed to, by whoever serves its owner.

Each decision is taken on the names as the log has them, and appended under the guard of that history: of two
clients that make the same mailbox one is told that it is there. Used by IMAP, the web and the command line.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeVar

from gateway.domain.account import account_key_name
from gateway.domain.events import Actor, By, Stamp
from gateway.domain.mailboxtree import MailboxTree, Role, tree_id
from gateway.domain.open_tree import OpenTree
from gateway.domain.sealing import NONCE_OCTETS
from gateway.mail.ids import ID_ENTROPY_OCTETS, AccountId, MailboxId, new_id
from gateway.ports import Aggregates, Clock, Conflict, Entropy, KeyStore, Position

DECISIONS_MAX: Final = 10  # style.md §6: a Conflict is decided again, at most this often

# What a new account gets beside INBOX, by language: names as mail programs in that language show them.
FURNITURE: Final[Mapping[str, Mapping[Role, str]]] = {
    "th": {
        "drafts": "ฉบับร่าง",
        "sent": "ส่งแล้ว",
        "junk": "จดหมายขยะ",
        "trash": "ถังขยะ",
        "archive": "เก็บถาวร",
    },
    "en": {"drafts": "Drafts", "sent": "Sent", "junk": "Junk", "trash": "Trash", "archive": "Archive"},
}

T = TypeVar("T")


class Folders:
    """Decides about mailboxes, for all accounts. All raise MailboxRefused, Conflict, Full, Unavailable, and
    KeyForgotten where the account was erased."""

    def __init__(
        self, *, aggregates: Aggregates, keys: KeyStore, clock: Clock, entropy: Entropy, by: By
    ) -> None:
        self._aggregates, self._keys = aggregates, keys
        self._clock, self._entropy, self._by = clock, entropy, by

    async def decide(
        self, account_id: AccountId, actor: Actor, decide: Callable[[OpenTree], T]
    ) -> tuple[T, Position]:
        """Read, decide, append; on a Conflict again. Returns what was decided and where it stands in the log,
        durable by then; 0: there was nothing to change."""
        key = await self._keys.get(account_key_name(account_id))
        for _ in range(DECISIONS_MAX):
            tree = await self._aggregates.get(MailboxTree, tree_id(account_id))
            stamp = Stamp(self._clock.now(), actor, self._by)
            decided = decide(
                OpenTree(tree, key, stamp, new_id=self._new_id, nonce=partial(self._entropy, NONCE_OCTETS))
            )
            if not tree.pending_events:
                return decided, Position(0)
            try:
                return decided, await self._aggregates.save(tree)
            except Conflict:
                continue
        raise Conflict(f"the mailboxes of {account_id} change too fast")

    async def furnish(self, account_id: AccountId, actor: Actor, language: str) -> Position:
        """Make the mailboxes a new account has in that language; 0: they were made before."""
        _, position = await self.decide(account_id, actor, lambda tree: tree.furnish(FURNITURE[language]))
        return position

    def _new_id(self) -> MailboxId:
        return MailboxId(new_id("mbx", self._clock.now(), self._entropy(ID_ENTROPY_OCTETS)))
