"""Who listens for hints about an account: any number of sessions, one subscription."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.mail.ids import AccountId

Stop = Callable[[], Awaitable[None]]
Listen = Callable[[AccountId], Awaitable[Stop]]


class Hearers:
    """The hints of one process. listen: begins to hear of an account, and gives what ends it again."""

    def __init__(self, listen: Listen) -> None:
        self._listen = listen
        self._hints: dict[AccountId, set[asyncio.Event]] = {}
        self._stops: dict[AccountId, Stop] = {}
        self._turn = asyncio.Lock()  # subscriptions come and go one after the other

    def heard(self, account_id: AccountId) -> None:
        for hint in self._hints.get(account_id, ()):
            hint.set()

    @asynccontextmanager
    async def of(self, account_id: AccountId) -> AsyncIterator[asyncio.Event]:
        hint = asyncio.Event()
        async with self._turn:
            if account_id not in self._stops:
                self._stops[account_id] = await self._listen(account_id)
            self._hints.setdefault(account_id, set()).add(hint)
        try:
            yield hint
        finally:
            self._hints[account_id].discard(hint)
            await asyncio.shield(self._leave(account_id))

    async def _leave(self, account_id: AccountId) -> None:
        async with self._turn:
            if account_id in self._hints and not self._hints[account_id]:
                del self._hints[account_id]
                await self._stops.pop(account_id)()
