"""Rights to a mailbox: their letters, and what each lets one do.

Source: RFC 4314 §2.1 (rights), §4 (what a command needs).
"""

from collections.abc import Iterable
from typing import Final

from gateway.mail.flags import DELETED, SEEN

LOOKUP, READ, KEEP_SEEN, WRITE, INSERT, POST = "l", "r", "s", "w", "i", "p"
CREATE, DELETE_MAILBOX, DELETE_MESSAGES, EXPUNGE, ADMINISTER = "k", "x", "t", "e", "a"
ALL: Final = "lrswipkxtea"  # in the order they are written


def rights_text(rights: Iterable[str]) -> str:
    """Each once, in their order; "" for none."""
    held = set(rights)
    return "".join(right for right in ALL if right in held)


def right_for_flag(flag: str) -> str:
    """What one needs to set or clear a flag (RFC 4314 §4, STORE). flag: in any case."""
    return {SEEN.lower(): KEEP_SEEN, DELETED.lower(): DELETE_MESSAGES}.get(flag.lower(), WRITE)
