"""`saraban alias`: further addresses of an account."""

from dataclasses import asdict
from typing import Any

import click

from gateway.cli.desk import ADDRESS, Where, administering, confirm
from gateway.cli.output import nothing, print_rows, say
from gateway.cli.registering import PAGE, registry_at
from gateway.cli.remote import Remote
from gateway.domain.addresses import ADDRESS_RESTS
from gateway.mail.address import Address
from projections.directory import query as directory


@click.group()
def alias() -> None:
    """Aliases: further addresses of an account.

    Example: saraban alias list --of somchai@opm.go.th
    """


@alias.command("add")
@click.argument("address", type=ADDRESS)
@click.option("--of", "of", required=True, type=ADDRESS, help="An address the account has already.")
@administering
async def add(desk: Where, address: Address, of: Address) -> None:
    """Give an account a further address, in a domain of its agency.

    Example: saraban alias add contact@opm.go.th --of somchai@opm.go.th
    """
    account_id = await registry_at(desk).add_alias(of, address)
    say(f"alias {address} of {of}", alias=str(address), account_id=account_id)


@alias.command("remove")
@click.argument("address", type=ADDRESS)
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def remove(desk: Where, address: Address, yes: bool) -> None:
    """Take an alias away. Mail to it is refused from then on, and nobody else gets it for 180 days.

    Example: saraban alias remove contact@opm.go.th --yes
    """
    confirm(f"Take {address} away, so that mail to it is refused?", yes=yes)
    account_id = await registry_at(desk).remove_alias(address)
    rests = f"it rests for {ADDRESS_RESTS.days} days"
    say(f"removed {address}, {rests}", alias=str(address), account_id=account_id)


@alias.command("list")
@click.option("--of", "of", type=ADDRESS, help="Only those of the account with this address.")
@administering
async def list_(desk: Where, of: Address | None) -> None:
    """Every alias, with the account it belongs to.

    Example: saraban alias list --json
    """
    found = await _aliases(desk, of)
    if not found:
        nothing(f"{of} has no alias" if of else "there is no alias")
    print_rows(found, ("alias", "address", "display_name", "account_id", "owner_since"))


async def _aliases(desk: Where, of: Address | None) -> list[dict[str, Any]]:
    if isinstance(desk, Remote):
        return await desk.pages("/aliases", "aliases", of=str(of) if of else None)
    found: list[directory.AliasRow] = []
    async with desk.pool.rows() as rows:
        owner = await directory.account_of(rows, of) if of else None
        if of and owner is None:
            nothing(f"{of} is no account here")
        account_id, after = owner.account_id if owner else None, ("", "")
        while page := await directory.list_aliases(rows, account_id=account_id, after=after, limit=PAGE):
            found += page
            after = page[-1].account_id, page[-1].name
    return [{name: value for name, value in asdict(row).items() if name != "name"} for row in found]
