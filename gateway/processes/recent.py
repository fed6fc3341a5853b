"""What was found out a moment ago, so that the same question is not asked again at once."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from gateway.ports import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Answers by question. The one that was kept longest ago is forgotten first."""

    def __init__(self, clock: Clock, *, holds_s: float, known_max: int) -> None:
        self._clock, self._holds_s, self._known_max = clock, holds_s, known_max
        self._known: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """None when it is not known, or not any more."""
        found = self._known.get(key)
        return found[1] if found and self._clock.monotonic() - found[0] < self._holds_s else None

    def keep(self, key: K, value: V) -> None:
        """From now on it holds for so long."""
        self._known[key] = self._clock.monotonic(), value
        self._known.move_to_end(key)
        if len(self._known) > self._known_max:
            self._known.popitem(last=False)
