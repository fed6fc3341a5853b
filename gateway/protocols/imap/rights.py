"""Rights to a mailbox: their letters, what each lets one do, and how they are written.

Whose rights are which, the domain decides; here is what the protocol says of them.

Source: RFC 4314 §2.1 (rights), §2.1.1 (obsolete ones), §4 (what a command needs).
"""

import re
from collections.abc import Iterable
from typing import Final

from gateway.mail.flags import DELETED, SEEN

LOOKUP, READ, KEEP_SEEN, WRITE, INSERT, POST = "l", "r", "s", "w", "i", "p"
CREATE, DELETE_MAILBOX, DELETE_MESSAGES, EXPUNGE, ADMINISTER = "k", "x", "t", "e", "a"
ALL: Final = "lrswipkxtea"  # in the order they are written

# RFC 4314 §2.1.1: what clients of RFC 2086 say and see; our choice is that "c" is for mailboxes, "d" for
# messages.
_OBSOLETE: Final = {"c": frozenset("kx"), "d": frozenset("te")}
_WRITTEN: Final = re.compile(rf"[{ALL}cd]*")
# RFC 4314 §4: MYRIGHTS needs one of these.
ANY_OF: Final = frozenset("lrikxa")


def read_rights(written: str) -> frozenset[str]:
    """Raises ValueError with a sentence for the client (RFC 4314 §3.1: BAD)."""
    if _WRITTEN.fullmatch(written) is None:
        raise ValueError(f"Rights are letters of {ALL}")
    return frozenset(right for letter in written for right in _OBSOLETE.get(letter, letter))


def write_rights(rights: Iterable[str]) -> str:
    """With the obsolete ones, which old clients look for; `""` for none."""
    held = set(rights)
    old = "".join(letter for letter, parts in _OBSOLETE.items() if parts & held)
    return "".join(right for right in ALL if right in held) + old


def right_for_flag(flag: str) -> str:
    """What one needs to set or clear a flag (RFC 4314 §4, STORE)."""
    return {SEEN: KEEP_SEEN, DELETED: DELETE_MESSAGES}.get(flag, WRITE)
