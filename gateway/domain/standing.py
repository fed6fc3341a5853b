"""Standing holds: from now on nothing is tried for a destination, until somebody releases it.

A hold as in steering.py is of recipients that wait; this one is of those to come as well. A relay that takes
a recipient for such a destination holds it and does not try it: so each has the fact in its own history.

Source: issue 3/9 (Steering: by destination, agency); ADR 0023.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from msgspec import Struct

from gateway.domain.events import Event

QUEUE_KEY: Final = "site.queue"  # the KeyStore's name of the key that reasons are sealed under

# A domain in A-labels, whoever has it; or all that goes to the next hop of an agency.
What = Literal["domain", "agency"]


class StandingSecret(Struct, frozen=True):
    why: str  # the words of who did it


class DestinationSteered(Event, frozen=True, kw_only=True):
    """ev.queue: about a destination, whatever waits for it. name: a domain in A-labels, or an agency's id."""

    what: What
    name: str
    sealed: bytes  # StandingSecret, under QUEUE_KEY


class DestinationHeld(DestinationSteered, frozen=True, kw_only=True):
    """ev.queue: what waits or comes for it is held from now on."""

    TOPIC: ClassVar[str] = "destination.held/1"


class DestinationReleased(DestinationSteered, frozen=True, kw_only=True):
    """ev.queue: what comes for it is tried again. What is held is released mail by mail, right after it."""

    TOPIC: ClassVar[str] = "destination.released/1"


@dataclass(frozen=True, slots=True, order=True)
class Toward:
    """All mail toward a domain, or toward the next hop of an agency."""

    what: What
    name: str

    def __str__(self) -> str:
        return self.name


def standing(events: Iterable[Event]) -> set[Toward]:
    """The destinations that are held after these events, in log order."""
    held = set[Toward]()
    for event in events:
        match event:
            case DestinationHeld(what=what, name=name):
                held.add(Toward(what, name))
            case DestinationReleased(what=what, name=name):
                held.discard(Toward(what, name))
            case _:
                pass
    return held


def standing_label(toward: Toward) -> str:
    """The label under which a StandingSecret is sealed."""
    return f"standing:{toward.what}:{toward.name}"
