"""Changes that are seen through to their end, also when nobody waits for the answer any more.

A change that is cut off halfway may have its event and not what follows it: a verifier, a key forgotten.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from gateway.domain.registration import Refused
from gateway.ports import Conflict, Deposed, Unavailable
from gateway.processes import maillog
from gateway.processes.web.pages.faults import NotSignedIn, PageFault
from gateway.processes.web.problems import Problem

T = TypeVar("T")


class UnderWay:
    """Holds the tasks. deposed: told when another process has taken our lane meanwhile."""

    def __init__(self, deposed: Callable[[Deposed], None]) -> None:
        self._deposed = deposed
        self._tasks: set[asyncio.Task[Any]] = set()

    async def see_through(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives or raises. Who waits may be cancelled; the work is not, and its errors are
        logged then. Its end is that of the waits in it, which all have one."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._conclude)
            raise

    async def finish(self) -> None:
        """Wait for all of it, before what it works with is closed."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _conclude(self, task: "asyncio.Task[Any]") -> None:
        """Say what became of a change nobody waited for."""
        error = None if task.cancelled() else task.exception()
        match error:
            case None | Problem() | PageFault() | NotSignedIn() | Refused():
                return
            case Deposed():
                self._deposed(error)
            case Unavailable() | Conflict():
                service = getattr(error, "service", "log")
                maillog.service_unavailable(service=service, reason=str(error), doing="administration")
            case Exception():
                maillog.session_failed(error)
