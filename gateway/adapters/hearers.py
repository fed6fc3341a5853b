"""Who listens for hints about an account: any number of sessions, one subscription."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.mail.ids import AccountId

Stop = Callable[[], Awaitable[None]]
Listen = Callable[[AccountId], Awaitable[Stop]]


@dataclass(slots=True, eq=False)
class _Account:
    """sessions: those that hear, or wait for their turn to. stop: None: it is not listened to yet."""

    sessions: int = 0
    hints: set[asyncio.Event] = field(default_factory=set)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    stop: Stop | None = None


class Hearers:
    """The hints of one process. listen: begins to hear of an account, and gives what ends it again."""

    def __init__(self, listen: Listen) -> None:
        self._listen = listen
        self._accounts: dict[AccountId, _Account] = {}

    def heard(self, account_id: AccountId) -> None:
        account = self._accounts.get(account_id)
        for hint in account.hints if account else ():
            hint.set()

    @asynccontextmanager
    async def of(
        self, account_id: AccountId, hint: asyncio.Event | None = None
    ) -> AsyncIterator[asyncio.Event]:
        account, hint = self._accounts.setdefault(account_id, _Account()), hint or asyncio.Event()
        account.sessions += 1
        try:
            async with account.turn:
                if account.stop is None:
                    account.stop = await self._listen(account_id)
                account.hints.add(hint)
            yield hint
        finally:
            account.hints.discard(hint)
            account.sessions -= 1
            if not account.sessions:
                await asyncio.shield(self._forget(account_id, account))

    async def _forget(self, account_id: AccountId, account: _Account) -> None:
        async with account.turn:
            if account.sessions:  # somebody came meanwhile
                return
            if self._accounts.get(account_id) is account:
                del self._accounts[account_id]
            stop, account.stop = account.stop, None
        if stop is not None:
            await stop()
