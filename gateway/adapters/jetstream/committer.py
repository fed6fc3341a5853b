"""Group commit into one stream, behind a fence that settles what a lost ack leaves open.

What arrives while a write is under way goes out as the next one: up to 8 messages side by side, more as one
atomic batch, one fsync for all. Every single message, and the first of every batch, is guarded by the last
marker of the lane, so a deposed owner is refused by the server, whatever it believes. When an ack is lost
the lane is closed under the same guard: from then on the lost write cannot land, and the stream up to there
says of each member stored or not; until then nobody is answered. Source: architecture §4 (Lanes), ADR 0002.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from gateway.adapters.jetstream import wire
from gateway.adapters.jetstream.link import ASK_AGAIN_AFTER_S, SERVICE, Link, settle
from gateway.adapters.jetstream.wire import Outgoing, ServerRefused, Stored, Unanswered
from gateway.adapters.jetstream.writes import Group, Lane, Write, check_batch, check_whole
from gateway.domain import codec
from gateway.domain.events import Event, LaneClosed, LaneOpened
from gateway.domain.group import GROUP_FACTS_MAX, GROUP_OCTETS_MAX
from gateway.ports import Deposed, Full, Unavailable

# An atomic batch costs about 3.3 ms on a single server, a message 0.3 ms (measured: ADR 0002).
SINGLES_MAX: Final = 8
ATTEMPTS_MAX: Final = 20  # of a write the server refuses for the moment only
SETTLE_AT_END_S: Final = 5.0

Marker = Callable[[type[LaneOpened] | type[LaneClosed]], Event]


@asynccontextmanager
async def open_committer(link: Link, lane: Lane, marker: Marker) -> AsyncIterator["Committer"]:
    """Own the lane until the block ends, deposing a former owner. Raises Unavailable."""
    committer = Committer(link, lane, marker)
    with suppress(Full):  # it opens when there is space again; until then appends are told Full
        await committer.open()
    running = asyncio.create_task(committer.run(), name=f"lane {lane.fence}")
    try:
        yield committer
    finally:
        await committer.end(running)


class Committer:
    """One write in flight. What waits is bounded by the callers, each of which waits for its own group."""

    def __init__(self, link: Link, lane: Lane, marker: Marker) -> None:
        self._link, self._lane, self._marker = link, lane, marker
        self._owner = uuid.uuid4().hex[:16]
        self._writes = 0
        self._guard: int | None = None  # sequence of the marker that opened the lane; None: not open
        self._known = 0  # a write in flight lies above this sequence
        self._was_open = False
        self._stopped: Exception | None = None  # why nothing is taken any more
        self._stuck: Exception | None = None  # why nothing is taken now
        self._waiting: deque[Group] = deque()
        self._in_flight: Sequence[Group] = ()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()

    async def append(self, messages: Sequence[Outgoing]) -> int:
        """Add a group, subjects as published; the sequence of its last message, on disk.

        Raises Full or Unavailable (not stored, and never will be), Deposed, ValueError when it is larger
        than one write may be. Waits while the outcome is not known.
        """
        check_batch(messages)
        if reason := self._stopped or self._stuck:
            raise reason
        group = Group(messages, asyncio.get_running_loop().create_future())
        self._waiting.append(group)
        self._wake.set()
        return await group.outcome

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        try:
            while True:
                self._in_flight = groups = self._next_groups()
                if not groups:
                    self._wake.clear()
                    self._idle.set()
                    await self._wake.wait()
                    self._idle.clear()
                await self._commit(groups)
        except Exception as error:  # our own mistake: nobody may wait for an answer that never comes
            self._stop(error)
            self._forsake()
            raise

    async def end(self, running: asyncio.Task[None]) -> None:
        """Take no more and let the write in flight be settled; what is not known by then stays unanswered."""
        self._stop(Unavailable(SERVICE, f"the lane {self._lane.fence} has ended"))
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_AT_END_S):
                while self._in_flight and not running.done():
                    await self._idle.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        self._forsake()

    # --- writing -----------------------------------------------------------------------------------

    def _next_groups(self) -> list[Group]:
        groups: list[Group] = []
        messages = octets = 0
        while self._waiting:
            group = self._waiting[0]
            messages, octets = messages + len(group.messages), octets + group.octets
            if groups and (messages > GROUP_FACTS_MAX or octets > GROUP_OCTETS_MAX):
                break
            groups.append(self._waiting.popleft())
        return groups

    async def _commit(self, groups: Sequence[Group]) -> None:
        """Conclude each of the groups: stored, or refused for good."""
        for _ in range(ATTEMPTS_MAX):
            if not groups:
                return
            try:
                guard = await self.open()
            except (Unavailable, Deposed) as error:
                Write(groups, (), "").conclude(error)
                return
            groups = await self._write(self._writes_of(groups, guard), guard)
            if groups:
                await asyncio.sleep(ASK_AGAIN_AFTER_S / 10)
        Write(groups, (), "").conclude(Unavailable(SERVICE, "refused again and again"))

    def _writes_of(self, groups: Sequence[Group], guard: int) -> list[Write]:
        if len(groups) <= SINGLES_MAX and all(len(group.messages) == 1 for group in groups):
            return [self._guarded([group], group.messages, guard) for group in groups]
        return [self._guarded(groups, [message for group in groups for message in group.messages], guard)]

    def _guarded(self, groups: Sequence[Group], messages: Sequence[Outgoing], guard: int) -> Write:
        self._writes += 1
        mark = f"{self._owner}.{self._writes}"
        fence = {
            wire.MARK: mark,
            wire.EXPECTED: str(guard),
            wire.EXPECTED_SUBJECT: self._lane.stored + self._lane.fence,
        }
        return Write(groups, (messages[0].with_headers(fence), *messages[1:]), mark)

    async def _write(self, writes: Sequence[Write], guard: int) -> list[Group]:
        """Send, conclude what is known, settle what is not; the groups to be sent again."""
        outcomes = await asyncio.gather(*(settle(write.send(self._link)) for write in writes))
        again: list[Group] = []
        unknown: list[Write] = []
        for write, outcome in zip(writes, outcomes, strict=True):
            match outcome:
                case Unanswered():
                    unknown.append(write)
                case ServerRefused(is_unsettled=True):
                    unknown.append(write)
                case ServerRefused(is_conflict=True):  # deposed, or the marker was purged: opening will tell
                    self._guard = None
                    again += write.groups
                case ServerRefused(is_passing=True):
                    again += write.groups
                case ServerRefused():
                    write.conclude(outcome.as_port_error(SERVICE))
                case int() | Unavailable():
                    write.conclude(outcome)
        if unknown:
            await self._settle(unknown, guard)
        self._known = max(self._known, *(outcome for outcome in outcomes if isinstance(outcome, int)), 0)
        return again

    # --- the fence ---------------------------------------------------------------------------------

    async def open(self) -> int:
        """The lane's guard; appends lane.opened when there is none. Raises Unavailable, Full, Deposed."""
        while self._guard is None:
            last = await self._last_marker()
            if last is None or not self._is_ours(last) or last.headers[wire.TOPIC] != LaneOpened.TOPIC:
                if last is not None and self._was_open and not self._is_ours(last):
                    raise self._depose()
                await self._mark(LaneOpened, last.sequence if last else 0)
                continue
            self._guard, self._was_open = last.sequence, True
            self._known = max(self._known, last.sequence)
        return self._guard

    async def _settle(self, unknown: Sequence[Write], guard: int) -> None:
        """Close the lane, so that nothing of this can land any more, then look what has landed."""
        await self._close(guard)
        for write in unknown:
            if (found := await self._find(write)) is not None:
                write.conclude(found)
            elif isinstance(self._stopped, Deposed):
                write.conclude(self._stopped)
            else:
                write.conclude(Unavailable(SERVICE, "the line was lost before it was stored"))

    async def _close(self, guard: int) -> None:
        """Wait until the guard no longer holds: by our lane.closed, another owner's marker, or a purge.

        Meanwhile what has not been sent is refused, now and later: it need not wait for that.
        """
        while True:
            try:
                last = await self._last_marker()
                if last is None or last.sequence != guard:
                    break
                await self._mark(LaneClosed, guard)  # look again: it may be there or not
            except Unavailable as error:
                self._refuse_waiting(error)
                await asyncio.sleep(ASK_AGAIN_AFTER_S)
        self._guard = None
        self._stuck = None
        if last is not None and not self._is_ours(last):
            self._depose()

    async def _find(self, write: Write) -> int | None:
        """The sequence of the write's last message, when it is stored."""
        subject = self._lane.stored + write.messages[0].subject.removeprefix(self._lane.into)
        sequence = self._known + 1
        while True:
            found = await self._link.get_patiently(self._lane.stream, seq=sequence, next_by_subj=subject)
            if found is None:
                return None
            if found.headers.get(wire.MARK) == write.mark:
                break
            sequence = found.sequence + 1
        last = found.sequence + len(write.messages) - 1
        if len(write.messages) > 1:
            await check_whole(self._link, self._lane.stream, last, write.mark)
        return last

    async def _mark(self, kind: type[LaneOpened] | type[LaneClosed], expected: int) -> None:
        """Append a marker; whether it got in is seen by looking. Raises Unavailable, Full."""
        headers = {wire.TOPIC: kind.TOPIC, wire.MARK: self._owner, wire.EXPECTED: str(expected)}
        state = codec.encode(self._marker(kind))
        outcome = await settle(
            self._link.publish(Outgoing(self._lane.into + self._lane.fence, state, headers))
        )
        match outcome:
            case Unavailable():
                raise outcome
            case ServerRefused(is_conflict=False):
                raise outcome.as_port_error(SERVICE)
            case Unanswered():
                raise Unavailable(SERVICE, str(outcome)) from outcome

    async def _last_marker(self) -> Stored | None:
        return await self._link.last(self._lane.stream, self._lane.stored + self._lane.fence)

    def _is_ours(self, marker: Stored) -> bool:
        return marker.headers.get(wire.MARK) == self._owner

    def _depose(self) -> Deposed:
        deposed = Deposed(f"the lane {self._lane.fence} has another owner")
        self._stop(deposed)
        return deposed

    # --- the end -----------------------------------------------------------------------------------

    def _stop(self, reason: Exception) -> None:
        """Refuse what has not been sent, now and later."""
        self._stopped = self._stopped or reason
        self._refuse_waiting(self._stopped)

    def _refuse_waiting(self, reason: Exception) -> None:
        self._stuck = reason
        while self._waiting:
            self._waiting.popleft().conclude(reason)

    def _forsake(self) -> None:
        for group in self._in_flight:
            group.outcome.cancel()
