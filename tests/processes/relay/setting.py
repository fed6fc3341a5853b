"""A relay at work on mails that a router queued, and what the log says afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from gateway.adapters.memory.log import MemoryLane, open_lane
from gateway.adapters.system import SystemClock
from gateway.domain.events import (
    Actor,
    Attempted,
    AttemptSecret,
    MailBounced,
    MailDeferred,
    MailQueued,
    MailRelayed,
)
from gateway.domain.pace import Bounds
from gateway.domain.retries import RetrySchedule
from gateway.domain.routing import attempt_label
from gateway.domain.sealing import unseal, unwrap
from gateway.mail.dsn_options import NOTHING_ASKED, DsnOptions
from gateway.ports import START
from gateway.processes.relay.connection import Timeouts
from gateway.processes.relay.paces import Paces
from gateway.processes.relay.relay import Means, Relay
from gateway.processes.relay.securing import opportunistic_context
from tests.processes.relay.host import Host
from tests.processes.relay.paces import MemoryPaces
from tests.processes.relay.queue import MemoryQueue
from tests.processes.router.test_router import router, running
from tests.processes.world import BY, DLD, MESSAGE, World

ACTOR = Actor("system", "test")


class RealClock(SystemClock):
    """Time goes on by itself, and can be moved on."""

    def __init__(self) -> None:
        self.moved_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.moved_s)

    def monotonic(self) -> float:
        return super().monotonic() + self.moved_s

    def move(self, seconds: float) -> None:
        self.moved_s += seconds


class Setting:
    """A world whose mails for dld.go.th go to a host."""

    def __init__(self) -> None:
        self.world = World()
        self.clock = RealClock()
        self.watched: MemoryPaces | None = None  # what the one relay of a test is to know of destinations
        self.world.clock = self.clock  # type: ignore[assignment]
        self.queue = MemoryQueue(self.world)
        self.means = Means(
            hostname="mail.opm.go.th",
            demo=False,
            bounds=Bounds(4),
            schedule=RetrySchedule(),
            timeouts=Timeouts(connect=5, reply=5, block=5, conclusion=5),
            tls_context=opportunistic_context(),
        )

    def paces(self) -> Paces:
        """For one relay; it has the destinations to itself."""
        return self.watched or MemoryPaces(self.clock, self.means.bounds)

    async def queued(
        self,
        *rcpt_to: str,
        mails: int = 1,
        message: bytes = MESSAGE,
        dsn: DsnOptions = NOTHING_ASKED,
        **asked: Any,
    ) -> None:
        """Put mails into the log and let the router queue them."""
        before = len(await self.world.of(MailQueued.TOPIC))
        for _ in range(mails):
            await self.world.accept(*(rcpt_to or ("bob@dld.go.th",)), message=message, dsn=dsn, **asked)
        async with running(router(self.world)):
            await self.world.until(MailQueued.TOPIC, before + mails)

    @asynccontextmanager
    async def relay(self, host: Host | None = None) -> AsyncIterator[MemoryLane]:
        if host is not None:
            self.queue.hops[DLD] = host.hop
        async with open_lane(self.world.log, "relay-test-0", clock=self.clock, actor=ACTOR, by=BY) as lane:
            relay = Relay(
                queue=self.queue,
                paces=self.paces(),
                lane=lane,
                content=self.world.contents,
                keys=self.world.keys,
                clock=self.clock,
                entropy=self.world.entropy,
                by=BY,
                means=self.means,
            )
            task = asyncio.create_task(relay.run())
            try:
                yield lane
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def outcomes(self, number: int) -> list[Attempted]:
        """Wait for so many outcomes of attempts."""
        found = list[Attempted]()
        async with asyncio.timeout(30):
            async for batch in self.world.log.follow(START):
                events = [recorded.event for recorded in batch]
                found += [e for e in events if isinstance(e, MailRelayed | MailDeferred | MailBounced)]
                if len(found) >= number:
                    break
        return found

    async def said(self, event: Attempted) -> AttemptSecret:
        (wrap,) = event.keys
        data_key = unwrap(wrap.wrapped, await self.world.keys.get(wrap.key))
        return unseal(AttemptSecret, event.sealed, data_key, label=attempt_label(event.mail_id))
