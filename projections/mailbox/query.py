"""What a reader sees of an account's mailboxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from gateway.domain.events import Content, Message, Wrap
from gateway.mail.ids import AccountId, MailboxId, MailId
from projections.mailbox.project import MailboxModel
from projections.readmodel import Rows, schema_of

_SCHEMA = schema_of(MailboxModel)
_WRAPS = msgspec.json.Decoder(tuple[Wrap, ...])
_HEAD = """mailbox_id, uid, mail_id, position, modseq, internal_date, octets, presented_octets,
    subject, from_, message_id, digest"""
_WHOLE = "hint, large, attachments, hidden, sealed, keys, front, summary"


@dataclass(frozen=True, slots=True)
class MailboxRow:
    account_id: AccountId
    mailbox_id: MailboxId
    role: str  # "inbox", RFC 6154 special use, or ""
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class Head:
    """A line of a mailbox list. subject, from_, message_id: blank when the key is gone."""

    mailbox_id: MailboxId
    uid: int
    mail_id: MailId
    position: int
    modseq: int
    internal_date: datetime
    octets: int
    presented_octets: int
    subject: str
    from_: str
    message_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class MessageRow:
    """All a reader needs to open a message. front, summary: b"" when the key is gone."""

    head: Head
    message: Message
    keys: tuple[Wrap, ...]
    front: bytes
    summary: bytes


async def list_mailboxes(rows: Rows, account_id: AccountId) -> list[MailboxRow]:
    """Those that are there, INBOX first."""
    found = await rows.fetch(
        f"""SELECT account_id, mailbox_id, role, uidvalidity, uidnext, highestmodseq, messages, octets
        FROM {_SCHEMA}.mailbox WHERE account_id = $1 AND closed_at IS NULL
        ORDER BY role <> 'inbox', uidvalidity""",
        account_id,
    )
    return [MailboxRow(*row.values()) for row in found]


async def list_messages(
    rows: Rows, account_id: AccountId, mailbox_id: MailboxId, *, after_uid: int = 0, limit: int = 1_000
) -> list[Head]:
    """By UID, without what was expunged."""
    found = await rows.fetch(
        f"""SELECT {_HEAD} FROM {_SCHEMA}.message
        WHERE account_id = $1 AND mailbox_id = $2 AND uid > $3 AND expunged_at IS NULL
        ORDER BY uid LIMIT $4""",
        account_id,
        mailbox_id,
        after_uid,
        limit,
    )
    return [Head(*row.values()) for row in found]


async def read_messages(
    rows: Rows, account_id: AccountId, mailbox_id: MailboxId, uids: Sequence[int]
) -> list[MessageRow]:
    """Those of the UIDs that are there, by UID."""
    found = await rows.fetch(
        f"""SELECT {_HEAD}, {_WHOLE} FROM {_SCHEMA}.message
        WHERE account_id = $1 AND mailbox_id = $2 AND uid = ANY($3::bigint[]) AND expunged_at IS NULL
        ORDER BY uid""",
        account_id,
        mailbox_id,
        list(uids),
    )
    return [_message(row) for row in found]


async def find_mail(rows: Rows, account_id: AccountId, mail_id: MailId) -> list[MessageRow]:
    """Where the account has this mail."""
    found = await rows.fetch(
        f"""SELECT {_HEAD}, {_WHOLE} FROM {_SCHEMA}.message
        WHERE account_id = $1 AND mail_id = $2 AND expunged_at IS NULL ORDER BY mailbox_id, uid""",
        account_id,
        mail_id,
    )
    return [_message(row) for row in found]


def _message(row: asyncpg.Record) -> MessageRow:
    head = Head(*list(row.values())[:12])
    bounds = row["hidden"]
    content = Content(head.digest, head.octets, row["hint"], row["large"], tuple(row["attachments"]))
    hidden = tuple(zip(bounds[::2], bounds[1::2], strict=True))
    message = Message(content, head.presented_octets, row["sealed"], hidden)
    return MessageRow(head, message, _WRAPS.decode(row["keys"]), row["front"], row["summary"])
