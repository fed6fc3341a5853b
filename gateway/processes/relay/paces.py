"""The paces of destinations, as one relay needs them: places for its connections, and what became of them.

Source: ADR 0021.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.domain import pace
from gateway.domain.pace import Full, Granted, Pace, Suspended
from gateway.ports import Clock, Entropy
from projections.queue import pacing
from projections.readmodel import Pool

# Renewed long before it ends; so long a relay that was killed still counts.
PLACE_S: Final = 60.0
TOKEN_OCTETS: Final = 12


@dataclass
class Place:
    """A connection's. ends_s: by the monotonic clock; 0.0: it was lost. is_leaving: the connection ends."""

    destination: str
    token: str
    ends_s: float
    is_leaving: bool = False


class Paces(Protocol):
    """All raise Unavailable. What is known of the destination is told by the first four; by three of them as
    it was before, and after."""

    async def take(self, destination: str) -> tuple[Place | Full | Suspended, Pace]:
        """A place for one more connection, and what is known of the destination."""

    async def opened(self, place: Place) -> tuple[Pace, Pace]:
        """Its host takes mail."""

    async def refused(self, place: Place, why: str) -> tuple[Pace, Pace]:
        """It came to nothing."""

    async def told(self, place: Place, went: int, deferred: int) -> tuple[Pace, Pace]:
        """What became of mails on it."""

    async def renew(self, places: Sequence[Place]) -> None:
        """Keep them; one that ran out is lost."""

    async def release(self, places: Sequence[Place]) -> None:
        """Their connections are closed."""


class PaceRows:
    """The port above, on the rows."""

    def __init__(self, pool: Pool, clock: Clock, entropy: Entropy, *, connections_max: int) -> None:
        self._pool, self._clock, self._entropy = pool, clock, entropy
        self._connections_max = connections_max

    async def take(self, destination: str) -> tuple[Place | Full | Suspended, Pace]:
        ends_s = self._clock.monotonic() + PLACE_S
        asked = pacing.Place(destination, self._entropy(TOKEN_OCTETS).hex())
        async with self._pool.transaction() as rows:
            grant, known = await pacing.take(
                rows, asked, connections_max=self._connections_max, seconds=PLACE_S
            )
        if isinstance(grant, Granted):
            return Place(destination, asked.token, ends_s), known
        return grant, known

    async def opened(self, place: Place) -> tuple[Pace, Pace]:
        async with self._pool.transaction() as rows:
            return await pacing.change(rows, _key(place), lambda seen: pace.opened(seen.pace), is_open=True)

    async def refused(self, place: Place, why: str) -> tuple[Pace, Pace]:
        def what(seen: pacing.Seen) -> Pace:
            return pace.refused(seen.pace, seen.others, at=seen.at, why=why)

        async with self._pool.transaction() as rows:
            return await pacing.change(rows, _key(place), what, is_open=False)

    async def told(self, place: Place, went: int, deferred: int) -> tuple[Pace, Pace]:
        def what(seen: pacing.Seen) -> Pace:
            return pace.told(seen.pace, went, deferred, connections_max=self._connections_max)

        async with self._pool.transaction() as rows:
            return await pacing.change(rows, _key(place), what, is_open=True)

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


def _key(place: Place) -> pacing.Place:
    return pacing.Place(place.destination, place.token)
