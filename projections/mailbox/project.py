"""Mailboxes and messages, folded from deliveries.

Order within a batch: mailboxes are opened first and carry the position they were opened at, so a delivery
sees those, and only those, that were there before it. However the log is cut into batches, rows are the same.

Source: architecture §1, §2 (delivery is once per mail and account), §6.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.domain.events import MailDelivered, MessageSecret
from gateway.domain.mailboxtree import TreeCreated
from gateway.domain.routing import message_label
from gateway.ports import Recorded
from projections.keyring import Keyring, Keys
from projections.mailbox.numbering import FIRST_UID, Arrival, Mailbox, number
from projections.readmodel import ReadModel, Rows
from projections.summary import heading_of

OPEN = f"""
INSERT INTO mailbox
SELECT account_id, mailbox_id, 'inbox', base + 1, {FIRST_UID}, position, 0, 0, position, NULL
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
    AS tree (account_id, mailbox_id, base, position)
ON CONFLICT DO NOTHING
"""
DELIVER = """
INSERT INTO delivery
SELECT DISTINCT ON (account_id, mail_id) account_id, mail_id, position
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS d (account_id, mail_id, position)
ORDER BY account_id, mail_id, position
ON CONFLICT DO NOTHING RETURNING position
"""
MAILBOXES = """
SELECT account_id, mailbox_id, role, uidnext, highestmodseq, opened_at, closed_at FROM mailbox
WHERE account_id = ANY($1::text[]) AND (role = 'inbox' OR mailbox_id = ANY($2::text[]))
"""
COUNT_IN = """
UPDATE mailbox AS m
SET uidnext = c.uidnext, highestmodseq = c.highestmodseq,
    messages = m.messages + c.messages, octets = m.octets + c.octets
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
    AS c (account_id, mailbox_id, uidnext, highestmodseq, messages, octets)
WHERE m.account_id = c.account_id AND m.mailbox_id = c.mailbox_id
"""
MESSAGE_COLUMNS: Final = (
    "account_id", "mailbox_id", "uid", "mail_id", "position", "modseq", "internal_date", "digest", "octets",
    "presented_octets", "hint", "large", "attachments", "hidden", "sealed", "keys", "subject", "from_",
    "message_id", "front", "summary", "expunged_at",
)  # fmt: skip


class MailboxModel(ReadModel):
    name = "mailbox"
    topics = frozenset({TreeCreated.TOPIC, MailDelivered.TOPIC})
    is_sharded = True
    wakes_readers = True

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    async def keys_for(self, batch: Sequence[Recorded]) -> Keys:
        delivered = [event.event for event in batch if isinstance(event.event, MailDelivered)]
        return await self._ring.fetch(wrap for event in delivered for wrap in event.keys)

    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        await _open_mailboxes(batch, rows)
        delivered = [(e.position, e.event) for e in batch if isinstance(e.event, MailDelivered)]
        if not delivered:
            return
        found = await rows.fetch(
            DELIVER,
            [event.account_id for _, event in delivered],
            [event.mail_id for _, event in delivered],
            [position for position, _ in delivered],
        )
        first = {row["position"] for row in found}
        counted = [(position, event) for position, event in delivered if position in first]
        if counted:
            await _add(counted, rows, keys)


async def _add(delivered: Sequence[tuple[int, MailDelivered]], rows: Rows, keys: Keys) -> None:
    mailboxes = [
        Mailbox(*row.values())
        for row in await rows.fetch(
            MAILBOXES,
            list({event.account_id for _, event in delivered}),
            list({event.mailbox_id for _, event in delivered}),
        )
    ]
    places = number([_arrival(*item) for item in delivered], mailboxes)
    records = [
        _row(position, event, *place, keys)
        for (position, event), place in zip(delivered, places, strict=True)
    ]
    await rows.copy_records_to_table("message", records=records, columns=MESSAGE_COLUMNS)
    changed = [mailbox for mailbox in mailboxes if mailbox.messages]
    await rows.execute(
        COUNT_IN,
        [mailbox.account_id for mailbox in changed],
        [mailbox.mailbox_id for mailbox in changed],
        [mailbox.uidnext for mailbox in changed],
        [mailbox.highestmodseq for mailbox in changed],
        [mailbox.messages for mailbox in changed],
        [mailbox.octets for mailbox in changed],
    )


def _row(position: int, event: MailDelivered, mailbox_id: str, uid: int, keys: Keys) -> tuple[object, ...]:
    message, content = event.message, event.message.content
    label = message_label(event.mail_id)
    secret = keys.unseal(MessageSecret, message.sealed, event.keys, label=label)
    heading = heading_of(secret.summary if secret else b"")
    return (
        event.account_id, mailbox_id, uid, event.mail_id, position, position, event.internal_date,
        content.digest, content.octets, message.presented_octets,
        content.hint, content.large, list(content.attachments),
        [bound for span in message.hidden for bound in span],
        message.sealed, msgspec.json.encode(event.keys),
        heading.subject, heading.from_, heading.message_id,
        secret.front if secret else b"", secret.summary if secret else b"",
        None,
    )  # fmt: skip


def _arrival(position: int, event: MailDelivered) -> Arrival:
    return Arrival(position, event.account_id, event.mailbox_id, event.message.presented_octets)


async def _open_mailboxes(batch: Sequence[Recorded], rows: Rows) -> None:
    trees = [(event.position, event.event) for event in batch if isinstance(event.event, TreeCreated)]
    if trees:
        await rows.execute(
            OPEN,
            [tree.account_id for _, tree in trees],
            [tree.mailbox_id for _, tree in trees],
            [tree.base for _, tree in trees],
            [position for position, _ in trees],
        )
