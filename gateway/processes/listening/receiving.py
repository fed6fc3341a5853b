"""IMAP or POP3 at its addresses: in the clear until TLS is started, and inside TLS from the first octet.

Source: RFC 8314 §3.2 and §3.3 (995, 993).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.processes.listening.listener import Entrance, House, Listening
from gateway.processes.listening.visits import Ended, Reception, Visit

TOO_MANY = "Too many connections, try again later"


@dataclass(frozen=True, slots=True)
class Listener:
    name: str  # imap, imaps, pop3, pop3s
    address: str  # host:port
    is_tls: bool = False


class Receiving:
    """All connections of one process. serve: a session; turn_away: our last words to who may not enter."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        house: House,
        reception: Reception,
        serve: Callable[[Visit], Awaitable[Ended]],
        turn_away: Callable[[str], bytes],
    ) -> None:
        self._listeners, self._reception = listeners, reception
        self._serve, self._turn_away = serve, turn_away
        self.listening = Listening(house)

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled, or until another process takes our lane: then raises Deposed."""
        too_many = self._turn_away(TOO_MANY)
        entrances = [
            Entrance(each.name, each.address, each.is_tls, partial(self._begin, each.name), too_many)
            for each in self._listeners
        ]
        await self.listening.run(entrances, ready)

    def _begin(self, name: str) -> Visit:
        return Visit(name, self._reception, self.listening, self._serve, self._turn_away)
