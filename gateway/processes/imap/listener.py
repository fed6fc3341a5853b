"""IMAP at its addresses: in the clear until STARTTLS, and inside TLS from the first octet.

Source: RFC 9051 §2.1, RFC 8314 §3.2 (993).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.processes.imap.connection import Connection
from gateway.processes.imap.services import ImapServices
from gateway.processes.listening.listener import Entrance, House, Listening
from gateway.processes.listening.visits import Ended, Reception, Visit
from gateway.protocols.imap import responses
from gateway.protocols.imap.errors import UNTAGGED

TOO_MANY = responses.status(UNTAGGED, "BYE", "Too many connections, try again later", "UNAVAILABLE")


@dataclass(frozen=True, slots=True)
class Listener:
    name: str  # imap, imaps
    address: str  # host:port
    is_tls: bool = False


class Imap:
    """All connections of one IMAP process."""

    def __init__(
        self, listeners: Sequence[Listener], house: House, reception: Reception, services: ImapServices
    ) -> None:
        self._listeners, self._reception, self._services = listeners, reception, services
        self.listening = Listening(house)

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled, or until another process takes our lane: then raises Deposed."""
        entrances = [
            Entrance(each.name, each.address, each.is_tls, partial(self._begin, each.name), TOO_MANY)
            for each in self._listeners
        ]
        await self.listening.run(entrances, ready)

    def _begin(self, name: str) -> Visit:
        return Visit(name, self._reception, self.listening, self._serve, _turned_away)

    async def _serve(self, visit: Visit) -> Ended:
        return await Connection(self._services, visit).serve()


def _turned_away(text: str) -> bytes:
    return responses.status(UNTAGGED, "BYE", text, "UNAVAILABLE")
