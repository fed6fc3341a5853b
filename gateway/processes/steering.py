"""Steering the queue: a person's deed on every recipient that waits and is chosen.

As a relay does before it tries (architecture §2.4): take the lease, read the log's last position, wait until
the rows have reached it, look again, and only then append. So nobody is cancelled who is being tried, and
nobody is tried who is cancelled. Whom a relay has not begun with it gives back when it is asked to.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Final

from gateway.domain.agency import NextHop
from gateway.domain.events import Fact, MailQueued, Stamp
from gateway.domain.group import parts
from gateway.domain.sealing import NONCE_OCTETS, unwrap
from gateway.domain.standing import Toward
from gateway.domain.steering import Deed, Hold, Release, Retry, Waiting, changes, steered
from gateway.mail.ids import MailId
from gateway.ports import Clock, Entropy, EventLog, KeyForgotten, KeyStore, Lane, Position, Unavailable
from gateway.processes.standing import StandingHolds
from projections.checkpoint import reached
from projections.queue import leases, listing, pacing
from projections.queue.leases import Lease
from projections.queue.listing import Choice
from projections.queue.project import Key, QueueModel, Recipient
from projections.readmodel import Pool

LEASE_S: Final = 60.0
ROWS_TIMEOUT_S: Final = 10.0
BUSY_POLL_S: Final = 0.25
HOLDER_OCTETS: Final = 12


@dataclass(frozen=True, slots=True)
class Steered:
    """How many recipients. busy: a relay was trying them all the time, and nothing was done to them.

    next: after whom to go on; None: all that wait have been looked at. stands: a standing hold was begun or
    ended with it.
    """

    changed: int = 0
    unchanged: int = 0  # it was so already
    busy: int = 0
    next: Key | None = None
    stands: bool = False

    def __add__(self, other: "Steered") -> "Steered":
        """Of two parts, the second after the first."""
        changed, unchanged = self.changed + other.changed, self.unchanged + other.unchanged
        stands = self.stands or other.stands
        return Steered(changed, unchanged, self.busy + other.busy, other.next, stands)


class Steering:
    """All raise Unavailable, Full, Deposed; what was done until then is done, and doing it again is safe."""

    def __init__(
        self, pool: Pool, log: EventLog, lane: Lane, keys: KeyStore, clock: Clock, entropy: Entropy
    ) -> None:
        self._pool, self._log, self._lane = pool, log, lane
        self._keys, self._clock, self._entropy = keys, clock, entropy

    async def steer(
        self,
        choice: Choice,
        deed: Deed,
        stamp: Stamp,
        *,
        why: str,
        patience_s: float,
        after: Key = listing.START,
        pages_s: float = inf,
    ) -> Steered:
        """Do it to all that wait now and are chosen, page after page.

        patience_s: how long to wait for those being tried, when the pages are done. after: `next` of the part
        before. pages_s: no further page is begun then; one is done always.
        """
        start, begun_s = await self._log.last(), self._clock.monotonic()
        done, busy, goes_on = Steered(), list[Recipient](), True
        while goes_on and (page := await self._next_page(choice, after)):
            after = _key(page[-1])
            some, left = await self._page([row for row in page if row.position <= start], deed, stamp, why)
            done, busy = done + some, busy + left
            goes_on = len(page) == listing.PAGE and self._clock.monotonic() - begun_s < pages_s
        ends_s = self._clock.monotonic() + patience_s
        while busy and self._clock.monotonic() < ends_s:
            await self._clock.sleep(BUSY_POLL_S)
            async with self._pool.rows() as rows:
                again = await listing.still_waiting(rows, choice, list(map(_key, busy)))
            busy = []
            for first in range(0, len(again), listing.PAGE):
                some, left = await self._page(again[first : first + listing.PAGE], deed, stamp, why)
                done, busy = done + some, busy + left
        is_cut = not goes_on and len(page) == listing.PAGE
        return replace(done, busy=len(busy), next=after if is_cut else None)

    async def stand(self, toward: Toward, deed: Hold | Release, stamp: Stamp, *, why: str) -> bool:
        """Hold what comes as well, or no longer; before the deed is done to what waits. False: it was so.

        The rows know then whom relays have held until now: nobody is passed over by a release, which leaves
        those that another standing hold is of (Choice.stands).
        """
        holds = StandingHolds(self._log, self._keys, self._entropy)
        do = holds.hold if isinstance(deed, Hold) else holds.release
        position = await do(toward, stamp, why=why)
        await self._reach(await self._log.last())
        return position is not None

    async def _next_page(self, choice: Choice, after: Key) -> list[Recipient]:
        async with self._pool.rows() as rows:
            return await listing.list_waiting(rows, choice, after=after)

    async def _page(
        self, page: Sequence[Recipient], deed: Deed, stamp: Stamp, why: str
    ) -> tuple[Steered, list[Recipient]]:
        """How many had it done to them, and those that others have now."""
        leased, busy = await self._lease(page)
        try:
            last = await self._log.last()
            await self._reach(last)
            taken = {(lease.mail_id, recipient) for lease in leased for recipient in lease.recipients}
            waiting, moved = await self._look_again([row for row in page if _key(row) in taken])
            wanted = [one for one in waiting if changes(deed, one)]
            facts = [await self._fact(deed, one, stamp, why) for one in wanted]
            for part in parts(facts):
                last = await self._lane.append(part)
            await self._reach(last)
            if isinstance(deed, Retry | Release):
                await self._probe_now({row.destination for row in page})
        finally:
            async with self._pool.rows() as rows:
                await leases.release(rows, leased)
        changed = sum(len(one.recipients) for one in wanted)
        same = sum(len(one.recipients) for one in waiting) - changed
        return Steered(changed, same), busy + moved

    async def _lease(self, page: Sequence[Recipient]) -> tuple[list[Lease], list[Recipient]]:
        """Ours now, and whom somebody else has, who is asked to give them back."""
        wanted: dict[MailId, list[int]] = {}
        for row in page:
            wanted.setdefault(MailId(row.mail_id), []).append(row.recipient)
        holder = leases.PERSON + self._entropy(HOLDER_OCTETS).hex()
        now_s = self._clock.monotonic()
        async with self._pool.rows() as rows:
            leased = await leases.take(rows, wanted, holder=holder, seconds=LEASE_S, now_s=now_s)
            ours = {(lease.mail_id, recipient) for lease in leased for recipient in lease.recipients}
            busy = [row for row in page if _key(row) not in ours]
            if busy:
                await leases.want(rows, list(map(_key, busy)))
        return leased, busy

    async def _probe_now(self, destinations: Collection[str]) -> None:
        """Who wants it tried knows more than we do: it does not wait until the next probe."""
        async with self._pool.rows() as rows:
            await pacing.probe_now(rows, destinations)

    async def _look_again(self, page: Sequence[Recipient]) -> tuple[list[Waiting], list[Recipient]]:
        """What is as it was, now that the rows know all that was in the log; and what has moved since."""
        async with self._pool.rows() as rows:
            now = {_key(row): row for row in await listing.rows_of(rows, list(map(_key, page)))}
            queued = await listing.queued_at(rows, sorted({row.position for row in page}))
        same = [row for row in page if now.get(_key(row)) == row]
        return _alike(same, queued), [row for row in page if now.get(_key(row)) != row]

    async def _fact(self, deed: Deed, waiting: Waiting, stamp: Stamp, why: str) -> Fact:
        nonce = partial(self._entropy, NONCE_OCTETS)
        data_key = await self._data_key(waiting.queued)
        return steered(deed, waiting, stamp, why=why, data_key=data_key, nonce=nonce)

    async def _data_key(self, queued: MailQueued) -> bytes | None:
        wrap = queued.keys[0]
        try:
            return unwrap(wrap.wrapped, await self._keys.get(wrap.key))
        except KeyForgotten:
            return None

    async def _reach(self, position: Position) -> None:
        if not await reached(self._pool, QueueModel, position, ROWS_TIMEOUT_S):
            raise Unavailable("queue", f"its rows have not reached position {position}")


def _key(row: Recipient) -> tuple[MailId, int]:
    return MailId(row.mail_id), row.recipient


def _alike(page: Sequence[Recipient], queued: dict[int, MailQueued]) -> list[Waiting]:
    """By mail.queued and what a deed may change."""
    alike: dict[tuple[int, bool, NextHop | None], list[int]] = {}
    for row in page:
        hop = NextHop(row.hop_host, row.hop_port) if row.hop_host else None
        alike.setdefault((row.position, row.is_held, hop), []).append(row.recipient)
    return [
        Waiting(queued[position], position, tuple(recipients), is_held, hop)
        for (position, is_held, hop), recipients in alike.items()
    ]
