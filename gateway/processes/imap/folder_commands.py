"""Commands about mailboxes: LIST and what makes, renames, deletes and measures them.

Source: RFC 9051 §6.3; RFC 3501 §6.3.9 (LSUB), RFC 5819 (LIST-STATUS), RFC 8440 (LIST-MYRIGHTS), RFC 9590
(LIST-METADATA), RFC 6154 §3, RFC 9208 (QUOTA).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from gateway.domain.changes import MessageMoved, in_parts
from gateway.domain.mailboxtree import Role
from gateway.domain.open_tree import OpenTree
from gateway.mail.ids import AccountId, MailboxId
from gateway.mail.mailbox_name import INBOX, SEPARATOR
from gateway.mail.rights import READ
from gateway.mail.uids import ranges_of, uids_text
from gateway.processes.imap.annotating import annotations_in
from gateway.processes.imap.places import PREFIX, Place, as_seen, others_places, own_places
from gateway.processes.imap.session import Done, Session
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import (
    Create,
    Delete,
    GetQuota,
    GetQuotaRoot,
    List,
    Lsub,
    Namespace,
    Rename,
    SetQuota,
    Status,
    Subscribe,
    Unsubscribe,
)
from gateway.protocols.imap.errors import CannotObey
from gateway.protocols.imap.listing import Listable, list_mailboxes, list_subscribed, with_parents
from gateway.protocols.imap.rights import TO_NEW
from projections.mailbox.query import MailboxRow, uids_of, usage_of

QUOTA_ROOT: Final = ""  # one for all mailboxes of an account; others' are named after where these lie
UNIT_OCTETS: Final = 1024  # RFC 9208 §5.1: STORAGE


async def list_(session: Session, command: List) -> Done:
    if command.patterns == ("",):
        session.send(responses.separator())
        return Done("LIST completed")
    async with session.room.pool.snapshot() as rows:
        places = await session.places(rows)
        if "UNSEEN" in command.status_items:
            places = await as_seen(rows, places)
        annotations = await annotations_in(rows, places.values()) if command.entries else {}
    for listed in list_mailboxes(command, _listables(places)):
        info = ("SUBSCRIBED",) if listed.has_subscribed_below else ()
        session.send(
            responses.mailbox(listed.path, listed.attributes, is_utf8=session.is_utf8, child_info=info)
        )
        place = places.get(listed.path)
        if place is None or info:
            continue
        if "MYRIGHTS" in command.returns:  # RFC 8440
            session.send(responses.my_rights(listed.path, place.rights, is_utf8=session.is_utf8))
        if command.status_items and READ in place.rights:
            session.send(status_line(session, listed.path, place.row, command.status_items))
        if command.entries and READ in place.rights:
            kept = annotations[place.mailbox_id]
            values = {entry: kept.get(entry) for entry in command.entries}
            session.send(responses.metadata(listed.path, values, is_utf8=session.is_utf8))
    return Done("LIST completed")


async def lsub(session: Session, command: Lsub) -> Done:
    async with session.room.pool.rows() as rows:
        places = await session.places(rows)
    for listed in list_subscribed(command, _listables(places)):
        session.send(responses.mailbox(listed.path, listed.attributes, is_utf8=session.is_utf8, is_lsub=True))
    return Done("LSUB completed")


async def namespace(session: Session, command: Namespace) -> Done:
    personal, others = [("", SEPARATOR)], [(PREFIX, SEPARATOR)]
    session.send(responses.namespace(personal, others, is_utf8=session.is_utf8))
    return Done("NAMESPACE completed")


async def status(session: Session, command: Status) -> Done:
    pool = session.room.pool  # of one moment: more may be seen than there was when it was counted
    async with pool.snapshot() if "UNSEEN" in command.items else pool.rows() as rows:
        place = await session.place(rows, command)
        if "UNSEEN" in command.items:
            (place,) = (await as_seen(rows, {place.path: place})).values()
    session.send(status_line(session, command.mailbox, place.row, command.items))
    return Done("STATUS completed")


def _listables(places: Mapping[str, Place]) -> list[Listable]:
    """What a mailbox is for, it is for its owner."""
    return with_parents(
        [
            Listable(path, one.row.role if one.viewer is None else "", one.is_subscribed)
            for path, one in places.items()
        ]
    )


def listable(path: str, row: MailboxRow) -> Listable:
    return Listable(path, row.role, row.is_subscribed)


def status_line(session: Session, path: str, row: MailboxRow, items: tuple[str, ...]) -> bytes:
    """items: of STATUS_ITEMS. What is \\Recent a session alone knows, and this one has not looked."""
    known: dict[str, int | str] = {
        "MESSAGES": row.messages,
        "RECENT": 0,
        "UIDNEXT": row.uidnext,
        "UIDVALIDITY": row.uidvalidity,
        "UNSEEN": row.unseen,
        "DELETED": row.deleted,
        "SIZE": row.octets,
        "HIGHESTMODSEQ": max(row.highestmodseq, 1),  # RFC 7162 §3.1.2.1: positive
        "MAILBOXID": f"({row.mailbox_id})",
        "APPENDLIMIT": session.room.message_octets_max,
        "DELETED-STORAGE": -(-row.deleted_octets // UNIT_OCTETS),
    }
    return responses.mailbox_status(path, {item: known[item] for item in items}, is_utf8=session.is_utf8)


# --- trees -----------------------------------------------------------------------------------------------


async def create(session: Session, command: Create) -> Done:
    role = cast(Role, command.role) if command.role else None  # ROLES has no others
    new = await _new_place(session, command.mailbox)
    if role and new.account_id != session.account_id:  # its owner's mail would go there (RFC 6154 §3)
        raise CannotObey("", "What mailboxes of others are for, their owners say", "USEATTR")

    def decide(tree: OpenTree) -> MailboxId:
        new.check(tree)
        return tree.create(new.inner, role)

    mailbox_id, position = await session.room.folders.decide(new.account_id, session.actor, decide)
    await session.reach(position, new.account_id)
    return Done("CREATE completed", f"MAILBOXID ({mailbox_id})")  # RFC 8474 §4.2


@dataclass(frozen=True, slots=True)
class _NewPlace:
    """Whose a mailbox of a new name would be, by which name, and to which mailbox above it one has the right
    to make it; None: it is one's own."""

    account_id: AccountId
    inner: str
    above: MailboxId | None = None

    def check(self, tree: OpenTree) -> None:
        """It takes the right to the nearest that is there (RFC 4314 §4, CREATE), and there are mailboxes this
        person does not see. Raises CannotObey."""
        if self.above is not None and tree.above(self.inner) != self.above:
            raise _may_not_make()


def _may_not_make() -> CannotObey:
    return CannotObey("", "You have no right to make mailboxes there", "NOPERM")


async def _new_place(session: Session, path: str) -> _NewPlace:
    """Raises CannotObey."""
    if not path.startswith(PREFIX):
        return _NewPlace(session.account_id, path)
    async with session.room.pool.rows() as rows:
        places = await others_places(rows, session.person)
    above = path.removesuffix(SEPARATOR)
    while above := above.rpartition(SEPARATOR)[0]:
        if place := places.get(above):
            if TO_NEW not in place.rights:
                break
            return _NewPlace(place.account_id, place.inner + path.removeprefix(place.path), place.mailbox_id)
    raise _may_not_make()


async def delete(session: Session, command: Delete) -> Done:
    named = await session.named(command)

    def decide(tree: OpenTree) -> MailboxId:
        named.check(tree)
        return tree.delete(named.inner)

    _, position = await session.room.folders.decide(named.account_id, session.actor, decide)
    await session.reach(position, named.account_id)
    await session.look(now=True)
    return Done("DELETE completed")


async def rename(session: Session, command: Rename) -> Done:
    if command.mailbox.removesuffix(SEPARATOR) == INBOX:
        return await _rename_inbox(session, command.to)
    named, new = await session.named(command), await _new_place(session, command.to)
    if new.account_id != named.account_id:
        raise CannotObey("", "A mailbox stays with its owner: move its messages instead", "CANNOT")

    def decide(tree: OpenTree) -> MailboxId:
        named.check(tree)
        new.check(tree)
        return tree.rename(named.inner, new.inner)

    _, position = await session.room.folders.decide(named.account_id, session.actor, decide)
    await session.reach(position, named.account_id)
    return Done("RENAME completed")


async def _rename_inbox(session: Session, to: str) -> Done:
    """RFC 9051 §6.3.6: its messages go to a new mailbox, and it stays, empty."""
    target_id, position = await session.room.folders.decide(
        session.account_id, session.actor, lambda tree: tree.create(to)
    )
    await session.reach(position)
    async with session.room.pool.snapshot() as rows:
        inbox = (await own_places(rows, session.person))[INBOX]
        uids = await uids_of(rows, session.account_id, inbox.mailbox_id)
    moves = [
        MessageMoved(
            **session.stamp().fields(),
            account_id=session.account_id,
            mailbox_id=inbox.mailbox_id,
            uids=uids_text(part),
            to_mailbox_id=target_id,
        )
        for part in in_parts(ranges_of(uids))
    ]
    if moves:
        await session.change(moves)
    return Done("RENAME completed")


async def subscribe(session: Session, command: Subscribe | Unsubscribe) -> Done:
    is_subscribed = isinstance(command, Subscribe)
    place: Place | None = None
    if command.mailbox.startswith(PREFIX):
        async with session.room.pool.rows() as rows:
            place = await session.place(rows, command)

    def decide(tree: OpenTree) -> None:
        if place is None:
            tree.subscribe(command.mailbox, is_subscribed=is_subscribed)
        else:
            tree.follow(place.account_id, place.mailbox_id, is_subscribed=is_subscribed)

    _, position = await session.room.folders.decide(session.account_id, session.actor, decide)
    await session.reach(position)
    return Done("SUBSCRIBE completed" if is_subscribed else "UNSUBSCRIBE completed")


# --- quotas ----------------------------------------------------------------------------------------------


async def get_quota(session: Session, command: GetQuota) -> Done:
    account_id = session.account_id
    if command.root != QUOTA_ROOT:
        async with session.room.pool.rows() as rows:
            places = (await others_places(rows, session.person)).values()
        owners = {place.root: place.account_id for place in places if READ in place.rights}
        if command.root not in owners:
            raise CannotObey("", "There is no such quota root", "NONEXISTENT")
        account_id = owners[command.root]
    await _tell_quota(session, account_id, command.root)
    return Done("GETQUOTA completed")


async def get_quota_root(session: Session, command: GetQuotaRoot) -> Done:
    async with session.room.pool.rows() as rows:
        place = await session.place(rows, command)
    session.send(responses.quota_root(command.mailbox, [place.root], is_utf8=session.is_utf8))
    await _tell_quota(session, place.account_id, place.root)
    return Done("GETQUOTAROOT completed")


async def set_quota(session: Session, command: SetQuota) -> Done:
    """Quotas are given by administrators (`saraban account quota`), not by clients."""
    raise CannotObey("", "Quotas are set by your administrator", "NOPERM")


async def _tell_quota(session: Session, account_id: AccountId, root: str) -> None:
    async with session.room.pool.rows() as rows:
        usage = await usage_of(rows, account_id)
    limits = {}
    if usage.quota_octets is not None:
        limits["STORAGE"] = (-(-usage.octets // UNIT_OCTETS), usage.quota_octets // UNIT_OCTETS)
    session.send(responses.quota(root, limits))
