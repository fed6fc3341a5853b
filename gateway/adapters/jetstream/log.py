"""The event log on JetStream: reading, and the guarded way in.

A guarded append that got no answer is sent again until one comes: the guard lets only one of the copies in,
and the mark they share says whether it was ours (ADR 0002).
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from gateway.adapters.jetstream import streams, wire
from gateway.adapters.jetstream.link import SERVICE, Link, settle
from gateway.adapters.jetstream.reader import follow
from gateway.adapters.jetstream.wire import Outgoing, ServerRefused, Unanswered
from gateway.adapters.jetstream.writes import check_whole
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
        messages = [
            message.with_headers(_guard(carried, fact.subject, expected))
            for message, fact, carried in zip(
                self.messages(facts, versions),
                facts,
                carriers([fact.subject for fact in facts], expected),
                strict=True,
            )
        ]
        fence = next(index for index, fact in enumerate(facts) if fact.subject in expected)
        stored_as = f"ev.{facts[fence].subject}"
        return Position(await store_guarded(self.link, self.stream, messages, fence, stored_as))

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


async def store_guarded(
    link: Link, stream: str, messages: Sequence[Outgoing], fence: int, stored_as: str
) -> int:
    """Store messages all or none; the sequence of the last. Raises Conflict, Full, Unavailable (not stored).

    fence: index of a message that carries its own history's guard, stored under `stored_as`: of the copies
    that are sent while no answer comes it lets one in. Waits while the outcome is not known.
    """
    mark = uuid.uuid4().hex
    marked = list(messages)
    marked[fence] = messages[fence].with_headers({wire.MARK: mark})
    after = int(messages[fence].headers[wire.EXPECTED])
    attempts, refusals, unanswered = 0, 0, False
    while True:
        attempts += 1
        one = len(marked) == 1
        sending = link.publish(marked[0]) if one else link.publish_batch(marked, f"{mark}.{attempts}")
        match await settle(sending):
            case int(sequence):
                return sequence
            case ServerRefused(is_conflict=True) as refused:
                found = await _find(link, stream, stored_as, after, mark) if unanswered else None
                if found is None:
                    raise Conflict(f"{stored_as} or another history has moved on: {refused}") from refused
                last = found - fence + len(marked) - 1
                if one:
                    return last
                if not await _ends_before(link, stream, last):
                    await check_whole(link, stream, last, mark)
                    return last
                # The disk ran full within our batch: the server completes it when it is started again.
            case ServerRefused(is_unsettled=True) | Unanswered():
                unanswered = True
            case Unavailable() as unavailable if not unanswered:
                raise unavailable
            case ServerRefused() as refused if not unanswered:
                refusals += 1
                if not refused.is_passing or refusals == PASSING_REFUSALS_MAX:
                    raise refused.as_port_error(SERVICE) from refused
        await asyncio.sleep(SEND_AGAIN_AFTER_S)


async def _find(link: Link, stream: str, stored_as: str, after: int, mark: str) -> int | None:
    """The sequence of the message with this mark, if it is the next of its history."""
    found = await link.get_patiently(stream, seq=after + 1, next_by_subj=stored_as)
    return found.sequence if found and found.headers.get(wire.MARK) == mark else None


async def _ends_before(link: Link, stream: str, sequence: int) -> bool:
    end = await link.get_patiently(stream, last_by_subj=">")
    return end is None or end.sequence < sequence
