"""A role is a module of this package; its `run` opens what it needs in `async with`, and closes it in order.

No conditions on behaviour in them: what differs by settings is a value that is handed down.
"""

import gc
import importlib
import os
from functools import partial
from typing import Final

from gateway.adapters.system import allow_open_files
from gateway.processes import maillog
from gateway.processes.readiness import ready
from gateway.settings import Settings

GC_ALLOCATIONS: Final = 10_000  # between two collections; Python's 700 is for programs that end


async def run_role(role: str, settings: Settings) -> None:
    """Run one role until cancelled. Its end by an error ends the process; the supervisor starts it again."""
    maillog.configure(role, settings.log_level)
    allow_open_files()
    # A role started alone loads itself only: all of them together take half a second and 10 MiB more.
    loaded = importlib.import_module(f"gateway.wiring.{role}")
    # What is loaded stays: it is not looked through for garbage again and again, nor copied for that from the
    # process this one was forked from.
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS)
    await loaded.run(settings, partial(ready, os.environ))
    maillog.role_stopped()
