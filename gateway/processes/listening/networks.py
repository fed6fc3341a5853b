"""How many connections a network has at once to one process.

Precedents: Postfix anvil(8), Dovecot mail_max_userip_connections.
"""

from collections import Counter
from collections.abc import Sequence

from gateway.mail.networks import Network, is_within, network_of


class NetworkConnections:
    """Those of one process. most: 0 is no limit; exempt: networks that have none."""

    def __init__(self, most: int, exempt: Sequence[Network] = ()) -> None:
        self._most, self._exempt = most, exempt
        self._connections: Counter[str] = Counter()

    def enter(self, ip: str) -> bool:
        """A connection begins; True: it counts until `leave`."""
        network = network_of(ip)
        if self._most and self._connections[network] >= self._most and not is_within(ip, self._exempt):
            return False
        self._connections[network] += 1
        return True

    def leave(self, ip: str) -> None:
        network = network_of(ip)
        self._connections[network] -= 1
        if self._connections[network] <= 0:
            del self._connections[network]
