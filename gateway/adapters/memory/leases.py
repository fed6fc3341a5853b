"""Leases, in memory."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.adapters.tenure import tenure


class MemoryLeases:
    """The port Leases."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._lost: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        async with self._locks[name]:
            lost = self._lost[name] = asyncio.Event()
            async with tenure(name, lost):
                yield

    def lose(self, name: str) -> None:
        """What happens to a holder that was paused too long."""
        self._lost[name].set()
