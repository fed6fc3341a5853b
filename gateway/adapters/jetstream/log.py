"""The event log on JetStream: reading, and the guarded way in.

A guarded append that got no answer is sent again until one comes: the guard lets only one of the copies in,
and the mark they share says whether it was ours (ADR 0002).
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from gateway.adapters.jetstream import streams, wire
from gateway.adapters.jetstream.link import SERVICE, Link
from gateway.adapters.jetstream.reader import follow
from gateway.adapters.jetstream.wire import Outgoing, Refused, Unanswered
from gateway.domain.group import carriers, encode_group
from gateway.ports import START, Checkpoint, Conflict, Fact, LogCorrupt, Position, Recorded, Unavailable

SEND_AGAIN_AFTER_S: Final = 0.2
PASSING_REFUSALS_MAX: Final = 20


async def open_log(link: Link, stream: str = streams.LOG) -> "JetStreamLog":
    """Check the log's stream and learn its epoch. Raises streams.Misconfigured, LogCorrupt, Unavailable."""
    log = JetStreamLog(link, stream, await streams.epoch_of(link, stream))
    await log.last()
    return log


class JetStreamLog:
    """The port EventLog on the stream EV_1. Made by `open_log`."""

    def __init__(self, link: Link, stream: str, epoch: int) -> None:
        self.link, self.stream = link, stream
        self.into = f"in.e{epoch}."

    async def last(self) -> Position:
        return await streams.end_of_log(self.link, self.stream)

    async def read(self, position: Position) -> Recorded:
        found = await self.link.get(self.stream, seq=position) if position > 0 else None
        if found is not None:
            return found.recorded()
        if position > (last := await self.last()):
            raise IndexError(f"the log ends at position {last}, {position} is past it")
        raise LogCorrupt(position, "there is no event, although the log is longer")

    def follow(self, after: Checkpoint) -> AsyncIterator[Sequence[Recorded]]:
        return follow(self.link, self.stream, after)

    async def history(self, subject: str, after: Position = START.position) -> Sequence[Recorded]:
        stored_as, found = f"ev.{subject}", list[Recorded]()
        last = await self.link.last(self.stream, stored_as)  # from the leader: what is to be there
        while last is not None and after < last.sequence:
            page = await self.link.read(self.stream, stored_as, after + 1, 1000)
            if not page:
                raise LogCorrupt(last.sequence, f"the history {subject} ends at {after}")
            found += [stored.recorded() for stored in page]
            after = found[-1].position
        return found

    async def latest(self, subject: str) -> Recorded | None:
        last = await self.link.last(self.stream, f"ev.{subject}")
        return last.recorded() if last else None

    async def append_guarded(
        self,
        facts: Sequence[Fact],
        expected: Mapping[str, Position],
        versions: Mapping[str, int] | None = None,
    ) -> Position:
        mark = uuid.uuid4().hex
        messages = [
            message.with_headers({wire.MARK: mark, **_guard(carried, fact.subject, expected)})
            for message, fact, carried in zip(
                self.messages(facts, versions),
                facts,
                carriers([fact.subject for fact in facts], expected),
                strict=True,
            )
        ]
        fence = next(fact.subject for fact in facts if fact.subject in expected)
        return Position(await self._store(messages, fence, expected[fence], mark))

    async def _store(self, messages: list[Outgoing], fence: str, expected: Position, mark: str) -> int:
        refusals = 0
        unanswered = False
        while True:
            try:
                if len(messages) == 1:
                    return await self.link.publish(messages[0])
                return await self.link.publish_batch(messages)
            except Refused as refused:
                refusals += 1
                if refused.is_conflict:
                    if unanswered and (found := await self._find(messages, fence, expected, mark)):
                        return found
                    raise Conflict(f"{fence} is no longer at {expected}: {refused}") from refused
                if not refused.is_passing or refusals == PASSING_REFUSALS_MAX:
                    if not unanswered:
                        raise refused.as_port_error(SERVICE) from refused
                    refusals = 0
            except Unanswered:
                unanswered = True
            except Unavailable:
                if not unanswered:
                    raise
            await asyncio.sleep(SEND_AGAIN_AFTER_S)

    async def _find(self, messages: list[Outgoing], fence: str, after: Position, mark: str) -> int | None:
        """The sequence of the last of our messages; None: the history moved on without them."""
        while True:
            try:
                events = await self.link.read(self.stream, f"ev.{fence}", after + 1, 1)
            except Unavailable:
                await asyncio.sleep(SEND_AGAIN_AFTER_S)
                continue
            if not events or events[0].headers.get(wire.MARK) != mark:
                return None
            index = next(i for i, m in enumerate(messages) if m.subject == self.into + fence)
            return events[0].sequence - index + len(messages) - 1

    def messages(self, facts: Sequence[Fact], versions: Mapping[str, int] | None = None) -> list[Outgoing]:
        """A group of facts as it goes over the line. Raises ValueError for what no group may be."""
        return [
            Outgoing(
                self.into + fact.subject,
                fact.state,
                {wire.TOPIC: fact.topic} | ({wire.VERSION: str(fact.version)} if fact.version else {}),
            )
            for fact in encode_group(facts, versions)
        ]


def _guard(carried: str | None, subject: str, expected: Mapping[str, Position]) -> dict[str, str]:
    """The headers of the guard a message carries: of its own history, or of another."""
    if carried is None:
        return {}
    guard = {wire.EXPECTED: str(expected[carried])}
    return guard if carried == subject else {**guard, wire.EXPECTED_SUBJECT: f"ev.{carried}"}
