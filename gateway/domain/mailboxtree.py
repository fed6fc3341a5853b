"""MailboxTree: which mailboxes an account has. It begins with INBOX; folders come later.

Mailboxes are told apart by opaque ids, so a rename moves nothing and a delivery names no folder.

Source: RFC 9051 §5.1 (INBOX); RFC 6154 (special use); architecture §1 (UIDVALIDITY of the k-th mailbox).
"""

from typing import ClassVar, Self

from gateway.domain.aggregate import Aggregate, CreatedEvent
from gateway.domain.events import Stamp
from gateway.mail.ids import AccountId, MailboxId


class TreeCreated(CreatedEvent, frozen=True, kw_only=True):
    """tree.<account_id>: the account's first mailbox is there, INBOX. base: as in account.created."""

    TOPIC: ClassVar[str] = "tree.created/1"

    account_id: AccountId
    base: int
    mailbox_id: MailboxId  # of INBOX


class MailboxTree(Aggregate):
    TOPIC: ClassVar[str] = "tree"

    def __init__(self, account_id: AccountId, base: int, mailbox_id: MailboxId) -> None:
        self.account_id = account_id
        self.base = base
        self.inbox_id = mailbox_id

    @classmethod
    def create(cls, account_id: AccountId, stamp: Stamp, *, base: int, inbox_id: MailboxId) -> Self:
        return cls.create_as(
            TreeCreated, tree_id(account_id), stamp, account_id=account_id, base=base, mailbox_id=inbox_id
        )


def tree_id(account_id: AccountId) -> str:
    """`tree_…`: an aggregate's id is its own even where it is one with its account."""
    return "tree" + account_id.removeprefix("acc")
