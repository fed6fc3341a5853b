"""A role is a module of this package; its `run` opens what it needs in `async with`, and closes it in order.

No conditions on behaviour in them: what differs by settings is a value that is handed down.
"""

import importlib
import os
from functools import partial

from gateway.adapters.system import allow_open_files
from gateway.processes import maillog
from gateway.processes.readiness import ready
from gateway.settings import Settings


async def run_role(role: str, settings: Settings) -> None:
    """Run one role until cancelled. Its end by an error ends the process; the supervisor starts it again."""
    maillog.configure(role, settings.log_level)
    allow_open_files()
    # A role started alone loads itself only: all of them together take half a second and 10 MiB more.
    await importlib.import_module(f"gateway.wiring.{role}").run(settings, partial(ready, os.environ))
    maillog.role_stopped()
