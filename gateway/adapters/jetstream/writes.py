"""What a committer holds on its way: groups of messages, and the writes they become."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.adapters.jetstream import wire
from gateway.adapters.jetstream.link import Link
from gateway.adapters.jetstream.wire import Outgoing
from gateway.domain.group import GROUP_FACTS_MAX, GROUP_OCTETS_MAX
from gateway.ports import LogCorrupt


@dataclass(frozen=True, slots=True)
class Lane:
    """Where a lane writes. into, stored: what a subject begins with when published, and when stored.

    fence: the subject of the lane's markers, without either.
    """

    stream: str
    into: str
    stored: str
    fence: str


@dataclass(slots=True, eq=False)
class Group:
    """What one caller appends: stored whole or not at all."""

    messages: Sequence[Outgoing]
    outcome: asyncio.Future[int]  # the sequence of its last message
    octets: int = field(init=False)

    def __post_init__(self) -> None:
        self.octets = sum(message.octets for message in self.messages)

    def conclude(self, outcome: int | Exception) -> None:
        if self.outcome.done():  # the caller has gone away
            return
        if isinstance(outcome, int):
            self.outcome.set_result(outcome)
        else:
            self.outcome.set_exception(outcome)


@dataclass(slots=True, eq=False)
class Write:
    """What the server stores whole or not at all: a single message, or a batch of groups."""

    groups: Sequence[Group]
    messages: Sequence[Outgoing]  # guarded, the first with the mark
    mark: str

    async def send(self, link: Link) -> int:
        if len(self.messages) == 1:
            return await link.publish(self.messages[0])
        return await link.publish_batch(self.messages, self.mark)

    def conclude(self, outcome: int | Exception) -> None:
        """outcome: the sequence of the last message, or why there is none."""
        if isinstance(outcome, Exception):
            for group in self.groups:
                group.conclude(outcome)
            return
        sequence = outcome - len(self.messages)
        for group in self.groups:
            sequence += len(group.messages)
            group.conclude(sequence)


async def check_whole(link: Link, stream: str, last: int, batch_id: str) -> None:
    """Is the last message of a batch there, as its first is? Raises LogCorrupt when it is not."""
    found = await link.get_patiently(stream, seq=last)
    if found is None or not found.headers.get(wire.BATCH_ID, "").startswith(batch_id):
        raise LogCorrupt(last, "an atomic batch was stored in part")


def check_batch(messages: Sequence[Outgoing]) -> None:
    """Raises ValueError when the messages are none, or more than one write takes."""
    octets = sum(message.octets for message in messages)
    if not messages:
        raise ValueError("there is nothing to append")
    if len(messages) > GROUP_FACTS_MAX or octets > GROUP_OCTETS_MAX:
        raise ValueError(
            f"{len(messages)} messages of {octets} octets do not fit in one write of at most "
            f"{GROUP_FACTS_MAX} messages and {GROUP_OCTETS_MAX} octets"
        )
