"""The event log on JetStream: reading, and the guarded way in.

A guarded append that got no answer is sent again until one comes: the guard lets only one of the copies in,
and the mark they share says whether it was ours (ADR 0002).
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from gateway.adapters.jetstream import streams, wire
from gateway.adapters.jetstream.committer import check_batch
from gateway.adapters.jetstream.link import SERVICE, Link
from gateway.adapters.jetstream.reader import follow
from gateway.adapters.jetstream.wire import Outgoing, Refused, Unanswered
from gateway.domain import codec
from gateway.ports import START, Checkpoint, Conflict, Fact, LogCorrupt, Position, Recorded, Unavailable

SEND_AGAIN_AFTER_S: Final = 0.2
PASSING_REFUSALS_MAX: Final = 20


async def open_log(link: Link, stream: str = streams.LOG) -> "JetStreamLog":
    """Check the log's stream and learn its epoch. Raises streams.Misconfigured, Unavailable."""
    return JetStreamLog(link, stream, await streams.epoch_of(link, stream))


class JetStreamLog:
    """The port EventLog on the stream EV_1. Made by `open_log`."""

    def __init__(self, link: Link, stream: str, epoch: int) -> None:
        self.link, self.stream = link, stream
        self.into = f"in.e{epoch}."

    async def last(self) -> Position:
        last = await self.link.last(self.stream)
        return Position(last.sequence if last else 0)

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

    async def append_guarded(
        self,
        facts: Sequence[Fact],
        expected: Mapping[str, Position],
        versions: Mapping[str, int] | None = None,
    ) -> Position:
        written = {fact.subject for fact in facts}
        if not written & expected.keys():
            # Only a guard on what is written here keeps a late copy of a lost append out.
            raise ValueError("a guarded append writes to one of the histories it guards")
        mark = uuid.uuid4().hex
        messages = guarded(self.messages(facts, versions), expected, self.into, mark)
        fence = next(subject for subject in expected if subject in written)
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
        """Facts as they go over the line. Raises ValueError for what is too large for the log."""
        count = dict(versions or {})
        messages = []
        for fact in facts:
            state = codec.encode(fact.event)
            if len(state) > codec.EVENT_OCTETS_MAX:
                limit = f"an event has at most {codec.EVENT_OCTETS_MAX}"
                raise ValueError(f"{fact.event.TOPIC} has {len(state)} octets, {limit}")
            headers = {wire.TOPIC: fact.event.TOPIC}
            if fact.subject in count:
                headers[wire.VERSION] = str(count[fact.subject])
                count[fact.subject] += 1
            messages.append(Outgoing(self.into + fact.subject, state, headers))
        check_batch(messages)
        return messages


def guarded(
    messages: Sequence[Outgoing], expected: Mapping[str, Position], into: str, mark: str
) -> list[Outgoing]:
    """Put each guard where the server wants it: on the first message of the history it guards, and that of
    a history not written here on the first message that is still free. All get the mark."""
    own, foreign, out = dict(expected), list[tuple[str, Position]](), list[Outgoing]()
    written = {message.subject.removeprefix(into) for message in messages}
    foreign += [(subject, own.pop(subject)) for subject in expected if subject not in written]
    for message in messages:
        headers = {wire.MARK: mark}
        subject = message.subject.removeprefix(into)
        if subject in own:
            headers[wire.EXPECTED] = str(own.pop(subject))
        elif foreign:
            subject, position = foreign.pop(0)
            headers |= {wire.EXPECTED: str(position), wire.EXPECTED_SUBJECT: f"ev.{subject}"}
        out.append(message.with_headers(headers))
    if foreign:
        raise ValueError(f"there is no message to carry the guard of {foreign[0][0]}")
    return out
