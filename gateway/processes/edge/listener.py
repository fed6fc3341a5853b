"""The edge: SMTP at each of its addresses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.mail.networks import Network
from gateway.mail.reply import reply
from gateway.processes.edge.connection import Connection
from gateway.processes.edge.services import EdgeServices
from gateway.processes.listening.listener import Entrance, House, Listening
from gateway.protocols.smtp.config import SessionConfig

TOO_MANY = reply(421, "4.7.0", "Too many connections, try again later").render()


@dataclass(frozen=True, slots=True)
class Listener:
    """One address, and how sessions go there; with `session.is_tls` TLS begins with the first octet."""

    name: str  # smtp, submission, submissions
    address: str  # host:port
    session: SessionConfig


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    listeners: Sequence[Listener]
    connections_max: int  # of each listener
    proxy_networks: Sequence[Network] = ()  # each connection from there begins with a PROXY header


class Edge:
    """All connections of one edge process."""

    def __init__(self, config: EdgeConfig, services: EdgeServices) -> None:
        self._services = services
        self.entrances = [self._entrance(each) for each in config.listeners]
        self.listening = Listening(
            House(
                clock=services.clock,
                connections_max=config.connections_max,
                proxy_networks=config.proxy_networks,
                tls=services.tls,
                sessions=services.sessions,
            )
        )

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled, or until another edge takes our lane: then raises Deposed."""
        await self.listening.run(self.entrances, ready)

    def _entrance(self, listener: Listener) -> Entrance:
        begin = partial(self._begin, listener)
        return Entrance(listener.name, listener.address, listener.session.is_tls, begin, TOO_MANY)

    def _begin(self, listener: Listener) -> Connection:
        return Connection(self._services, listener.session, self.listening, listener.name)
