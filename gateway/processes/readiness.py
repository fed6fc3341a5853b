"""How a process of ours begins and ends: it says when it serves, and stops in order when it is told to."""

import asyncio
import os
import signal
from collections.abc import Coroutine, Mapping
from typing import Any, Final

VARIABLE: Final = "SARABAN_READY_FD"


def ready(environment: Mapping[str, str], text: str = "ready") -> None:
    """Say that this role serves now. Without a supervisor, nothing happens.

    environment: `os.environ`, which names the descriptor. Call it once, when the ports listen and the servers
    behind have answered.
    """
    if descriptor := environment.get(VARIABLE):
        with os.fdopen(int(descriptor), "w") as pipe:
            pipe.write(text + "\n")


async def until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run until it ends, or until SIGINT, SIGTERM or SIGHUP, which cancel it."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return
