"""The route of an agency's mail: its own mail servers, how often each has its turn, and a backup way.

Only silence counts against a server: no connection, no greeting, nothing more after it. What a server says,
of a mail or of itself, is its own word, and TLS that fails is to be mended and not to be gone round.

Source: issue 3/9 ("Where to"); RFC 2782 (weighted choice); ADR 0020.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from msgspec import Struct

from gateway.domain.agency import NextHop
from gateway.domain.aggregate import AggregateEvent
from gateway.domain.events import Instant

if TYPE_CHECKING:
    from gateway.domain.agency import Agency

HOPS_MAX: Final = 8  # of one way: all of them are tried within one attempt
WEIGHT_MAX: Final = 1_000
# A server that is started anew is away for minutes; a person misses mail after a quarter of an hour.
DOWN_FOR_S: Final = 15 * 60
BACK_FOR_S: Final = 5 * 60  # five answers in a row, by the probes of ADR 0020
SPAN_S_MAX: Final = 7 * 86_400
CHANCE_OCTETS: Final = 4

WayName = Literal["main", "backup"]
Entropy = Callable[[int], bytes]  # n random octets


class WeightedHop(Struct, frozen=True):
    """weight: its share of the connections, 1..WEIGHT_MAX, beside those of the others of its way."""

    hop: NextHop
    weight: int = 1

    def __str__(self) -> str:
        return str(self.hop) if self.weight == 1 else f"{self.hop}={self.weight}"


class Route(Struct, frozen=True):
    """backup: where mail goes when all of main have been silent for down_for_s; (): it waits.

    back_for_s: how long one of main has to answer until mail goes there again.
    """

    main: tuple[WeightedHop, ...]
    backup: tuple[WeightedHop, ...] = ()
    down_for_s: int = DOWN_FOR_S
    back_for_s: int = BACK_FOR_S

    def way(self, name: WayName) -> tuple[WeightedHop, ...]:
        return self.main if name == "main" else self.backup

    @property
    def hops(self) -> tuple[NextHop, ...]:
        return tuple(each.hop for each in (*self.main, *self.backup))

    def goal(self, name: WayName) -> "NextHop | Servers":
        """Where mail by this way goes. Who has no other beside it, nor a backup, is connected to and no more
        said of it."""
        return self.main[0].hop if len(self.hops) == 1 else Servers(self.way(name))

    def __str__(self) -> str:
        main = ", ".join(map(str, self.main))
        return f"{main}; backup {', '.join(map(str, self.backup))}" if self.backup else main


@dataclass(frozen=True, slots=True)
class Servers:
    """Of the way that an agency's mail goes now: whoever of them answers may have it."""

    hops: tuple[WeightedHop, ...]

    def __str__(self) -> str:
        return ", ".join(map(str, self.hops))


class AgencyRouteSet(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: its mail goes so from here on, by the main way, whatever was set before."""

    TOPIC: ClassVar[str] = "agency.route_set/1"

    route: Route
    sealed: bytes  # ReasonSecret, under `agency.<agency_id>`

    def apply(self, aggregate: "Agency") -> None:
        aggregate.route = self.route
        aggregate.relay_to = self.route.main[0].hop
        aggregate.way = "main"


class AgencyRouteSwitched(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: its mail goes by this way from here on.

    since: when the main way fell silent, or began to answer again.
    """

    TOPIC: ClassVar[str] = "agency.route_switched/1"

    way: WayName
    since: Instant

    def apply(self, aggregate: "Agency") -> None:
        aggregate.way = self.way


def route_of(agency: "Agency") -> Route | None:
    """None: its mailboxes are here. Who never had more than one server has a route of one."""
    if agency.route is None and agency.relay_to is not None:
        return Route((WeightedHop(agency.relay_to),))
    return agency.route


@dataclass(frozen=True, slots=True)
class Seen:
    """How a server was when somebody looked last, and for how long it has been so without a gap."""

    is_silent: bool
    for_s: float


Health = Mapping[NextHop, Seen]  # who is not in it was not looked at


@dataclass(frozen=True, slots=True)
class Switch:
    """to: the way to go from now on. for_s: how long that has been the right one."""

    to: WayName
    for_s: float


def due_switch(route: Route, way: WayName, health: Health) -> Switch | None:
    """Whether mail should go the other way, and for how long that has been so. Pure.

    A way is as silent as the one of its servers that was heard last, and answers as soon as one of them
    does. A backup that is silent itself is no help.
    """
    if not route.backup:
        return None
    if way == "main":
        silent_s = _silent_s(route.main, health)
        if silent_s is None or silent_s < route.down_for_s or _silent_s(route.backup, health) is not None:
            return None
        return Switch("backup", silent_s)
    answers_s = _answers_s(route.main, health)
    return Switch("main", answers_s) if answers_s is not None and answers_s >= route.back_for_s else None


def to_look_at(route: Route, way: WayName, health: Health) -> tuple[NextHop, ...]:
    """Who is probed: who was silent, since mail goes round it; and the main way, as long as mail goes by the
    other one. Who has no others beside it is seen by the mail itself, and by nobody when there is none."""
    if len(route.hops) < 2:
        return ()
    silent = [hop for hop in route.hops if hop in health and health[hop].is_silent]
    main = [each.hop for each in route.main] if way == "backup" else []
    return tuple(dict.fromkeys([*main, *silent]))


def in_turn(hops: Sequence[WeightedHop], health: Health, entropy: Entropy) -> list[NextHop]:
    """In the order to be tried: by chance and weight (RFC 2782, "Weight"), who is silent at the end."""
    answering = [each for each in hops if not (each.hop in health and health[each.hop].is_silent)]
    silent = [each for each in hops if each not in answering]
    return [*_by_chance(answering, entropy), *_by_chance(silent, entropy)]


def _by_chance(hops: Sequence[WeightedHop], entropy: Entropy) -> list[NextHop]:
    left, order = list(hops), list[NextHop]()
    while left:
        chance = int.from_bytes(entropy(CHANCE_OCTETS), "big") % sum(each.weight for each in left)
        for each in left:
            chance -= each.weight
            if chance < 0:
                break
        left.remove(each)
        order.append(each.hop)
    return order


def _silent_s(way: Sequence[WeightedHop], health: Health) -> float | None:
    """For how long all of them have been silent; None: one is not, or was not looked at."""
    seen = [health.get(each.hop) for each in way]
    if any(one is None or not one.is_silent for one in seen):
        return None
    return min(one.for_s for one in seen if one is not None)


def _answers_s(way: Sequence[WeightedHop], health: Health) -> float | None:
    """For how long one of them has answered; None: none does."""
    answering = [
        health[each.hop].for_s for each in way if each.hop in health and not health[each.hop].is_silent
    ]
    return max(answering, default=None)
