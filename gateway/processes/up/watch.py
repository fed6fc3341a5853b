"""What a supervisor has to look for, because nobody dies of it: a full disk, and servers stuck since then.

PostgreSQL ends and is started again like anything that ends; the S3 server takes writes again by itself.
nats-server stays as it is, refusing everything, until it is started again. One that only hangs is left alone.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from gateway.processes.up.disk import Disk, Space

LOOK_EVERY_S: Final = 2.0
BACK_OFF_FIRST_S: Final = 5.0
BACK_OFF_MAX_S: Final = 120.0  # a disk that fails though it has room will not get better by restarts


class Stuck(Protocol):
    """A server that may be unable to write."""

    async def write_error(self) -> str:
        """What it could not write; "" when it can, or does not answer."""


class Watch:
    """Looks every few seconds. `start_again` ends the stuck server, whose keeper starts it; `regained` is
    told when there is room again."""

    def __init__(
        self,
        disk: Disk,
        server: Stuck | None,
        *,
        start_again: Callable[[], Awaitable[None]],
        regained: Callable[[], None],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._disk, self._server = disk, server
        self._start_again, self._regained, self._say, self._clock = start_again, regained, say, clock
        self._back_off_s = BACK_OFF_FIRST_S
        self._not_before_s = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Say what has changed; start again what is stuck while there is room, later each time."""
        error = await self._server.write_error() if self._server else ""
        was = self._disk.space
        if said := self._disk.look(is_stuck=bool(error)):
            self._say(said)
        if was is Space.FULL and self._disk.space is not Space.FULL:
            self._regained()
        if not error:
            if self._clock() >= self._not_before_s:
                self._back_off_s = BACK_OFF_FIRST_S
        elif self._disk.has_room and self._clock() >= self._not_before_s:
            self._not_before_s = self._clock() + self._back_off_s
            self._back_off_s = min(self._back_off_s * 2, BACK_OFF_MAX_S)
            self._say(f"nats is stuck and there is room on the disk: starting it again ({error})")
            await self._start_again()
