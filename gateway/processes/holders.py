"""Whom rights to a mailbox are for, and what everybody has: as people write it, and as facts have it.

An identifier is an address of the owner's agency, or `anyone`: everybody in it. The owner has all rights.

Source: RFC 4314 §2 (identifiers), §3.6 (ACL).
"""

from typing import Final

from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId, MailboxId
from gateway.mail.rights import ALL
from projections.directory.query import AccountRow, account_of, account_with_id, accounts_with_ids
from projections.mailbox.sharing import rights_given
from projections.readmodel import Rows

ANYONE: Final = "anyone"


class NoHolder(Exception):
    """Nobody who can have rights to this mailbox; the text says why."""


async def holder_of(rows: Rows, owner_id: AccountId, identifier: str) -> str:
    """The id of an account, or of an agency for everybody in it. Raises NoHolder."""
    owner = await account_with_id(rows, owner_id)
    if owner is None:
        raise NoHolder("The account of this mailbox is not known yet, try again later")
    if identifier.lower() == ANYONE:
        return owner.agency_id
    found = await _account(rows, identifier)
    if found is None or found.agency_id != owner.agency_id or found.status == "closed":
        raise NoHolder("Rights are for anyone, or for an address of the same agency")
    return found.account_id


async def _account(rows: Rows, identifier: str) -> AccountRow | None:
    try:
        return await account_of(rows, parse_address(identifier))
    except ValueError:
        return None


async def acl_of(rows: Rows, account_id: AccountId, mailbox_id: MailboxId) -> dict[str, str]:
    """Rights by identifier, the owner's first, `anyone` last; without those whose rights are void."""
    given = await rights_given(rows, account_id, mailbox_id)
    known = await accounts_with_ids(rows, [account_id, *map(AccountId, given)])
    owner = next((row for row in known if row.account_id == account_id), None)
    if owner is None:
        return {}
    told = {owner.address: ALL}
    told |= {
        row.address: given[row.account_id]
        for row in sorted(known, key=lambda row: row.address)
        if row.account_id in given and row.agency_id == owner.agency_id and row.status != "closed"
    }
    if owner.agency_id in given:
        told[ANYONE] = given[owner.agency_id]
    return told
