"""What a relay has under its own lease, and how much of it there may be."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.processes.relay.work import Job

# Recipients under lease at once. Many hosts that do not answer hold a few each, and there is room left.
JOBS_MAX: Final = 2_000
TAKE_MAX: Final = 200  # recipients asked for at once


class InHand:
    """Jobs by the recipients they are for; a recipient is in one job at a time."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[int, int], Job] = {}  # by position and recipient; ours until released
        self._has_room = asyncio.Event()

    def add(self, job: Job) -> bool:
        """False when some of it is here: its lease was lost here once, and the attempt goes on."""
        keys = _keys(job)
        if not self._jobs.keys().isdisjoint(keys):
            return False
        self._jobs |= dict.fromkeys(keys, job)
        return True

    def replace(self, parts: Iterable[Job]) -> None:
        """A job that is here, by the parts it came apart into."""
        for part in parts:
            self._jobs |= dict.fromkeys(_keys(part), part)

    def forget(self, job: Job) -> None:
        for key in _keys(job):
            self._jobs.pop(key, None)
        self._has_room.set()

    def jobs(self) -> Sequence[Job]:
        return list({id(job): job for job in self._jobs.values()}.values())

    async def room(self) -> None:
        """Wait until a whole set can be taken: what is in hand keeps every connection busy meanwhile."""
        while len(self._jobs) > JOBS_MAX - TAKE_MAX:
            self._has_room.clear()
            await self._has_room.wait()


def _keys(job: Job) -> list[tuple[int, int]]:
    return [(job.position, recipient) for recipient in job.recipients]
