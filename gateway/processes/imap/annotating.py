"""Metadata of mailboxes and of the account: SETMETADATA and GETMETADATA.

Of one's own mailboxes entries below /private and below /shared are alike. Of others' mailboxes one has what
is below /shared. What all users of the server would share is not theirs to set.

Source: RFC 5464 §4.2, §4.3.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gateway.domain.open_tree import OpenTree
from gateway.mail.ids import AccountId, MailboxId
from gateway.processes.imap.places import Place
from gateway.processes.imap.session import Done, Session
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import GetMetadata, SetMetadata
from gateway.protocols.imap.errors import CannotObey
from projections.mailbox.annotations import WHOLE_ACCOUNT
from projections.mailbox.query import annotations_of
from projections.readmodel import Rows

SHARED: Final = "/shared/"


async def get_metadata(session: Session, command: GetMetadata) -> Done:
    async with session.room.pool.snapshot() as rows:
        if command.mailbox:
            place = await session.place(rows, command)
            kept = (await annotations_in(rows, [place]))[place.mailbox_id]
        else:
            kept = (await annotations_of(rows, session.account_id, [WHOLE_ACCOUNT]))[WHOLE_ACCOUNT]
    values = dict(wanted(command, kept))
    largest = max((len(value) for value in values.values() if value is not None), default=0)
    limit = largest if command.octets_max is None else command.octets_max
    told = {entry: value for entry, value in values.items() if value is None or len(value) <= limit}
    if told:
        session.send(responses.metadata(command.mailbox, told, is_utf8=session.is_utf8))
    return Done("GETMETADATA completed", f"METADATA LONGENTRIES {largest}" if largest > limit else "")


async def annotations_in(rows: Rows, places: Iterable[Place]) -> dict[str, dict[str, bytes]]:
    """By mailbox and entry, as far as they are for whom reaches it."""
    by_account: dict[AccountId, list[Place]] = {}
    for place in places:
        by_account.setdefault(place.account_id, []).append(place)
    found: dict[str, dict[str, bytes]] = {}
    for account_id, same in by_account.items():
        kept = await annotations_of(rows, account_id, [place.mailbox_id for place in same])
        for place in same:
            found[place.mailbox_id] = {
                entry: value
                for entry, value in kept[place.mailbox_id].items()
                if place.viewer is None or entry.startswith(SHARED)
            }
    return found


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
    named = await session.named(command)
    if named.mailbox_id and not all(entry.startswith(SHARED) for entry, _ in command.values):
        raise CannotObey("", "Notes of your own are for your own mailboxes", "METADATA NOPRIVATE")

    def decide(tree: OpenTree) -> MailboxId | None:
        named.check(tree)
        return tree.annotate(named.inner, command.values)

    _, position = await session.room.folders.decide(named.account_id, session.actor, decide)
    await session.reach(position, named.account_id)
    return Done("SETMETADATA completed")
