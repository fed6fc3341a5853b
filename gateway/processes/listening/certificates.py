"""The certificates we show: files that change are shown in new handshakes, sessions under way go on.

Precedents: Postfix takes new files with its next process, after max_idle or 100 clients; chasquid every hour.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from gateway.ports import BadCertificate, Certificates, Clock, ServerContext
from gateway.processes import maillog

LOOK_EVERY_S: Final = 30.0


class ShownCertificates:
    """What new handshakes show."""

    def __init__(self, files: Certificates, clock: Clock) -> None:
        """Raises BadCertificate."""
        self._files, self._clock = files, clock
        self._stamp = files.stamp()  # of what is shown
        self._context = files.load()
        self._is_told = False  # that the files cannot be used

    @property
    def context(self) -> ServerContext:
        """For one handshake: another one may show another certificate."""
        return self._context

    @contextlib.asynccontextmanager
    async def watching(self, failed: Callable[[Exception], None]) -> AsyncIterator[None]:
        """Files that change are taken while the block runs."""
        task = asyncio.create_task(self._watch(failed), name="watch certificates")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _watch(self, failed: Callable[[Exception], None]) -> None:
        try:
            while True:
                await self._clock.sleep(LOOK_EVERY_S)
                await self._look()
        except Exception as error:  # our own mistake: the edge ends and starts again
            failed(error)

    async def _look(self) -> None:
        stamp = await asyncio.to_thread(self._files.stamp)
        if stamp == self._stamp:
            self._is_told = False
            return
        try:
            context = await asyncio.to_thread(self._files.load)
        except BadCertificate as error:
            if not self._is_told:
                maillog.certificates_unusable(reason=str(error))
            self._is_told = True
            return
        if await asyncio.to_thread(self._files.stamp) == stamp:  # else they are being written: next time
            self._context, self._stamp, self._is_told = context, stamp, False
            maillog.certificates_changed()
