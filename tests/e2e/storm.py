"""A load on a gateway with a next hop behind it, for tests that do harm meanwhile."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.accounting import Books, settle
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load, Plan, host_and_port
from tests.e2e.sink import Sink, running_sink
from tests.sizes import size

CONNECTIONS = size(8, 50)
PAUSE_S = size(400, 0) / 1000  # the small size leaves the two cores some air
SOME = 20  # acknowledged mails that show that a gateway works
PATIENCE_S = float(size(240, 1800))
HOSTED = ("malee@opdc.go.th", "somchai@opm.go.th")


@dataclass
class Storm:
    """harms: time.monotonic() from each harm until the gateway worked again."""

    gateway: Gateway
    load: Load
    sink: Sink
    folder: Path
    harms: list[tuple[float, float]] = field(default_factory=list)

    async def harm(self, work: Callable[[], object]) -> None:
        """Do something bad, in a thread: the load goes on."""
        self.harms.append((time.monotonic(), math.inf))
        await asyncio.to_thread(work)

    async def recovered(self) -> float:
        """Wait until mails are acknowledged again: seconds since the harm."""
        await self.acknowledged()
        begun, _ = self.harms.pop()
        self.harms.append((begun, time.monotonic()))
        return time.monotonic() - begun

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        await asyncio.to_thread(self.gateway.wait, condition, what, PATIENCE_S)

    async def acknowledged(self, more: int = SOME) -> None:
        """Wait until the gateway has said 250 so many more times."""
        wanted = self.load.acknowledged + more
        await self.until(lambda: self.load.acknowledged >= wanted, f"{wanted} mails are acknowledged")

    async def settled(self) -> Books:
        """End the load, wait until the gateway has come to rest, and balance the books."""
        self.load.stop()
        begun = time.monotonic()
        await asyncio.to_thread(self.gateway.wait_idle, PATIENCE_S)
        print(f"all mails decided, in rows and relayed {time.monotonic() - begun:.1f} s after the last one")
        books = await asyncio.to_thread(
            settle, self.gateway, self.load, self.sink, self.harms, self.folder / "exported"
        )
        print(f"{self.load.counts()}\n{books}")
        assert not books.faults, str(books)
        verdict = await asyncio.to_thread(self.gateway.cli, "check")
        assert verdict["verdict"] == "whole", verdict
        return books


@asynccontextmanager
async def storm(gateway: Gateway, folder: Path, connections: int = CONNECTIONS) -> AsyncIterator[Storm]:
    """It has begun when the block does; the gateway may be in any state when it ends."""
    async with running_sink(answer_delay_s=0.01) as sink:
        hop = ("agency", "add", "Hop", "--domain", sink.domain, "--relay-to", sink.address)
        await asyncio.to_thread(gateway.cli, *hop)
        await asyncio.to_thread(gateway.wait_idle)
        there, (here, here_too) = f"office@{sink.domain}", HOSTED
        routes = [(here,), (here_too,), (there,), (here, here_too, there)]
        host, port = host_and_port(gateway.address("smtp"))
        plan = Plan(
            host, port, routes, connections=connections, octets=2048, pause_s=PAUSE_S, seconds=PATIENCE_S
        )
        load = Load(plan)
        sending = asyncio.create_task(load.run())
        try:
            storm = Storm(gateway, load, sink, folder)
            await storm.acknowledged()
            yield storm
        finally:
            load.stop()
            await ended(sending)


async def ended(task: Awaitable[None]) -> None:
    """Wait for a load that was told to stop; a gateway that is gone must not keep it."""
    async with asyncio.timeout(PATIENCE_S):
        await task
