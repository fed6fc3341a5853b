"""Guessing made slow: after some failures the next sign-in has to wait, longer each time.

Counted for a person from a network, for a network, and for a person from everywhere, each with a patience of
its own: one phone with an old password does not shut out an office, nor a stranger the person.

Precedents: Dovecot auth_failure_delay and its penalty (up to 15 s), fail2ban (5 failures in 10 minutes).
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.mail.networks import network_of
from gateway.ports import Clock

PATIENCE: Final = {"person and network": 5, "network": 20, "person": 100}  # failures without a wait
FIRST_WAIT_S: Final = 2.0
LONGEST_WAIT_S: Final = 900.0
FORGOTTEN_AFTER_S: Final = 3600.0  # without a further failure
COUNTED_MAX: Final = 50_000


@dataclass(slots=True)
class _Count:
    failures: int = 0
    last_at: float = 0.0
    wait_until: float = 0.0


class Throttle:
    """The failures of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str, str], _Count] = OrderedDict()

    def wait_s(self, person: str, ip: str) -> float:
        """How long this sign-in would have to wait; 0: it may be checked now."""
        now = self._clock.monotonic()
        counts = [self._counts.get(key) for key in _keys(person, ip)]
        return max([0.0, *(count.wait_until - now for count in counts if count)])

    def failed(self, person: str, ip: str) -> bool:
        """True when the whole network has to wait as long as there is: it is guessing for real."""
        now, guesses = self._clock.monotonic(), False
        for key in _keys(person, ip):
            count = self._counts.setdefault(key, _Count())
            self._counts.move_to_end(key)
            if now - count.last_at > FORGOTTEN_AFTER_S:
                count.failures = 0
            count.failures, count.last_at = count.failures + 1, now
            beyond = count.failures - PATIENCE[key[0]]
            if beyond >= 0:
                wait_s = min(FIRST_WAIT_S * (1 << min(beyond, 20)), LONGEST_WAIT_S)
                count.wait_until = now + wait_s
                guesses |= key[0] == "network" and wait_s == LONGEST_WAIT_S
        while len(self._counts) > COUNTED_MAX:
            self._counts.popitem(last=False)
        return guesses

    def forget_network(self, ip: str) -> None:
        """It is banned now: after that, or when somebody lifts it, it begins anew."""
        _, network, _ = _keys("", ip)
        self._counts.pop(network, None)

    def succeeded(self, person: str, ip: str) -> None:
        """The person is there and knows the password: what it mistyped is forgotten.

        Its network has one failure less: where many sign in many mistype, and who guesses succeeds seldom.
        """
        own, network, _ = _keys(person, ip)
        self._counts.pop(own, None)
        count = self._counts.get(network)
        if count is not None and count.failures > 0:
            count.failures -= 1


def _keys(person: str, ip: str) -> Iterator[tuple[str, str, str]]:
    network = network_of(ip)
    yield "person and network", person, network
    yield "network", "", network
    yield "person", person, ""
