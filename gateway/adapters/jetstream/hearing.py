"""Hints that rows have changed, as they are heard: one subscription an account."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats.errors
from nats.aio.msg import Msg

from gateway.adapters.hearers import Hearers, Stop
from gateway.adapters.jetstream.link import SERVICE, Link
from gateway.mail.ids import AccountId, slot_of
from gateway.ports import Unavailable

FLUSH_TIMEOUT_S = 5
PENDING_MAX = 1_000  # hints that wait to be looked at; that more are dropped changes nothing


class JetStreamHearing:
    """The port Hearing."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._hearers = Hearers(self._listen)

    @asynccontextmanager
    async def of(self, account_id: AccountId) -> AsyncIterator[asyncio.Event]:
        async with self._hearers.of(account_id) as hint:
            with self._link.when_regained(hint.set):
                yield hint

    async def _listen(self, account_id: AccountId) -> Stop:
        async def heard(message: Msg) -> None:
            self._hearers.heard(account_id)

        subject = f"changed.{slot_of(account_id)}.{account_id}"
        try:
            subscription = await self._link.client.subscribe(
                subject, cb=heard, pending_msgs_limit=PENDING_MAX
            )
            await self._link.client.flush(FLUSH_TIMEOUT_S)  # from here on nothing is missed
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(SERVICE, f"cannot listen for changes: {error!r}") from error

        async def stop() -> None:
            try:
                await subscription.unsubscribe()
            except nats.errors.Error:  # the line is gone, and it with it
                return

        return stop
