"""How agencies' servers are, as all relays have seen them: silent or not, since when, and whose turn it is to
look.

Source: ADR 0020; architecture §2 (leases).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.domain.agency import NextHop
from gateway.domain.route import Health
from gateway.mail.ids import AgencyId
from projections.directory.routes import RouteRow, routes_set
from projections.queue import hops
from projections.readmodel import Pool


class Sights(Protocol):
    """All raise Unavailable."""

    async def health(self, servers: Sequence[NextHop]) -> Health:
        """Of those that somebody has looked at."""

    async def see(self, seen: Mapping[NextHop, bool]) -> None:
        """Whether each was silent just now."""

    async def claim_probes(self, servers: Sequence[NextHop], every_s: float) -> Sequence[NextHop]:
        """Those that nobody else looks at within that time: they are ours to look at."""

    async def routes(self) -> Mapping[AgencyId, RouteRow]:
        """Of the agencies for which one was set."""


class SightRows:
    """The port above, on the rows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def health(self, servers: Sequence[NextHop]) -> Health:
        async with self._pool.rows() as rows:
            return await hops.health(rows, servers)

    async def see(self, seen: Mapping[NextHop, bool]) -> None:
        async with self._pool.rows() as rows:
            await hops.see(rows, seen)

    async def claim_probes(self, servers: Sequence[NextHop], every_s: float) -> Sequence[NextHop]:
        async with self._pool.rows() as rows:
            return await hops.claim_probes(rows, servers, every_s=every_s)

    async def routes(self) -> Mapping[AgencyId, RouteRow]:
        async with self._pool.rows() as rows:
            return await routes_set(rows)
