"""What hosts said, on its way into the log.

What is concluded while one append is under way goes together as the next. A connection offers its next mail
meanwhile, and sends the final dot of it when what was said of the one before is in the log: when this process
dies, a host has at most one mail a connection that nobody knows of, and that is tried again.

Source: architecture §2.4.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from gateway.domain.events import Fact
from gateway.domain.group import parts
from gateway.ports import Position
from gateway.processes.relay.work import Job

# Conclusions; who has one more waits for room. Connections are far fewer: these are mails nobody could take.
WAITING_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The outcome of an attempt. took_s: from its first command to the last reply.

    is_recorded: set when the log has it.
    """

    job: Job
    facts: Sequence[Fact]
    took_s: float
    is_recorded: asyncio.Event = field(default_factory=asyncio.Event)


class Recorder:
    """append: until the log has the facts, however long that takes; raises Deposed."""

    def __init__(
        self,
        append: Callable[[Sequence[Fact]], Awaitable[Position]],
        recorded: Callable[[Sequence[Conclusion], Position], None],
    ) -> None:
        self._append, self._recorded = append, recorded
        self._waiting: asyncio.Queue[Conclusion] = asyncio.Queue(WAITING_MAX)
        self._under_way: asyncio.Task[None] | None = None

    async def add(self, conclusion: Conclusion) -> None:
        """Have it recorded soon. Waits while too many are not."""
        await self._waiting.put(conclusion)

    async def run(self) -> None:
        """Record until cancelled; an append that is under way then goes on."""
        while True:
            some = [await self._waiting.get(), *self._drained()]
            self._under_way = asyncio.create_task(self._record(some))
            await asyncio.shield(self._under_way)

    async def finish(self, timeout_s: float) -> None:
        """After `run`: record what is left, as far as there is time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                if self._under_way is not None:
                    await self._under_way
                if rest := list(self._drained()):
                    await self._record(rest)

    def _drained(self) -> Iterator[Conclusion]:
        while not self._waiting.empty():
            yield self._waiting.get_nowait()

    async def _record(self, conclusions: Sequence[Conclusion]) -> None:
        facts = [fact for conclusion in conclusions for fact in conclusion.facts]
        position = Position(0)
        for part in parts(facts):
            position = await self._append(part)
        self._recorded(conclusions, position)
        for conclusion in conclusions:
            conclusion.is_recorded.set()
