"""Mailing lists through the API: made, who is on them, who may write to them, and removed."""

from http import HTTPStatus
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.domain.maillist import POSTERS_MAX, Posting
from gateway.domain.registration import Unknown
from gateway.mail.address import Address
from gateway.mail.ids import AccountId
from gateway.processes.registry.lists import FoundList, MailLists
from gateway.processes.registry.registry import Registry
from gateway.processes.web.bodies import MailAddress, Reason
from gateway.processes.web.office import Asked, Operation, address_in
from gateway.processes.web.rights import Right

MEMBERS_AT_ONCE: Final = 200  # in one request: what a body may hold
Posters = Annotated[list[MailAddress], Meta(max_length=POSTERS_MAX)]


class NewList(Struct, forbid_unknown_fields=True):
    """posters: who may write to it where posting is "named"."""

    address: MailAddress
    display_name: Annotated[str, Meta(max_length=200)] = ""
    posting: Posting = "members"
    posters: Posters = []


class PostingChange(Struct, forbid_unknown_fields=True):
    posting: Posting
    posters: Posters = []


class ListShown(Struct):
    account_id: AccountId
    address: str
    posting: Posting
    posters: list[str]
    members: int


class ListMembers(Struct):
    """In the order they came."""

    account_id: AccountId
    address: str
    members: list[str]


class MembersChange(Struct, forbid_unknown_fields=True):
    members: Annotated[list[MailAddress], Meta(min_length=1, max_length=MEMBERS_AT_ONCE)]


class MembersAdded(Struct):
    """added: how many were not on it already."""

    account_id: AccountId
    address: str
    added: int


class MemberRemoved(Struct):
    account_id: AccountId
    address: str
    removed: str


class ListRemoved(Struct):
    account_id: AccountId
    address: str


async def add_list(asked: Asked) -> ListShown:
    """The agency is that of the domain."""
    new: NewList = asked.body
    address = address_in(new.address)
    posters = [address_in(each) for each in new.posters]
    agency_id = await asked.agency_of(address)
    asked.caller.check_in("change", agency_id, f"no agency has the domain {address.domain}")
    account_id = await asked.registry(MailLists).add_list(
        address, display_name=new.display_name, posting=new.posting, posters=posters
    )
    return ListShown(account_id, str(address), new.posting, list(map(str, posters)), 0)


async def show_list(asked: Asked) -> ListShown:
    return _shown(await _found(asked, "see"))


async def show_members(asked: Asked) -> ListMembers:
    found = await _found(asked, "see")
    members = [str(member) for member in found.mail_list.members(found.key).values()]
    return ListMembers(found.mail_list.account_id, str(found.address), members)


async def add_members(asked: Asked) -> MembersAdded:
    change: MembersChange = asked.body
    members = [address_in(each) for each in change.members]
    found = await _found(asked, "change")
    added = await asked.registry(MailLists).add_members(found.address, members)
    return MembersAdded(found.mail_list.account_id, str(found.address), added)


async def remove_member(asked: Asked) -> MemberRemoved:
    member = address_in(asked.path["member"])
    found = await _found(asked, "change")
    await asked.registry(MailLists).remove_member(found.address, member)
    return MemberRemoved(found.mail_list.account_id, str(found.address), str(member))


async def set_posting(asked: Asked) -> ListShown:
    change: PostingChange = asked.body
    posters = [address_in(each) for each in change.posters]
    found = await _found(asked, "change")
    await asked.registry(MailLists).set_posting(found.address, change.posting, posters)
    return _shown(await asked.registry(MailLists).find(found.address))


async def remove_list(asked: Asked) -> ListRemoved:
    """Its account is closed: its addresses take no mail and rest. What it has stays."""
    found = await _found(asked, "change")
    await asked.registry(Registry).close_account(found.address, asked.body.reason)
    return ListRemoved(found.mail_list.account_id, str(found.address))


async def _found(asked: Asked, right: Right) -> FoundList:
    """The list in the path, if the caller has this right there. Raises Problem, Unknown."""
    address = address_in(asked.path["address"])
    account = await asked.account(right, address)
    if account.kind != "list":
        raise Unknown(f"{address} is no list")
    return await asked.registry(MailLists).find(address)


def _shown(found: FoundList) -> ListShown:
    mail_list, key = found.mail_list, found.key
    posters: list[Address] = mail_list.posters(key)
    return ListShown(
        mail_list.account_id,
        str(found.address),
        mail_list.posting,
        list(map(str, posters)),
        len(mail_list.members(key)),
    )


_LIST: Final = "/lists/{address}"

OPERATIONS: Final = (
    Operation(
        "POST",
        "/lists",
        "Make a list without members; the agency is that of the domain.",
        add_list,
        ListShown,
        NewList,
        status=HTTPStatus.CREATED,
    ),
    Operation("GET", _LIST, "A list: who may write to it, and how many are on it.", show_list, ListShown),
    Operation("GET", f"{_LIST}/members", "Who is on a list.", show_members, ListMembers),
    Operation(
        "POST",
        f"{_LIST}/members",
        "Put addresses on a list, here or elsewhere; who is on it already stays.",
        add_members,
        MembersAdded,
        MembersChange,
    ),
    Operation(
        "DELETE", f"{_LIST}/members/{{member}}", "Take an address off a list.", remove_member, MemberRemoved
    ),
    Operation(
        "PUT", f"{_LIST}/posting", "Say who may write to a list.", set_posting, ListShown, PostingChange
    ),
    Operation(
        "POST",
        f"{_LIST}/remove",
        "Refuse mail to a list from here on; its addresses rest.",
        remove_list,
        ListRemoved,
        Reason,
    ),
)
