"""Hints that rows have changed, as they are heard: one subscription an account."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats.errors
from nats.aio.msg import Msg

from gateway.adapters.hearers import Hearers, Stop
from gateway.adapters.jetstream.link import SERVICE, Link
from gateway.mail.ids import AccountId, slot_of
from gateway.ports import Unavailable

PENDING_MAX = 1_000  # hints that wait to be looked at; that more are dropped changes nothing


class JetStreamHearing:
    """The port Hearing."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._hearers = Hearers(self._listen)

    @asynccontextmanager
    async def of(
        self, account_id: AccountId, hint: asyncio.Event | None = None
    ) -> AsyncIterator[asyncio.Event]:
        async with self._hearers.of(account_id, hint) as heard:
            with self._link.when_regained(heard.set):
                yield heard

    async def _listen(self, account_id: AccountId) -> Stop:
        async def heard(message: Msg) -> None:
            self._hearers.heard(account_id)

        subject = f"changed.{slot_of(account_id)}.{account_id}"
        try:
            subscription = await self._link.client.subscribe(
                subject, cb=heard, pending_msgs_limit=PENDING_MAX
            )
        except nats.errors.Error as error:
            raise Unavailable(SERVICE, f"cannot listen for changes: {error!r}") from error

        async def stop() -> None:
            with contextlib.suppress(nats.errors.Error):  # the line is gone, and it with it
                await subscription.unsubscribe()

        # Any answer shows that the subscription is there: from here on nothing is missed. The driver's own
        # flush does not, its PING overtakes what is pending (nats-py 2.16).
        try:
            await self._link.api("INFO")
        except Unavailable:
            await stop()
            raise
        return stop
