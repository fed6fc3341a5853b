"""What others may do with mailboxes, what they have seen there, and what is on its way between accounts.

Source: RFC 4314 (rights); architecture §2 (moves between accounts); ADR 0027.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.mail.ids import AccountId, MailboxId, MailId
from gateway.ports import Position
from projections.mailbox.project import MailboxModel
from projections.mailbox.query import MailboxRow, list_mailboxes
from projections.readmodel import Rows, schema_of

_SCHEMA: Final = schema_of(MailboxModel)


async def rights_given(rows: Rows, account_id: AccountId, mailbox_id: MailboxId) -> dict[str, str]:
    """By holder, those that have any, in the order of their ids."""
    found = await rows.fetch(
        f"""SELECT holder, rights FROM {_SCHEMA}.share
        WHERE account_id = $1 AND mailbox_id = $2 AND rights <> '' ORDER BY holder""",
        account_id,
        mailbox_id,
    )
    return dict(map(tuple, found))


async def shared_with(
    rows: Rows, holders: Collection[str]
) -> dict[AccountId, dict[MailboxId, dict[str, str]]]:
    """The rights that these have, by owner, mailbox and holder; also to mailboxes that are gone."""
    found = await rows.fetch(
        f"""SELECT account_id, mailbox_id, holder, rights FROM {_SCHEMA}.share
        WHERE holder = ANY($1::text[]) AND rights <> '' ORDER BY account_id, mailbox_id""",
        list(holders),
    )
    shared: dict[AccountId, dict[MailboxId, dict[str, str]]] = {}
    for account_id, mailbox_id, holder, rights in found:
        shared.setdefault(account_id, {}).setdefault(mailbox_id, {})[holder] = rights
    return shared


async def unfollowed_by(rows: Rows, account_id: AccountId) -> frozenset[MailboxId]:
    """The mailboxes of others that an account does not subscribe to."""
    found = await rows.fetch(
        f"SELECT mailbox_id FROM {_SCHEMA}.follow WHERE account_id = $1 AND NOT is_subscribed", account_id
    )
    return frozenset(mailbox_id for (mailbox_id,) in found)


async def mailboxes_of(
    rows: Rows, account_ids: Collection[AccountId]
) -> Mapping[AccountId, Sequence[MailboxRow]]:
    """All that are there, in the order of `list_mailboxes`."""
    return {account_id: await list_mailboxes(rows, account_id) for account_id in account_ids}


async def seen_by(rows: Rows, viewer: AccountId, boxes: Collection[Position]) -> dict[Position, int]:
    """How many messages of these mailboxes somebody who is not the owner has seen. boxes: their opened_at."""
    found = await rows.fetch(
        f"""SELECT box, count(*) FROM {_SCHEMA}.sight JOIN {_SCHEMA}.message USING (box, uid)
        WHERE viewer = $1 AND box = ANY($2::bigint[]) AND is_seen AND expunged_at IS NULL GROUP BY box""",
        viewer,
        list(boxes),
    )
    return dict(map(tuple, found))


@dataclass(frozen=True, slots=True)
class Departure:
    """A message that has left an account and not arrived at the other. mail_id: what it is there."""

    position: Position  # of message.moved_out
    account_id: AccountId
    mailbox_id: MailboxId
    uid: int
    mail_id: MailId
    to_account_id: AccountId
    to_mailbox_id: MailboxId
    mover: AccountId
    at: datetime


async def departures(
    rows: Rows, *, since: datetime | None, before: datetime, but: Collection[MailId], limit: int
) -> list[Departure]:
    """Those that left between two instants and have not arrived, as far as the rows know, the first first.

    since: None: ever. but: these are not looked for.
    """
    found = await rows.fetch(
        f"""SELECT d.position, account_id, mailbox_id, uid, d.mail_id, to_account_id, to_mailbox_id, mover, at
        FROM {_SCHEMA}.departure AS d JOIN {_SCHEMA}.mailbox ON opened_at = box
        WHERE at < $1 AND ($2::timestamptz IS NULL OR at >= $2) AND NOT EXISTS (SELECT FROM {_SCHEMA}.delivery
            WHERE delivery.account_id = to_account_id AND delivery.mail_id = d.mail_id)
            AND d.mail_id <> ALL($3::text[])
        ORDER BY d.position, uid LIMIT $4""",
        before,
        since,
        list(but),
        limit,
    )
    return [Departure(*row) for row in found]
