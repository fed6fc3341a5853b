"""IMAP at its addresses."""

from collections.abc import Sequence

from gateway.processes.imap.connection import Connection
from gateway.processes.imap.services import ImapServices
from gateway.processes.listening.listener import House
from gateway.processes.listening.receiving import Listener, Receiving
from gateway.processes.listening.visits import Ended, Reception, Visit
from gateway.protocols.imap import responses
from gateway.protocols.imap.errors import UNTAGGED


def imap(
    listeners: Sequence[Listener], house: House, reception: Reception, services: ImapServices
) -> Receiving:
    """All connections of one IMAP process."""

    async def serve(visit: Visit) -> Ended:
        return await Connection(services, visit).serve()

    return Receiving(listeners, house, reception, serve, _turned_away)


def _turned_away(text: str) -> bytes:
    return responses.status(UNTAGGED, "BYE", text, "UNAVAILABLE")
