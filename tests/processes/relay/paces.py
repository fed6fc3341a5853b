"""The relay's port Paces, in memory: the same decisions, nobody else's connections."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.domain import pace
from gateway.domain.pace import Bounds, Full, Granted, Later, Pace, Situation, Suspended
from gateway.ports import Clock
from gateway.processes.relay.paces import PLACE_S, Place


@dataclass
class MemoryPaces:
    """known: by destination. places: those there are, and whether each is of an open connection."""

    clock: Clock
    bounds: Bounds
    known: dict[str, Pace] = field(default_factory=dict)
    places: dict[str, tuple[Place, bool]] = field(default_factory=dict)
    given: int = 0

    async def inherit(self) -> None:
        self.places.clear()

    async def take(self, destination: str) -> tuple[Place | Full | Later | Suspended, Situation]:
        grant = pace.ask(self._situation(destination), at=self.clock.now())
        if not isinstance(grant, Granted):
            return grant, self._situation(destination)
        self.given += 1
        token = str(self.given)
        place = Place(destination, token, self.clock.monotonic() + PLACE_S)
        self.known[destination] = grant.pace
        self.places[token] = place, False
        return place, self._situation(destination)

    async def next_mail(self, place: Place) -> Granted | Later:
        grant = pace.next_mail(self._situation(place.destination), at=self.clock.now())
        if isinstance(grant, Granted):
            self.known[place.destination] = grant.pace
        return grant

    async def opened(self, place: Place) -> tuple[Pace, Situation]:
        self.places[place.token] = place, True
        return self._change(place, pace.opened(self._known(place)))

    async def refused(self, place: Place, why: str) -> tuple[Pace, Situation]:
        others = [is_open for one, is_open in self._taken(place.destination) if one is not place]
        return self._change(
            place, pace.refused(self._known(place), sum(others), at=self.clock.now(), why=why)
        )

    async def told(self, place: Place, went: int, deferred: int) -> tuple[Pace, Situation]:
        most = self.bounds.connections
        return self._change(place, pace.told(self._known(place), went, deferred, connections_max=most))

    async def look(self, destinations: Collection[str]) -> Mapping[str, Situation]:
        return {name: self._situation(name) for name in destinations if name in self.known}

    async def renew(self, places: Sequence[Place]) -> None:
        for place in places:
            place.ends_s = self.clock.monotonic() + PLACE_S

    async def release(self, places: Sequence[Place]) -> None:
        for place in places:
            del self.places[place.token]

    def _known(self, place: Place) -> Pace:
        return self.known.get(place.destination, Pace())

    def _situation(self, destination: str) -> Situation:
        known = self.known.get(destination, Pace())
        return Situation(self.bounds, known, len(self._taken(destination)))

    def _taken(self, destination: str) -> list[tuple[Place, bool]]:
        return [(one, is_open) for one, is_open in self.places.values() if one.destination == destination]

    def _change(self, place: Place, after: Pace) -> tuple[Pace, Situation]:
        before = self._known(place)
        self.known[place.destination] = after
        return before, replace(self._situation(place.destination), pace=after)
