"""Hints that rows have changed, in memory: who notifies and who hears are one object."""

import asyncio
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager

from gateway.adapters.hearers import Hearers, Stop
from gateway.mail.ids import AccountId


class MemoryHints:
    """The ports Notifier and Hearing."""

    def __init__(self) -> None:
        self._hearers = Hearers(self._listen)
        self.listened_to: list[AccountId] = []  # the subscriptions there would be

    async def changed(self, accounts: Collection[AccountId]) -> None:
        for account_id in accounts:
            self._hearers.heard(account_id)

    def of(
        self, account_id: AccountId, hint: asyncio.Event | None = None
    ) -> AbstractAsyncContextManager[asyncio.Event]:
        return self._hearers.of(account_id, hint)

    async def _listen(self, account_id: AccountId) -> Stop:
        self.listened_to.append(account_id)

        async def stop() -> None:
            self.listened_to.remove(account_id)

        return stop
