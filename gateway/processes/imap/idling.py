"""IDLE: the client waits, and hears of changes as they are committed.

Source: RFC 9051 §6.3.13, RFC 2177.
"""

import asyncio

from gateway.processes.imap.notifying import look, tell_until
from gateway.processes.imap.session import Done, Session
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import Idle
from gateway.protocols.imap.errors import BadCommand


async def idle(session: Session, command: Idle) -> Done:
    """Raises Over as reading does."""
    session.send(responses.IDLING)
    await look(session)
    reading = asyncio.create_task(session.next_line())
    try:
        await tell_until(session, reading, may_expunge=True)
    finally:
        reading.cancel()
        await asyncio.wait([reading])
    if reading.result().upper() != b"DONE":
        raise BadCommand("", "IDLE ends with DONE")
    return Done("IDLE completed")
