"""Metadata of mailboxes and of the account: SETMETADATA and GETMETADATA.

Entries below /private and below /shared are alike while an account is one person's. What all users of the
server would share is not theirs to set.

Source: RFC 5464 §4.2, §4.3.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.processes.imap.session import Done, Session
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import GetMetadata, SetMetadata
from gateway.protocols.imap.errors import CannotObey
from projections.mailbox.annotations import WHOLE_ACCOUNT
from projections.mailbox.query import annotations_of

SHARED: Final = "/shared/"


async def get_metadata(session: Session, command: GetMetadata) -> Done:
    async with session.room.pool.snapshot() as rows:
        mailbox_id = WHOLE_ACCOUNT
        if command.mailbox:
            mailbox_id = (await session.mailbox(rows, command.mailbox)).mailbox_id
        kept = (await annotations_of(rows, session.account_id, [mailbox_id]))[mailbox_id]
    values = dict(wanted(command, kept))
    largest = max((len(value) for value in values.values() if value is not None), default=0)
    limit = largest if command.octets_max is None else command.octets_max
    told = {entry: value for entry, value in values.items() if value is None or len(value) <= limit}
    if told:
        session.send(responses.metadata(command.mailbox, told, is_utf8=session.is_utf8))
    return Done("GETMETADATA completed", f"METADATA LONGENTRIES {largest}" if largest > limit else "")


def wanted(command: GetMetadata, kept: Mapping[str, bytes]) -> Iterator[tuple[str, bytes | None]]:
    """Entries that a command asks for, and with DEPTH those below them; None: asked for, and not there."""
    for asked in command.entries:
        if command.depth == 0 or asked in kept:
            yield asked, kept.get(asked)
        levels = asked.count("/") + 1
        for entry, value in kept.items():
            if entry.startswith(asked + "/") and (
                command.depth is None or (command.depth == 1 and entry.count("/") == levels)
            ):
                yield entry, value


async def set_metadata(session: Session, command: SetMetadata) -> Done:
    if not command.mailbox and any(entry.startswith(SHARED) for entry, _ in command.values):
        raise CannotObey("", "What all share on this server is not for clients to set", "NOPERM")
    _, position = await session.room.folders.decide(
        session.account_id, session.actor, lambda tree: tree.annotate(command.mailbox, command.values)
    )
    await session.reach(position)
    return Done("SETMETADATA completed")
