"""POP3 at its addresses."""

from collections.abc import Sequence

from gateway.processes.listening.listener import House
from gateway.processes.listening.receiving import Listener, Receiving
from gateway.processes.listening.visits import Ended, Reception, Visit
from gateway.processes.pop3.connection import Connection
from gateway.processes.pop3.services import Pop3Services
from gateway.protocols.pop3 import replies


def pop3(
    listeners: Sequence[Listener], house: House, reception: Reception, services: Pop3Services
) -> Receiving:
    """All connections of one POP3 process."""

    async def serve(visit: Visit) -> Ended:
        return await Connection(services, visit).serve()

    return Receiving(listeners, house, reception, serve, _turned_away)


def _turned_away(text: str) -> bytes:
    return replies.err(text, "SYS/TEMP")
