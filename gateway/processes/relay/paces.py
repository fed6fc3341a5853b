"""The paces of destinations, as one relay needs them: places for its connections, and what became of them.

Source: ADR 0021.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from gateway.domain import pace
from gateway.domain.pace import PROBE_FIRST, Bounds, Full, Granted, Later, Pace, Situation, Suspended
from gateway.ports import Clock, Entropy
from projections.queue import pacing
from projections.readmodel import Pool

# Renewed long before it ends; so long a relay that was killed still counts, unless it is started again.
PLACE_S: Final = 60.0
TOKEN_OCTETS: Final = 12


@dataclass
class Place:
    """A connection's. ends_s: by the monotonic clock; 0.0: it was lost. may_bring: the mail that it was given
    with has not gone yet. is_leaving: the connection ends."""

    destination: str
    token: str
    ends_s: float
    may_bring: bool = True
    is_leaving: bool = False


class Paces(Protocol):
    """All raise Unavailable. Where a pace is told, it is told as it was before, and how all stands after."""

    async def inherit(self) -> None:
        """Give up the places of the process before, which is dead. Once: none is taken yet."""

    async def take(self, destination: str) -> tuple[Place | Full | Later | Suspended, Situation]:
        """A place for one more connection, with a first mail."""

    async def next_mail(self, place: Place) -> Granted | Later:
        """One mail more, by a connection there is."""

    async def opened(self, place: Place) -> tuple[Pace, Situation]:
        """Its host takes mail."""

    async def refused(self, place: Place, why: str) -> tuple[Pace, Situation]:
        """It came to nothing."""

    async def told(self, place: Place, went: int, deferred: int) -> tuple[Pace, Situation]:
        """What became of mails on it."""

    async def look(self, destinations: Collection[str]) -> Mapping[str, Situation]:
        """How they stand now, of those that anybody knows."""

    async def renew(self, places: Sequence[Place]) -> None:
        """Keep them; one that ran out is lost."""

    async def release(self, places: Sequence[Place]) -> None:
        """Their connections are closed."""


class PaceRows:
    """The port above, on the rows.

    bounds: the gateway's, for every destination. holder: this process and the ones before it (AtDot.token).
    probe_first: from the first suspension to the first probe.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        entropy: Entropy,
        *,
        bounds: Bounds,
        holder: str,
        probe_first: timedelta = PROBE_FIRST,
    ) -> None:
        self._pool, self._clock, self._entropy = pool, clock, entropy
        self._bounds, self._holder, self._probe_first = bounds, holder, probe_first

    async def inherit(self) -> None:
        async with self._pool.rows() as rows:
            await pacing.inherit(rows, self._holder)

    async def take(self, destination: str) -> tuple[Place | Full | Later | Suspended, Situation]:
        ends_s = self._clock.monotonic() + PLACE_S
        token = f"{self._holder}.{self._entropy(TOKEN_OCTETS).hex()}"
        async with self._pool.transaction() as rows:
            asked = pacing.PlaceKey(destination, token)
            grant, situation = await pacing.take(rows, asked, self._bounds, seconds=PLACE_S)
        return (Place(destination, token, ends_s) if isinstance(grant, Granted) else grant), situation

    async def next_mail(self, place: Place) -> Granted | Later:
        async with self._pool.transaction() as rows:
            return await pacing.next_mail(rows, _key(place), self._bounds)

    async def opened(self, place: Place) -> tuple[Pace, Situation]:
        return await self._change(place, lambda seen: pace.opened(seen.pace), is_open=True)

    async def refused(self, place: Place, why: str) -> tuple[Pace, Situation]:
        def what(seen: pacing.Seen) -> Pace:
            return pace.refused(seen.pace, seen.others, at=seen.at, why=why, first=self._probe_first)

        return await self._change(place, what, is_open=False)

    async def told(self, place: Place, went: int, deferred: int) -> tuple[Pace, Situation]:
        def what(seen: pacing.Seen) -> Pace:
            most = seen.situation.bounds.connections
            return pace.told(seen.pace, went, deferred, connections_max=most)

        return await self._change(place, what, is_open=True)

    async def look(self, destinations: Collection[str]) -> Mapping[str, Situation]:
        async with self._pool.rows() as rows:
            return await pacing.look(rows, destinations, self._bounds)

    async def renew(self, places: Sequence[Place]) -> None:
        ends_s = self._clock.monotonic() + PLACE_S
        async with self._pool.rows() as rows:
            kept = await pacing.renew(rows, [place.token for place in places], seconds=PLACE_S)
            await pacing.sweep(rows)
        for place in places:
            place.ends_s = ends_s if place.token in kept else 0.0

    async def release(self, places: Sequence[Place]) -> None:
        async with self._pool.rows() as rows:
            await pacing.release(rows, [place.token for place in places])

    async def _change(self, place: Place, what: pacing.Change, *, is_open: bool) -> tuple[Pace, Situation]:
        async with self._pool.transaction() as rows:
            return await pacing.change(rows, _key(place), self._bounds, what, is_open=is_open)


def _key(place: Place) -> pacing.PlaceKey:
    return pacing.PlaceKey(place.destination, place.token)
