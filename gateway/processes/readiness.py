"""How a role tells the supervisor that it serves: one line on the descriptor it was given."""

import os
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "SARABAN_READY_FD"


def ready(environment: Mapping[str, str], text: str = "ready") -> None:
    """Say that this role serves now. Without a supervisor, nothing happens.

    environment: `os.environ`, which names the descriptor. Call it once, when the ports listen and the servers
    behind have answered.
    """
    if descriptor := environment.get(VARIABLE):
        with os.fdopen(int(descriptor), "w") as pipe:
            pipe.write(text + "\n")
