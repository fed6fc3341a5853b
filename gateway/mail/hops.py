"""How far a message has come: a mail that has passed more hosts than any way has is going round.

Source: RFC 5321 §6.3 (counting Received fields; a threshold is at least 100).
"""

import re
from typing import Final

HOPS_MAX: Final = 100
_RECEIVED: Final = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)


def is_going_round(header: bytes) -> bool:
    """True when more hosts than that have put their Received before it."""
    return len(_RECEIVED.findall(header)) > HOPS_MAX
