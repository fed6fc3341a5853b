"""The queue as `saraban queue` has it on the data folder: rows, and deeds as the local operator."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from gateway.cli.desk import stamp
from gateway.domain.steering import Deed, Hold, Release
from gateway.mail.ids import MailId
from gateway.processes.steering import Steered, Steering
from gateway.wiring.desk import Desk
from projections.queue import listing
from projections.queue.listing import Choice, Destination, HostTried
from projections.queue.project import Key, Recipient
from projections.queue.standing import StandingHold

# Longer than a lease: a relay that died with one has lost it by then.
PATIENCE_S: Final = 75.0


class DeskQueue:
    """All raise Unavailable."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def count(self, choice: Choice) -> int:
        async with self._desk.pool.rows() as rows:
            return await listing.count(rows, choice)

    async def destinations(self, choice: Choice, limit: int) -> tuple[int, list[Destination]]:
        """How many recipients wait, and the destinations for which most of them do."""
        async with self._desk.pool.rows() as rows:
            found = await listing.destinations(rows, choice, limit=limit)
            found = await listing.with_holds(rows, await listing.with_agencies(rows, found))
            return await listing.count(rows, choice), found

    async def standing_holds(self) -> list[StandingHold]:
        async with self._desk.pool.rows() as rows:
            return await listing.standing_holds(rows)

    async def recipients(self, choice: Choice, limit: int) -> tuple[int, list[Recipient]]:
        """How many wait, and the longest waiting of them."""
        async with self._desk.pool.rows() as rows:
            return await listing.count(rows, choice), await listing.list_waiting(rows, choice, limit=limit)

    async def of_mail(self, mail_id: MailId) -> list[Recipient]:
        async with self._desk.pool.rows() as rows:
            return await listing.of_mail(rows, mail_id)

    async def hosts_tried(self, mail_id: MailId) -> list[HostTried]:
        async with self._desk.pool.rows() as rows:
            return await listing.hosts_tried(rows, mail_id)

    async def all(self, choice: Choice) -> AsyncIterator[Recipient]:
        async with self._desk.pool.rows() as rows:
            async for page in listing.all_waiting(rows, choice):
                for row in page:
                    yield row

    async def look(self, choice: Choice, keys: Sequence[Key]) -> list[Recipient]:
        """Those recipients as they are now, also those that have ended."""
        found = list[Recipient]()
        async with self._desk.pool.rows() as rows:
            for first in range(0, len(keys), listing.PAGE):
                found += await listing.rows_of(rows, keys[first : first + listing.PAGE])
        return found

    async def steer(self, choice: Choice, deed: Deed, reason: str, *, is_standing: bool = False) -> Steered:
        """is_standing: a hold is of what comes as well. A release of a whole destination always is."""
        desk, stands = self._desk, False
        async with desk.lane() as lane:
            steering = Steering(desk.pool, desk.log, lane, desk.keys, desk.clock, desk.entropy)
            toward = choice.toward
            if toward is not None and (isinstance(deed, Release) or (isinstance(deed, Hold) and is_standing)):
                stands = await steering.stand(toward, deed, stamp(desk), why=reason)
                choice = replace(choice, stands=None if is_standing else False)
            done = await steering.steer(choice, deed, stamp(desk), why=reason, patience_s=PATIENCE_S)
            return replace(done, stands=stands)
