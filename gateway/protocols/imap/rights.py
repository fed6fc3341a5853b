"""Rights to a mailbox as clients write them, and which of them each command needs.

Whose rights are which, the domain decides (domain/sharing.py).

Source: RFC 4314 §2.1.1 (obsolete rights), §4 (what a command needs); RFC 6851 §3.3 (MOVE), RFC 8508 §3.1
(REPLACE).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.mail.rights import (
    ADMINISTER,
    ALL,
    CREATE,
    DELETE_MAILBOX,
    DELETE_MESSAGES,
    EXPUNGE,
    INSERT,
    LOOKUP,
    READ,
    WRITE,
    rights_text,
)
from gateway.protocols.imap import commands
from gateway.protocols.imap.commands import Command

# RFC 4314 §2.1.1: what clients of RFC 2086 say and see; our choice is that "c" is for mailboxes, "d" for
# messages.
_OBSOLETE: Final = {"c": frozenset("kx"), "d": frozenset("te")}
_WRITTEN: Final = re.compile(rf"[{ALL}cd]*")

# To the mailbox that a command names; beside them every one needs LOOKUP, without which there is no such
# mailbox. CREATE and RENAME also need CREATE above the new name.
TO_NAMED: Final[Mapping[type[object], str]] = {
    commands.Select: READ,
    commands.Status: READ,
    commands.Delete: DELETE_MAILBOX,
    commands.Rename: DELETE_MAILBOX,
    commands.Subscribe: LOOKUP,
    commands.Unsubscribe: LOOKUP,
    commands.GetQuotaRoot: READ,
    commands.Append: INSERT,
    commands.Replace: INSERT,
    commands.Copy: INSERT,
    commands.Move: INSERT,
    commands.GetMetadata: READ,
    commands.SetMetadata: WRITE,
    commands.SetAcl: ADMINISTER,
    commands.DeleteAcl: ADMINISTER,
    commands.GetAcl: ADMINISTER,
    commands.ListRights: ADMINISTER,
    commands.MyRights: LOOKUP,
}
TO_NEW: Final = CREATE  # to the mailbox above one that is made, or gets another place
# To the selected mailbox. STORE asks for each flag; CLOSE expunges what one may, and says nothing.
TO_SELECTED: Final[Mapping[type[Command], str]] = {
    commands.Fetch: READ,
    commands.Search: READ,
    commands.Sort: READ,
    commands.Thread: READ,
    commands.Copy: READ,
    commands.Move: READ + DELETE_MESSAGES + EXPUNGE,
    commands.Replace: DELETE_MESSAGES + EXPUNGE,
    commands.Expunge: EXPUNGE,
}


def read_rights(written: str) -> frozenset[str]:
    """Raises ValueError with a sentence for the client (RFC 4314 §3.1: BAD)."""
    if _WRITTEN.fullmatch(written) is None:
        raise ValueError(f"Rights are letters of {ALL}")
    return frozenset(right for letter in written for right in _OBSOLETE.get(letter, letter))


def write_rights(rights: Iterable[str]) -> str:
    """With the obsolete ones, which old clients look for; `""` for none."""
    held = set(rights)
    return rights_text(held) + "".join(letter for letter, parts in _OBSOLETE.items() if parts & held)
