"""Who has mailboxes here, and whose domain is whose: folded from the aggregates' events and the claims.

Source: architecture §4 (Subjects, Sealed).
"""

from collections.abc import Sequence
from typing import Final

from gateway.domain.account import AccountCreated, AccountSecret, account_key_name, account_label
from gateway.domain.addresses import AddressClaimed, AddressSecret, DomainClaimed, address_label
from gateway.domain.agency import AgencyCreated
from gateway.domain.events import Event
from gateway.domain.mailboxtree import TreeCreated
from gateway.mail.ids import AccountId
from gateway.ports import Recorded
from projections.keyring import Keyring, Keys, clear
from projections.readmodel import ReadModel, Rows

INSERT: Final = {
    AgencyCreated.TOPIC: """INSERT INTO agency SELECT * FROM
        unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[]) ON CONFLICT DO NOTHING""",
    DomainClaimed.TOPIC: """INSERT INTO domain SELECT * FROM unnest($1::text[], $2::text[])
        ON CONFLICT DO NOTHING""",
    AccountCreated.TOPIC: """INSERT INTO account SELECT * FROM unnest($1::text[], $2::text[], $3::text[],
        $4::bigint[], $5::text[], $6::text[], $7::timestamptz[]) ON CONFLICT DO NOTHING""",
    TreeCreated.TOPIC: """INSERT INTO inbox SELECT * FROM unnest($1::text[], $2::text[])
        ON CONFLICT DO NOTHING""",
    AddressClaimed.TOPIC: """INSERT INTO address SELECT * FROM
        unnest($1::text[], $2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING""",
}


class DirectoryModel(ReadModel):
    name = "directory"
    topics = frozenset(INSERT)

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    async def keys_for(self, batch: Sequence[Recorded]) -> Keys:
        return await self._ring.fetch_named(
            account_key_name(account_id) for event in batch for account_id in _sealed_for(event.event)
        )

    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        by_topic: dict[str, list[tuple[object, ...]]] = {}
        for event in batch:
            by_topic.setdefault(event.topic, []).append(_row(event.event, keys))
        for topic, values in by_topic.items():
            await rows.execute(INSERT[topic], *map(list, zip(*values, strict=True)))


def _row(event: Event, keys: Keys) -> tuple[object, ...]:
    match event:
        case AgencyCreated(originator_id=agency_id, name=name, relay_to=None):
            return agency_id, clear(name), None, None, event.at
        case AgencyCreated(originator_id=agency_id, name=name, relay_to=hop):
            assert hop is not None, event
            return agency_id, clear(name), hop.host, hop.port, event.at
        case DomainClaimed():
            return event.domain, event.agency_id
        case AccountCreated():
            return _account(event, keys)
        case TreeCreated():
            return event.account_id, event.mailbox_id
        case AddressClaimed():
            name = account_key_name(event.account_id)
            label = address_label(event.account_id)
            secret = keys.unseal_with(AddressSecret, event.sealed, name, label=label)
            address = clear(secret.address) if secret else None
            return event.name, address, event.account_id, event.agency_id
    raise AssertionError(event)


def _account(event: AccountCreated, keys: Keys) -> tuple[object, ...]:
    account_id = AccountId(event.originator_id)
    secret = keys.unseal_with(
        AccountSecret, event.sealed, account_key_name(account_id), label=account_label(account_id)
    )
    return (
        account_id,
        event.agency_id,
        event.kind,
        event.quota_octets,
        clear(secret.address) if secret else "",
        clear(secret.display_name) if secret else "",
        event.at,
    )


def _sealed_for(event: Event) -> list[AccountId]:
    """The account whose key the event wants opened."""
    match event:
        case AccountCreated():
            return [AccountId(event.originator_id)]
        case AddressClaimed():
            return [event.account_id]
    return []
