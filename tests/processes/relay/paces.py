"""The relay's port Paces, in memory: the same decisions, nobody else's connections."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.domain import pace
from gateway.domain.pace import Full, Granted, Pace, Suspended
from gateway.ports import Clock
from gateway.processes.relay.paces import PLACE_S, Place


@dataclass
class MemoryPaces:
    """known: by destination. places: those there are, and whether each is of an open connection."""

    clock: Clock
    connections_max: int
    known: dict[str, Pace] = field(default_factory=dict)
    places: dict[str, tuple[Place, bool]] = field(default_factory=dict)
    given: int = 0

    async def take(self, destination: str) -> tuple[Place | Full | Suspended, Pace]:
        known, taken = self.known.get(destination, Pace()), self._taken(destination)
        grant = pace.ask(known, len(taken), at=self.clock.now(), connections_max=self.connections_max)
        if not isinstance(grant, Granted):
            return grant, known
        self.given += 1
        token = str(self.given)
        place = Place(destination, token, self.clock.monotonic() + PLACE_S)
        self.places[token] = place, False
        return place, known

    async def opened(self, place: Place) -> tuple[Pace, Pace]:
        self.places[place.token] = place, True
        return self._change(place, pace.opened(self._known(place)))

    async def refused(self, place: Place, why: str) -> tuple[Pace, Pace]:
        others = [is_open for one, is_open in self._taken(place.destination) if one is not place]
        return self._change(
            place, pace.refused(self._known(place), sum(others), at=self.clock.now(), why=why)
        )

    async def told(self, place: Place, went: int, deferred: int) -> tuple[Pace, Pace]:
        after = pace.told(self._known(place), went, deferred, connections_max=self.connections_max)
        return self._change(place, after)

    async def renew(self, places: Sequence[Place]) -> None:
        for place in places:
            place.ends_s = self.clock.monotonic() + PLACE_S

    async def release(self, places: Sequence[Place]) -> None:
        for place in places:
            del self.places[place.token]

    def _known(self, place: Place) -> Pace:
        return self.known.get(place.destination, Pace())

    def _taken(self, destination: str) -> list[tuple[Place, bool]]:
        return [(one, is_open) for one, is_open in self.places.values() if one.destination == destination]

    def _change(self, place: Place, after: Pace) -> tuple[Pace, Pace]:
        before = self._known(place)
        self.known[place.destination] = after
        return before, after
