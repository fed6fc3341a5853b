"""IDLE: the client waits, and hears of changes as they are committed.

Source: RFC 9051 §6.3.13, RFC 2177.
"""

import asyncio
from typing import Final

from gateway.ports import Unavailable
from gateway.processes.imap.session import Done, Session
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import Idle
from gateway.protocols.imap.errors import BadCommand

# Hints are lost only with the line to the log server, which comes back within seconds.
LOOK_EVERY_S: Final = 30.0
LOOK_AGAIN_S: Final = 1.0


async def idle(session: Session, command: Idle) -> Done:
    """Raises Over as reading does."""
    session.send(responses.IDLING)
    await _look(session)
    reading = asyncio.create_task(session.next_line())
    try:
        while True:
            session.tell_news(may_expunge=True)
            await session.flush()
            if await _is_hinted(session, reading):
                await _look(session)
            if reading.done():
                break
    finally:
        reading.cancel()
        await asyncio.wait([reading])
    if reading.result().upper() != b"DONE":
        raise BadCommand("", "IDLE ends with DONE")
    return Done("IDLE completed")


async def _look(session: Session) -> None:
    """While the rows are away the client goes on waiting, and is looked for again soon."""
    try:
        await session.look(now=True)
    except Unavailable:
        await session.room.clock.sleep(LOOK_AGAIN_S)
        session.hint.set()


async def _is_hinted(session: Session, reading: "asyncio.Task[bytes]") -> bool:
    """Wait for the client, for a hint, or for the time to look anyway; False: only the client has spoken."""
    hinted = asyncio.create_task(session.hint.wait())
    done, _ = await asyncio.wait({reading, hinted}, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    hinted.cancel()
    return reading not in done
