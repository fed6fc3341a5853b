"""`saraban account`: who has mailboxes here."""

import secrets
from dataclasses import asdict
from typing import Any, Final, Literal, get_args
from urllib.parse import urlencode

import click

from gateway.cli.desk import ADDRESS, Where, administering, confirm, reason_option
from gateway.cli.forwarding import forward
from gateway.cli.output import fail, nothing, print_rows, say
from gateway.cli.passwords import accept_invitation, invite, set_password, totp
from gateway.cli.registering import PAGE, Octets, open_account, registry_at, roles_at
from gateway.cli.remote import Remote
from gateway.cli.showing import show
from gateway.domain.account import QUOTA_OCTETS_DEFAULT, Role
from gateway.domain.roles import named
from gateway.mail.address import Address
from gateway.mail.ids import AgencyId
from gateway.processes.signin.strength import settable
from gateway.wiring.desk import Desk
from projections.directory import query as directory
from projections.directory.roles import list_roles

COLUMNS: Final = ("account_id", "address", "display_name", "status", "kind", "quota_octets", "agency_id")
ROLE: Final = click.Choice(get_args(Role))


@click.group()
def account() -> None:
    """Accounts: who has mailboxes here.

    Example: saraban account add malee@opdc.go.th --name 'มาลี ใจดี'
    """


account.add_command(set_password)
account.add_command(accept_invitation)
account.add_command(totp)
account.add_command(invite)
account.add_command(forward)
account.add_command(show)


@account.command("add")
@click.argument("address", type=ADDRESS)
@click.option("--name", "display_name", default="", help="The name of the person or office.")
@click.option("--kind", type=click.Choice(["person", "office"]), default="person", show_default=True)
@click.option("--quota", type=Octets(), default=QUOTA_OCTETS_DEFAULT, help="Limit, e.g. 10G (the default).")
@click.option("--password", help="For signing in later; made and printed when not given.")
@administering
async def add_account(
    desk: Where,
    address: Address,
    display_name: str,
    kind: Literal["person", "office"],
    quota: int,
    password: str | None,
) -> None:
    """Give an address to a new account with an INBOX; the agency is that of the domain.

    Example: saraban account add somchai@opm.go.th --name 'สมชาย ใจดี' --quota 10G
    """
    add = _add_there if isinstance(desk, Remote) else _add_here
    made = await add(desk, address, password, display_name=display_name, kind=kind, quota_octets=quota)  # type: ignore[arg-type]
    shown = "" if password else f", password {made['password']}"
    say(f"account {made['account_id']}{shown}", **made)


async def _add_there(remote: Remote, address: Address, password: str | None, **more: Any) -> dict[str, Any]:
    new = {"address": str(address), "password": password, **more}
    return dict(await remote.ask("POST", "/accounts", new))


async def _add_here(desk: Desk, address: Address, password: str | None, **more: Any) -> dict[str, Any]:
    async with desk.pool.rows() as rows:
        (found,) = await directory.find_recipients(rows, [address])
    if isinstance(found, directory.NotOurs):
        fail(f"no agency has the domain {address.domain}: saraban agency add NAME --domain {address.domain}")
    chosen = settable(password or secrets.token_urlsafe(12), [address])
    account_id = await open_account(desk, found.agency_id, address, chosen, **more)
    return {
        "account_id": account_id,
        "agency_id": found.agency_id,
        "address": str(address),
        "password": chosen,
    }


@account.command("list")
@click.option("--agency", "agency_id", help="Only of this agency (ag_…).")
@administering
async def list_accounts(desk: Where, agency_id: str | None) -> None:
    """Every account, oldest first.

    Example: saraban account list --agency ag_01… --json
    """
    found = await _accounts(desk, agency_id)
    if not found:
        nothing("no account" + (f" of an agency {agency_id}" if agency_id else ""))
    print_rows(found, COLUMNS)


@account.command("search")
@click.argument("text")
@click.option("--agency", "agency_id", help="Only of this agency (ag_…).")
@administering
async def search(desk: Where, text: str, agency_id: str | None) -> None:
    """Accounts with a text in their address, an alias or their name, in any case; the oldest thousand.

    Example: saraban account search somchai --json
    """
    if isinstance(desk, Remote):
        asked = {"search": text, "limit": PAGE} | ({"agency": agency_id} if agency_id else {})
        found = (await desk.ask("GET", f"/accounts?{urlencode(asked)}"))["accounts"]
    else:
        agencies = [AgencyId(agency_id)] if agency_id else None
        async with desk.pool.rows() as rows:
            page = await directory.find_accounts(rows, text=text, agencies=agencies, limit=PAGE)
        found = [asdict(row) for row in page]
    if not found:
        nothing(f"no account has {text!r} in its addresses or its name")
    print_rows(found, COLUMNS)


async def _accounts(desk: Where, agency_id: str | None) -> list[dict[str, Any]]:
    if isinstance(desk, Remote):
        return await desk.pages("/accounts", "accounts", agency=agency_id)
    found, after = [], ""
    async with desk.pool.rows() as rows:
        while page := await directory.list_accounts(
            rows, agency_id=AgencyId(agency_id) if agency_id else None, after=after, limit=PAGE
        ):
            found += page
            after = page[-1].account_id
    return [asdict(row) for row in found]


@account.command("suspend")
@click.argument("address", type=ADDRESS)
@reason_option("Why is this account suspended")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def suspend(desk: Where, address: Address, reason: str, yes: bool) -> None:
    """Let nobody sign in to an account; its mail still comes in.

    Example: saraban account suspend somchai@opm.go.th --reason 'password is known to others' --yes
    """
    confirm(f"Let nobody sign in to the account of {address}?", yes=yes)
    account_id = await registry_at(desk).suspend_account(address, reason)
    say(f"suspended {address}", account_id=account_id, address=str(address), status="suspended")


@account.command("activate")
@click.argument("address", type=ADDRESS)
@reason_option("Why is this account activated")
@administering
async def activate(desk: Where, address: Address, reason: str) -> None:
    """Undo `suspend` or `close`. After `close` its aliases have to be added again.

    Example: saraban account activate somchai@opm.go.th --reason 'has a new password'
    """
    account_id = await registry_at(desk).activate_account(address, reason)
    say(f"activated {address}", account_id=account_id, address=str(address), status="active")


@account.command("close")
@click.argument("address", type=ADDRESS)
@reason_option("Why is this account closed")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def close(desk: Where, address: Address, reason: str, yes: bool) -> None:
    """Let nobody sign in to an account, and refuse mail to all its addresses. What it has stays.

    Its addresses rest for 180 days; `activate` takes its own one back.

    Example: saraban account close somchai@opm.go.th --reason 'left the office' --yes
    """
    confirm(f"Close the account of {address}, so that mail to all its addresses is refused?", yes=yes)
    account_id = await registry_at(desk).close_account(address, reason)
    say(f"closed {address}", account_id=account_id, address=str(address), status="closed")


@account.command("grant")
@click.argument("address", type=ADDRESS)
@click.argument("role", type=ROLE)
@click.option("--agency", "agency_id", help="Where (ag_…) [default: the account's own agency].")
@reason_option("Why is this role granted")
@administering
async def grant(desk: Where, address: Address, role: Role, agency_id: str | None, reason: str) -> None:
    """Let somebody administer: an agency, or as an operator the whole gateway.

    Example: saraban account grant suda@opm.go.th agency-admin --reason 'head of registry'
    """
    where = await _scope(desk, address, role, agency_id)
    account_id = await roles_at(desk).grant(address, role, where, reason)
    say(
        f"{address} is {named(role, where)}",
        account_id=account_id, address=str(address), role=role, agency_id=where,
    )  # fmt: skip


@account.command("revoke-role")
@click.argument("address", type=ADDRESS)
@click.argument("role", type=ROLE)
@click.option("--agency", "agency_id", help="Where (ag_…) [default: the account's own agency].")
@reason_option("Why is this role revoked")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def revoke_role(
    desk: Where, address: Address, role: Role, agency_id: str | None, reason: str, yes: bool
) -> None:
    """Take a role away from somebody.

    Example: saraban account revoke-role suda@opm.go.th agency-admin --reason 'moved' --yes
    """
    where = await _scope(desk, address, role, agency_id)
    confirm(f"Shall {address} not be {named(role, where)} any more?", yes=yes)
    account_id = await roles_at(desk).revoke(address, role, where, reason)
    say(
        f"{address} is not {named(role, where)} any more",
        account_id=account_id, address=str(address), role=role, agency_id=where,
    )  # fmt: skip


@account.command("roles")
@administering
async def show_roles(desk: Where) -> None:
    """Who has which role, and since when.

    Example: saraban account roles --json
    """
    if isinstance(desk, Remote):
        found = (await desk.ask("GET", "/roles"))["roles"]
    else:
        async with desk.pool.rows() as rows:
            found = [asdict(row) for row in await list_roles(rows)]
    if not found:
        nothing("nobody has a role")
    print_rows(found, ("address", "display_name", "role", "agency_id", "granted_at"))


async def _scope(desk: Where, address: Address, role: Role, agency_id: str | None) -> AgencyId | None:
    """Where a role holds that was named without its agency: in that of the address, which the API knows."""
    if role == "operator" or agency_id is not None or isinstance(desk, Remote):
        return AgencyId(agency_id) if agency_id is not None else None
    async with desk.pool.rows() as rows:
        (found,) = await directory.find_recipients(rows, [address])
    if isinstance(found, directory.NotOurs):
        nothing(f"{address} is no account here")
    return found.agency_id
