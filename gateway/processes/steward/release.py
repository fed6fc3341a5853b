"""Held mails whose time has come are released: that they are becomes an event, and routers act on it.

A release is said once. Only who has the lease and its lane says it, and only by rows that know all releases
there were before.

Source: RFC 4865 §5; architecture §2.8 (the steward alone looks at the clock).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final, Protocol

from gateway.domain.events import Actor, By, Fact, MailReleased, Stamp
from gateway.domain.histories import DUE
from gateway.mail.ids import MailId
from gateway.ports import Clock, Deposed, EventLog, Lane, Leases, Position, Unavailable
from gateway.processes import maillog
from projections.checkpoint import reached
from projections.queue import query
from projections.queue.project import QueueModel
from projections.readmodel import Pool

LEASE: Final = "steward-release"
LOOK_EVERY_S: Final = 1.0
AT_ONCE: Final = 200
REACH_TIMEOUT_S: Final = 10.0


class Held(Protocol):
    """The held mails, by the rows. Both raise Unavailable."""

    async def reach(self, position: Position) -> bool:
        """Wait until the rows know the log up to a position; False when they did not in time."""

    async def due(self, at: datetime) -> Sequence[tuple[int, MailId]]:
        """Whose time has come: position of mail.accepted and id. Some of them, when they are many."""


class HeldRows:
    """The port above, on the rows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def reach(self, position: Position) -> bool:
        return await reached(self._pool, QueueModel, position, REACH_TIMEOUT_S)

    async def due(self, at: datetime) -> Sequence[tuple[int, MailId]]:
        async with self._pool.rows() as rows:
            return await query.held_until(rows, at, limit=AT_ONCE)


async def run(
    held: Held,
    log: EventLog,
    clock: Clock,
    by: By,
    leases: Leases,
    open_lane: Callable[[], AbstractAsyncContextManager[Lane]],
) -> None:
    """Release what falls due while the lease is ours, until cancelled."""
    while True:
        try:
            async with leases.hold(LEASE), open_lane() as lane:
                while True:
                    if not await release(held, log, clock, by, lane):
                        await clock.sleep(LOOK_EVERY_S)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="release")
            await clock.sleep(LOOK_EVERY_S)
        except Deposed:
            maillog.service_unavailable(service="lease", reason="another steward is active", doing="release")


async def release(held: Held, log: EventLog, clock: Clock, by: By, lane: Lane) -> int:
    """Look once; how many mails were released. Raises Unavailable, Deposed."""
    if not await held.due(clock.now()):
        return 0
    last = await log.last()
    if not await held.reach(last):
        raise Unavailable("queue", f"its rows have not reached position {last}")
    at = clock.now()
    stamp = Stamp(at=at, actor=Actor("system", "steward"), by=by)
    facts = [
        Fact(DUE, MailReleased(**stamp.answering(position), mail_id=mail_id, accepted=position))
        for position, mail_id in await held.due(at)
    ]
    if facts:
        await lane.append(facts)
    return len(facts)
