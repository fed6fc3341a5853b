"""Doing what a service that is away cannot do now: the same thing again, later, until it is back."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from gateway.ports import Clock, Unavailable
from gateway.processes import maillog

TRY_AGAIN_AFTER_S: Final = 0.5

T = TypeVar("T")


async def patiently(clock: Clock, doing: str, work: Callable[[], Awaitable[T]]) -> T:
    """What the work gives, however often it has to be begun. doing: for our log."""
    while True:
        try:
            return await work()
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing=doing)
            await clock.sleep(TRY_AGAIN_AFTER_S)
