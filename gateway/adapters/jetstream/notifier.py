"""Hints that rows have changed: core NATS, heard by whoever listens now, never stored."""

from collections.abc import Collection

from gateway.adapters.jetstream.link import Link
from gateway.mail.ids import AccountId, slot_of


class JetStreamNotifier:
    """The port Notifier: `changed.<slot>.<account_id>`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def changed(self, accounts: Collection[AccountId]) -> None:
        for account_id in accounts:
            await self._link.announce(f"changed.{slot_of(account_id)}.{account_id}")
