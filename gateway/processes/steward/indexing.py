"""What messages say comes into the rows that searches ask, a moment after the messages; and goes when their
account's key does.

A message that can never be read (lost, damaged, erased) is passed over: a search that comes to it reads it
itself, and tells. One that cannot be read just now is waited for.

Source: ADR 0026.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.domain.account import account_key_name
from gateway.ports import (
    Checkpoint,
    Clock,
    ContentCorrupt,
    ContentMissing,
    ContentStore,
    EventLog,
    KeyForgotten,
    KeyStore,
    Leases,
    Position,
    Unavailable,
)
from gateway.processes import maillog
from gateway.processes.looking import Looked
from gateway.processes.presenting import open_message
from projections import texts
from projections.checkpoint import position_of
from projections.mailbox.project import MailboxModel
from projections.mailbox.query import Arrival, arrivals
from projections.readmodel import Pool
from projections.texts import Said, fields_text

LEASE: Final = "steward-texts"
LOOK_EVERY_S: Final = 0.5
TRY_AGAIN_AFTER_S: Final = 1.0
FORGET_EVERY_S: Final = 60.0
ARRIVALS_MAX: Final = 100  # read ahead together (16 MiB at most) and added in one transaction
CHARACTERS_MAX: Final = 8 * 1024 * 1024  # of texts added together, so that few large ones do not fill memory


async def fill(indexer: "Indexer", clock: Clock, leases: Leases) -> None:
    """Take in what has come while the lease is ours, until cancelled. Raises Deposed."""
    async with leases.hold(LEASE):
        is_compared = False
        while True:
            try:
                if not is_compared:
                    await indexer.compare()
                    is_compared = True
                if not await indexer.step():
                    await clock.sleep(LOOK_EVERY_S)
            except Unavailable as error:
                maillog.service_unavailable(service=error.service, reason=error.reason, doing="index texts")
                await clock.sleep(TRY_AGAIN_AFTER_S)


async def forget(indexer: "Indexer", clock: Clock, leases: Leases) -> None:
    """Let texts go with their account's key, until cancelled. To ask for the keys of many accounts takes
    minutes, so nothing else waits for it."""
    async with leases.hold(f"{LEASE}-erased"):
        while True:
            try:
                await indexer.forget_erased()
            except Unavailable as error:
                maillog.service_unavailable(service=error.service, reason=error.reason, doing="forget texts")
            await clock.sleep(FORGET_EVERY_S)


class Indexer:
    """Goes through what has come in the order of the log; where it is stands in the rows."""

    def __init__(self, log: EventLog, pool: Pool, content: ContentStore, keys: KeyStore) -> None:
        self._log, self._pool, self._content, self._keys = log, pool, content, keys

    async def compare(self) -> None:
        """Begin again when the texts are of another log (one brought back from a backup has other messages at
        the same positions); for who starts, as every role does when that may be. Raises Unavailable."""
        async with self._pool.rows() as rows:
            known = await texts.checkpoint(rows)
        if known.position and await self._at(known.position) != known:
            await texts.begin_again(self._pool)

    async def step(self) -> bool:
        """Take in some more; False: there was nothing, or somebody else did. Raises Unavailable."""
        async with self._pool.rows() as rows:
            after = await texts.reached(rows)
            # Before that no slot of accounts can bring anything any more.
            last = await position_of(rows, MailboxModel)
            if last <= after:
                return False
            found = await arrivals(rows, after, last, limit=ARRIVALS_MAX)
        said, up_to = await self._read(found)
        if up_to is None:
            up_to = last if len(found) < ARRIVALS_MAX else found[-1].position
        checkpoint = await self._at(up_to)
        return checkpoint is not None and await texts.add(self._pool, said, after=after, up_to=checkpoint)

    async def forget_erased(self) -> None:
        """Texts of accounts whose key is gone. Raises Unavailable."""
        async with self._pool.rows() as rows:
            known = await texts.accounts(rows)
        for account_id in known:
            try:
                await self._keys.get(account_key_name(account_id))
            except KeyForgotten:
                async with self._pool.rows() as rows:
                    await texts.forget(rows, account_id)

    async def _at(self, position: Position) -> Checkpoint | None:
        """None: the log is shorter."""
        try:
            return Checkpoint(position, (await self._log.read(position)).digest)
        except IndexError:
            return None

    async def _read(self, found: Sequence[Arrival]) -> tuple[list[Said], Position | None]:
        """What they say, and up to where it goes if that is not all of them."""
        await self._content.read_ahead([arrival.message.content for arrival in found])
        said: list[Said] = []
        characters = 0
        for arrival in found:
            if (one := await self._said(arrival)) is not None:
                said.append(one)
                characters += len(one.body)
            if characters > CHARACTERS_MAX:
                return said, arrival.position
            await asyncio.sleep(0)  # what is held already is read without a pause
        return said, None

    async def _said(self, arrival: Arrival) -> Said | None:
        try:
            opened = await open_message(self._keys, arrival.mail_id, arrival.message, arrival.keys)
            looked = Looked(self._content, opened)
            header, body = fields_text(await looked.header()), await looked.text()
        except KeyForgotten:
            return None
        except (ContentMissing, ContentCorrupt) as error:
            maillog.content_unreadable(reason=str(error))
            return None
        return Said(arrival.account_id, arrival.position, header, body)
