"""Accounts, aliases and roles, as the API shows and changes them."""

import asyncio
import base64
from dataclasses import asdict

from msgspec import UNSET

from gateway.domain.credentials import verifier_name
from gateway.domain.registration import Refused
from gateway.mail.address import Address
from gateway.mail.ids import AgencyId
from gateway.ports import Unavailable
from gateway.processes.registry.registry import Registry
from gateway.processes.registry.roles import Roles
from gateway.processes.signin.passwords import make_verifier
from gateway.processes.signin.strength import settable
from gateway.processes.web import bodies
from gateway.processes.web.office import Asked, address_in
from gateway.processes.web.problems import against_the_rules, cannot_answer, malformed
from gateway.processes.web.rights import check_grantable
from projections.directory import query as directory
from projections.directory.passwords import password_of
from projections.directory.roles import list_roles

PASSWORD_OCTETS = 12  # of chance, in one that is made


async def list_accounts(asked: Asked) -> bodies.AccountList:
    wanted: bodies.AccountsWanted = asked.query
    agencies = asked.caller.sees
    if wanted.agency is not UNSET:
        agencies = frozenset({asked.agency("see", wanted.agency)})
    async with asked.office.pool.rows() as rows:
        found = await directory.find_accounts(
            rows,
            text=wanted.search or "",
            agencies=agencies,
            after=wanted.after or "",
            limit=wanted.limit + 1,
        )
    page = found[: wanted.limit]
    shown = [bodies.Account(**asdict(row)) for row in page]
    return bodies.AccountList(shown, page[-1].account_id if len(found) > len(page) else None)


async def show_account(asked: Asked) -> bodies.AccountShown:
    found = await asked.account("see", _address(asked))
    async with asked.office.pool.rows() as rows:
        password = await password_of(rows, found.account_id)
    last = bodies.LastPassword(**asdict(password)) if password else None
    return bodies.AccountShown(**asdict(found), password=last)


async def add_account(asked: Asked) -> bodies.AccountMade:
    """The agency is that of the domain. The account's events, then its verifier."""
    new: bodies.NewAccount = asked.body
    address, office = address_in(new.address), asked.office
    agency_id = await asked.agency_of(address)
    asked.caller.check_in("change", agency_id, f"no agency has the domain {address.domain}")
    assert agency_id is not None, "there is no right to what is not here"
    password = new.password or base64.urlsafe_b64encode(office.entropy(PASSWORD_OCTETS)).decode()
    try:
        prepared = settable(password, [address])
    except Refused as error:
        raise malformed(str(error)) from error
    account_id = await asked.registry(Registry).add_account(
        agency_id,
        address,
        display_name=new.display_name,
        kind=new.kind,
        quota_octets=new.quota_octets,
        has_password=True,
    )
    verifier = await asyncio.to_thread(make_verifier, prepared)
    try:
        await office.keys.put(verifier_name(account_id), verifier)
    except Unavailable as error:
        raise cannot_answer(
            f"the account {account_id} was made, but its password could not be kept"
        ) from error
    return bodies.AccountMade(account_id, agency_id, str(address), password)


async def suspend_account(asked: Asked) -> bodies.AccountChanged:
    address = _address(asked)
    await asked.account("attend", address)
    account_id = await asked.registry(Registry).suspend_account(address, asked.body.reason)
    return bodies.AccountChanged(account_id, str(address), "suspended")


async def activate_account(asked: Asked) -> bodies.AccountChanged:
    """Undoing `close` gives an address out again: it takes who may do that."""
    address = _address(asked)
    found = await asked.account("attend", address)
    if found.status == "closed":
        await asked.account("change", address)
    account_id = await asked.registry(Registry).activate_account(address, asked.body.reason)
    return bodies.AccountChanged(account_id, str(address), "active")


async def close_account(asked: Asked) -> bodies.AccountChanged:
    address = _address(asked)
    await asked.account("change", address)
    account_id = await asked.registry(Registry).close_account(address, asked.body.reason)
    return bodies.AccountChanged(account_id, str(address), "closed")


# --- aliases ----------------------------------------------------------------------------------------------


async def list_aliases(asked: Asked) -> bodies.AliasList:
    wanted: bodies.AliasesWanted = asked.query
    of = None if wanted.of is UNSET else await asked.account("see", address_in(wanted.of))
    account_id, _, name = (wanted.after or "").partition(":")
    async with asked.office.pool.rows() as rows:
        found = await directory.list_aliases(
            rows,
            account_id=of.account_id if of else None,
            agencies=asked.caller.sees,
            after=(account_id, name),
            limit=wanted.limit + 1,
        )
    page = found[: wanted.limit]
    shown = [
        bodies.Alias(row.alias, row.address, row.display_name, row.account_id, row.owner_since)
        for row in page
    ]
    after = f"{page[-1].account_id}:{page[-1].name}" if len(found) > len(page) else None
    return bodies.AliasList(shown, after)


async def add_alias(asked: Asked) -> bodies.AliasChanged:
    """The domain is looked at first: whether another agency has given the address out is not said."""
    alias, of = address_in(asked.body.alias), address_in(asked.body.of)
    account = await asked.account("change", of)
    if await asked.agency_of(alias) != account.agency_id:
        raise against_the_rules(f"the domain {alias.domain} does not belong to the agency of {of}")
    account_id = await asked.registry(Registry).add_alias(of, alias)
    return bodies.AliasChanged(str(alias), account_id)


async def remove_alias(asked: Asked) -> bodies.AliasChanged:
    alias = _address(asked)
    await asked.account("change", alias)
    account_id = await asked.registry(Registry).remove_alias(alias)
    return bodies.AliasChanged(str(alias), account_id)


# --- roles ------------------------------------------------------------------------------------------------


async def show_roles(asked: Asked) -> bodies.RoleList:
    async with asked.office.pool.rows() as rows:
        found = await list_roles(rows, agencies=asked.caller.sees)
    return bodies.RoleList([bodies.RoleOf(**asdict(row)) for row in found])


async def grant_role(asked: Asked) -> bodies.RoleChanged:
    address, where = await _role(asked)
    change: bodies.RoleChange = asked.body
    account_id = await asked.registry(Roles).grant(address, change.role, where, change.reason)
    return bodies.RoleChanged(account_id, str(address), change.role, where)


async def revoke_role(asked: Asked) -> bodies.RoleChanged:
    address, where = await _role(asked)
    change: bodies.RoleChange = asked.body
    account_id = await asked.registry(Roles).revoke(address, change.role, where, change.reason)
    return bodies.RoleChanged(account_id, str(address), change.role, where)


async def _role(asked: Asked) -> tuple[Address, AgencyId | None]:
    """Whose role is to change, and where it holds. Raises Problem."""
    change: bodies.RoleChange = asked.body
    check_grantable(asked.caller, change.role)
    address = address_in(change.address)
    account = await asked.account("change", address)
    if change.role == "operator":
        return address, AgencyId(change.agency_id) if change.agency_id else None
    return address, asked.agency("change", change.agency_id or account.agency_id)


def _address(asked: Asked) -> Address:
    return address_in(asked.path["address"])
