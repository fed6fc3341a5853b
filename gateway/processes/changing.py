"""Changing mailboxes: a fact is appended, and what it did to each message is read from the rows.

Before anything is appended it may be refused, when the rows are so far behind that nobody could be answered;
afterwards it stands in the log and is never refused (architecture §2, imap).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final

from gateway.domain.events import Event, Fact
from gateway.domain.histories import box_history
from gateway.mail.ids import AccountId, slot_of
from gateway.ports import Clock, EventLog, Lane, Position, Unavailable
from projections.checkpoint import position_of, reached
from projections.mailbox.project import MailboxModel
from projections.readmodel import Pool

BEHIND_MAX_S: Final = 5.0  # architecture §2
LOOK_EVERY_S: Final = 1.0
EVENTS_A_GROUP: Final = 4  # of RANGES_MAX ranges: half of the 1 MB of a group (architecture §4, Lanes)


class Changing:
    """Appends the changes of all sessions of one process, and waits until the rows have them."""

    def __init__(self, *, log: EventLog, lane: Lane, pool: Pool, clock: Clock) -> None:
        self._log, self._lane, self._pool, self._clock = log, lane, pool, clock
        self._ends: deque[tuple[float, Position]] = deque()  # when the log ended where, for some seconds
        self._reached: dict[int, Position] = {}  # by slot: the rows were seen there

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """How far the log is, is known while the block runs."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._watch(), name="watch the end of the log")
            yield
            task.cancel()

    async def append(
        self, account_id: AccountId, events: Sequence[Event], *beside: Fact
    ) -> Sequence[Position]:
        """The positions of the events, all in one group; durable when this returns.

        beside: facts of other histories that come first. Raises Unavailable and Full (nothing was appended),
        also when the rows are too far behind; Deposed.
        """
        await self._check_rows(account_id)
        return await self._put(account_id, events, beside)

    async def record(self, account_id: AccountId, events: Sequence[Event]) -> Sequence[Position]:
        """What somebody does and waits for no outcome of: reading, wherever the rows are.

        Raises as `append`; then the first of many events may be in the log.
        """
        positions: list[Position] = []
        for start in range(0, len(events), EVENTS_A_GROUP):
            positions += await self._put(account_id, events[start : start + EVENTS_A_GROUP])
        return positions

    async def _put(
        self, account_id: AccountId, events: Sequence[Event], beside: Sequence[Fact] = ()
    ) -> Sequence[Position]:
        history = box_history(account_id)
        last = await self._lane.append([*beside, *(Fact(history, event) for event in events)])
        return [Position(last - len(events) + nth) for nth in range(1, len(events) + 1)]

    async def await_rows(
        self, account_id: AccountId, position: Position, timeout_s: float, hint: asyncio.Event | None = None
    ) -> bool:
        """Until the account's rows have reached a position; False when they did not in time.

        hint: as of `checkpoint.reached`. Raises Unavailable.
        """
        slot = int(slot_of(account_id))
        is_there = await reached(self._pool, MailboxModel, position, timeout_s, slot=slot, hint=hint)
        if is_there:
            self._reached[slot] = Position(max(position, self._reached.get(slot, 0)))
        return is_there

    async def _check_rows(self, account_id: AccountId) -> None:
        """Raises Unavailable when they have not reached what was the end of the log BEHIND_MAX_S ago."""
        since = self._clock.monotonic() - BEHIND_MAX_S
        known = [position for at, position in self._ends if at <= since]
        slot = int(slot_of(account_id))
        if not known or self._reached.get(slot, 0) >= known[-1]:
            return
        async with self._pool.rows() as rows:
            at = await position_of(rows, MailboxModel, slot)
        if at < known[-1]:
            raise Unavailable(
                "projector", f"mailboxes are at position {at}, the log was at {known[-1]} before"
            )

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):  # appending says so itself
                self._ends.append((self._clock.monotonic(), await self._log.last()))
            while len(self._ends) > 2 * BEHIND_MAX_S / LOOK_EVERY_S:
                self._ends.popleft()
            await self._clock.sleep(LOOK_EVERY_S)
