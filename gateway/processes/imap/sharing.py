"""Commands about rights: SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS.

Rights are given, never taken from what somebody has by another identifier: there are no negative ones.

Source: RFC 4314 §3.
"""

from gateway.domain.sharing import ALL_RIGHTS, HowRights
from gateway.processes.holders import NoHolder, acl_of, holder_of
from gateway.processes.imap.places import Place
from gateway.processes.imap.session import Done, Session
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import DeleteAcl, GetAcl, ListRights, MyRights, SetAcl
from gateway.protocols.imap.errors import CannotObey
from projections.readmodel import Rows


async def set_acl(session: Session, command: SetAcl) -> Done:
    await _give(session, command, command.how, command.rights)
    return Done("SETACL completed")


async def delete_acl(session: Session, command: DeleteAcl) -> Done:
    await _give(session, command, "replace", frozenset())
    return Done("DELETEACL completed")


async def _give(
    session: Session, command: SetAcl | DeleteAcl, how: HowRights, rights: frozenset[str]
) -> None:
    """Raises CannotObey, MailboxRefused."""
    async with session.room.pool.rows() as rows:
        place = await session.place(rows, command)
        holder = await _holder(rows, place, command.identifier)
    if holder == place.account_id:
        if how == "remove" or (how == "replace" and rights != ALL_RIGHTS):
            raise CannotObey("", "The owner of a mailbox keeps all rights to it")
        return
    _, position = await session.room.folders.decide(
        place.account_id, session.actor, lambda tree: tree.share(place.mailbox_id, holder, how, rights)
    )
    await session.reach(position, place.account_id)


async def _holder(rows: Rows, place: Place, identifier: str) -> str:
    """Whom an identifier means. Raises CannotObey."""
    try:
        return await holder_of(rows, place.account_id, identifier)
    except NoHolder as error:
        raise CannotObey("", str(error)) from None


async def get_acl(session: Session, command: GetAcl) -> Done:
    async with session.room.pool.snapshot() as rows:
        place = await session.place(rows, command)
        told = await acl_of(rows, place.account_id, place.mailbox_id)
    session.send(responses.acl(command.mailbox, told, is_utf8=session.is_utf8))
    return Done("GETACL completed")


async def list_rights(session: Session, command: ListRights) -> Done:
    async with session.room.pool.rows() as rows:
        place = await session.place(rows, command)
        holder = await _holder(rows, place, command.identifier)
    required = ALL_RIGHTS if holder == place.account_id else frozenset[str]()
    session.send(
        responses.list_rights(command.mailbox, command.identifier, required, is_utf8=session.is_utf8)
    )
    return Done("LISTRIGHTS completed")


async def my_rights(session: Session, command: MyRights) -> Done:
    async with session.room.pool.rows() as rows:
        place = await session.place(rows, command)
    session.send(responses.my_rights(command.mailbox, place.rights, is_utf8=session.is_utf8))
    return Done("MYRIGHTS completed")
