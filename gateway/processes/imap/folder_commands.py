"""Commands about mailboxes: LIST and what makes, renames, deletes and measures them.

Source: RFC 9051 §6.3; RFC 3501 §6.3.9 (LSUB), RFC 5819 (LIST-STATUS), RFC 9590 (LIST-METADATA), RFC 6154 §3,
RFC 9208 (QUOTA).
"""

from typing import Final, cast

from gateway.domain.changes import MessageMoved, in_parts
from gateway.domain.mailboxtree import Role
from gateway.domain.open_tree import OpenTree
from gateway.mail.ids import MailboxId
from gateway.mail.mailbox_name import INBOX, SEPARATOR
from gateway.mail.uids import ranges_of, uids_text
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
from gateway.protocols.imap.listing import Listable, list_mailboxes, list_subscribed
from projections.mailbox.query import MailboxRow, annotations_of, uids_of, usage_of

QUOTA_ROOT: Final = ""  # one for all mailboxes of an account
UNIT_OCTETS: Final = 1024  # RFC 9208 §5.1: STORAGE


async def list_(session: Session, command: List) -> Done:
    if command.patterns == ("",):
        session.send(responses.separator())
        return Done("LIST completed")
    async with session.room.pool.snapshot() as rows:
        mailboxes = await session.mailboxes(rows)
        ids = [row.mailbox_id for row in mailboxes.values()] if command.entries else []
        annotations = await annotations_of(rows, session.account_id, ids)
    for listed in list_mailboxes(command, [listable(path, row) for path, row in mailboxes.items()]):
        info = ("SUBSCRIBED",) if listed.has_subscribed_below else ()
        session.send(
            responses.mailbox(listed.path, listed.attributes, is_utf8=session.is_utf8, child_info=info)
        )
        row = mailboxes[listed.path]
        if command.status_items and not info:
            session.send(status_line(session, listed.path, row, command.status_items))
        if command.entries and not info:
            kept = annotations[row.mailbox_id]
            values = {entry: kept.get(entry) for entry in command.entries}
            session.send(responses.metadata(listed.path, values, is_utf8=session.is_utf8))
    return Done("LIST completed")


async def lsub(session: Session, command: Lsub) -> Done:
    async with session.room.pool.rows() as rows:
        mailboxes = await session.mailboxes(rows)
    for listed in list_subscribed(command, [listable(path, row) for path, row in mailboxes.items()]):
        session.send(responses.mailbox(listed.path, listed.attributes, is_utf8=session.is_utf8, is_lsub=True))
    return Done("LSUB completed")


async def namespace(session: Session, command: Namespace) -> Done:
    session.send(responses.namespace([("", SEPARATOR)], is_utf8=session.is_utf8))
    return Done("NAMESPACE completed")


async def status(session: Session, command: Status) -> Done:
    async with session.room.pool.rows() as rows:
        row = await session.mailbox(rows, command.mailbox)
    session.send(status_line(session, command.mailbox, row, command.items))
    return Done("STATUS completed")


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

    def decide(tree: OpenTree) -> MailboxId:
        return tree.create(command.mailbox, role)

    mailbox_id, position = await session.room.folders.decide(session.account_id, session.actor, decide)
    await session.reach(position)
    return Done("CREATE completed", f"MAILBOXID ({mailbox_id})")  # RFC 8474 §4.2


async def delete(session: Session, command: Delete) -> Done:
    _, position = await session.room.folders.decide(
        session.account_id, session.actor, lambda tree: tree.delete(command.mailbox)
    )
    await session.reach(position)
    await session.look(now=True)
    return Done("DELETE completed")


async def rename(session: Session, command: Rename) -> Done:
    if command.mailbox.removesuffix(SEPARATOR) == INBOX:
        return await _rename_inbox(session, command.to)
    _, position = await session.room.folders.decide(
        session.account_id, session.actor, lambda tree: tree.rename(command.mailbox, command.to)
    )
    await session.reach(position)
    return Done("RENAME completed")


async def _rename_inbox(session: Session, to: str) -> Done:
    """RFC 9051 §6.3.6: its messages go to a new mailbox, and it stays, empty."""
    target_id, position = await session.room.folders.decide(
        session.account_id, session.actor, lambda tree: tree.create(to)
    )
    await session.reach(position)
    async with session.room.pool.snapshot() as rows:
        inbox = await session.mailbox(rows, INBOX)
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
    _, position = await session.room.folders.decide(
        session.account_id,
        session.actor,
        lambda tree: tree.subscribe(command.mailbox, is_subscribed=is_subscribed),
    )
    await session.reach(position)
    return Done("SUBSCRIBE completed" if is_subscribed else "UNSUBSCRIBE completed")


# --- quotas ----------------------------------------------------------------------------------------------


async def get_quota(session: Session, command: GetQuota) -> Done:
    if command.root != QUOTA_ROOT:
        raise CannotObey("", "There is no such quota root", "NONEXISTENT")
    await _tell_quota(session)
    return Done("GETQUOTA completed")


async def get_quota_root(session: Session, command: GetQuotaRoot) -> Done:
    async with session.room.pool.rows() as rows:
        await session.mailbox(rows, command.mailbox)
    session.send(responses.quota_root(command.mailbox, [QUOTA_ROOT], is_utf8=session.is_utf8))
    await _tell_quota(session)
    return Done("GETQUOTAROOT completed")


async def set_quota(session: Session, command: SetQuota) -> Done:
    """Quotas are given by administrators (`saraban account quota`), not by clients."""
    raise CannotObey("", "Quotas are set by your administrator", "NOPERM")


async def _tell_quota(session: Session) -> None:
    async with session.room.pool.rows() as rows:
        usage = await usage_of(rows, session.account_id)
    limits = {}
    if usage.quota_octets is not None:
        limits["STORAGE"] = (-(-usage.octets // UNIT_OCTETS), usage.quota_octets // UNIT_OCTETS)
    session.send(responses.quota(QUOTA_ROOT, limits))
