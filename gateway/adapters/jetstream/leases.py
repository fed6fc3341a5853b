"""Who is active: one value per name that the server forgets when nobody renews it.

The holder renews it more than once a second; a name nobody renewed for 3 seconds is free. A holder whose
renewals went unanswered for 2 seconds by its own monotonic clock counts itself as deposed before the server
does. What a paused holder may still send when it wakes is kept out by its lane, which the next holder has
opened.
Source: facts-nats §8, ADR-43 of NATS (TTL per message).
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from gateway.adapters.jetstream import streams, wire
from gateway.adapters.jetstream.link import SERVICE, Link
from gateway.adapters.jetstream.wire import Outgoing, ServerRefused, Stored, Unanswered
from gateway.adapters.tenure import tenure
from gateway.ports import Clock, Unavailable

TTL_S: Final = 3
RENEW_AFTER_S: Final = 0.75
LOST_AFTER_S: Final = 2.0  # less than the TTL by more than two clocks may disagree over it
ASK_AGAIN_AFTER_S: Final = 0.25
FREE: Final = b""


class JetStreamLeases:
    """The port Leases on the stream LEASE."""

    def __init__(self, link: Link, clock: Clock, stream: str = streams.LEASES) -> None:
        self._link, self._clock, self._stream = link, clock, stream
        self._holder = uuid.uuid4().hex.encode()

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        subject = f"lease.{wire.token_of(name)}"
        sequence, held_since = await self._take(subject)
        lost = asyncio.Event()

        async def keep() -> None:
            await self._renew(subject, sequence, held_since)
            lost.set()

        keeping = asyncio.create_task(keep(), name=f"lease {name}")
        try:
            async with tenure(name, lost):
                yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            if not lost.is_set():
                await self._free(subject)

    async def _take(self, subject: str) -> tuple[int, float]:
        """Wait until it is free and take it; its sequence, and the moment it counts from."""
        while True:
            try:
                last = await self._link.last(self._stream, subject)
                if last is None or _is_free(last):
                    asked_at = self._clock.monotonic()
                    taken = await self._put(subject, self._holder, last.sequence if last else 0)
                    return taken, asked_at
            except ServerRefused as refused:
                if not (refused.is_conflict or refused.is_passing):
                    raise refused.as_port_error(SERVICE) from refused
            except (Unanswered, Unavailable):
                pass  # if it was stored after all, it is free again when its time is over
            await self._clock.sleep(ASK_AGAIN_AFTER_S)

    async def _renew(self, subject: str, sequence: int, held_since: float) -> None:
        """Returns when the lease is lost."""
        while (now := self._clock.monotonic()) < held_since + LOST_AFTER_S:
            try:
                async with asyncio.timeout(held_since + LOST_AFTER_S - now):
                    await self._clock.sleep(RENEW_AFTER_S)
                    asked_at = self._clock.monotonic()
                    sequence = await self._put(subject, self._holder, await self._own(subject, sequence))
                    held_since = asked_at
            except (Unanswered, Unavailable, TimeoutError):
                continue
            except ServerRefused:  # another holder, or its time was over
                return

    async def _own(self, subject: str, sequence: int) -> int:
        """The sequence of our last renewal, also when its answer was lost."""
        last = await self._link.last(self._stream, subject)
        return last.sequence if last and last.payload == self._holder else sequence

    async def _free(self, subject: str) -> None:
        with suppress(ServerRefused, Unanswered, Unavailable):  # then its time runs out
            await self._put(subject, FREE, await self._own(subject, 0))

    async def _put(self, subject: str, payload: bytes, expected: int) -> int:
        headers = {"Nats-TTL": f"{TTL_S}s", wire.EXPECTED: str(expected)}
        return await self._link.publish(Outgoing(subject, payload, headers))


def _is_free(last: Stored) -> bool:
    """Given back, or forgotten by the server, which leaves a marker without a payload."""
    return last.payload == FREE
