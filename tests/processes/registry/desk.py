"""An administrator's registry with everything behind it in memory, and a clock that is moved by hand."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeVar

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog
from gateway.domain.account import Account
from gateway.domain.aggregate import replay
from gateway.domain.events import Actor, By, Event, Fact
from gateway.domain.group import encode_group
from gateway.mail.ids import AgencyId
from gateway.ports import Recorded
from gateway.processes.registry.agencies import Agencies
from gateway.processes.registry.deciding import Deciding
from gateway.processes.registry.forwarding import Forwarding
from gateway.processes.registry.registry import Registry
from gateway.processes.registry.roles import Roles

D = TypeVar("D", bound=Deciding)
AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)


class MovedClock:
    def __init__(self) -> None:
        self.passed = timedelta()

    def now(self) -> datetime:
        return AT + self.passed

    def monotonic(self) -> float:
        return self.passed.total_seconds()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Desk:
    """An administrator's registry with everything behind it in memory."""

    def __init__(self) -> None:
        numbers = count(1)
        self.log = MemoryLog()
        self.keys = MemoryKeyStore(self.entropy)
        self.clock = MovedClock()
        self._numbers = numbers
        self.registry = self.another()
        self.agencies = self._for(Agencies)
        self.roles = self._for(Roles)
        self.forwarding = self._for(Forwarding)

    def entropy(self, octets: int) -> bytes:
        return next(self._numbers).to_bytes(octets, "big")

    def another(self) -> Registry:
        return self._for(Registry)

    def _for(self, kind: type[D]) -> D:
        return kind(
            log=self.log,
            keys=self.keys,
            count_accounts=self.count_accounts,
            clock=self.clock,
            entropy=self.entropy,
            actor=Actor("operator", "root"),
            by=By("cli", "0", ""),
        )

    async def count_accounts(self, agency_id: AgencyId) -> int:
        """As the rows would, that know all of the log."""
        histories: dict[str, list[Event]] = {}
        for recorded in await self.events():
            if recorded.subject.startswith("ev.account."):
                histories.setdefault(recorded.subject, []).append(recorded.event)
        accounts = [replay(Account, history) for history in histories.values()]
        return sum(a is not None and a.agency_id == agency_id and a.status != "closed" for a in accounts)

    def move(self, **passed: float) -> None:
        """Let time pass: days=180."""
        self.clock.passed += timedelta(**passed)

    async def events(self) -> Sequence[Recorded]:
        return [await self.log.read(at) for at in range(1, await self.log.last() + 1)]  # type: ignore[arg-type]

    async def topics(self) -> list[str]:
        return [recorded.topic for recorded in await self.events()]

    def spoil_next_append(self, position: int) -> None:
        """Tell the event at a position again, in its history, just before the next append."""
        append = self.log.append_guarded

        async def spoil_once(*args: object, **options: object) -> object:
            self.log.append_guarded = append  # type: ignore[method-assign]
            told = await self.log.read(position)  # type: ignore[arg-type]
            self.log.store(encode_group([Fact(told.subject.removeprefix("ev."), told.event)]))
            return await append(*args, **options)  # type: ignore[arg-type]

        self.log.append_guarded = spoil_once  # type: ignore[method-assign, assignment]
