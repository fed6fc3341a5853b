"""`saraban agency catch-all` and `plus-addressing`: what becomes of addresses that nobody has."""

import click

from gateway.cli.desk import ADDRESS, Where, administering, confirm
from gateway.cli.output import say
from gateway.cli.registering import agencies_at
from gateway.mail.address import Address
from gateway.mail.ids import AgencyId


class AddressOrNone(click.ParamType[Address | None]):
    """An address, or `none`."""

    name = "address|none"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> Address | None:
        return None if value == "none" else ADDRESS.convert(value, parameter, context)


@click.command("catch-all")
@click.argument("agency_id")
@click.argument("address", type=AddressOrNone())
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def catch_all(desk: Where, agency_id: str, address: Address | None, yes: bool) -> None:
    """Let mail to addresses that nobody ever had in an agency's domains go to an account; `none`: refuse it.

    An address that was somebody's is refused all the same.

    Example: saraban agency catch-all ag_01… saraban@opm.go.th
    """
    if address is None:
        confirm(f"Refuse mail to addresses of {agency_id} that nobody has?", yes=yes)
    account_id = await agencies_at(desk).set_catch_all(AgencyId(agency_id), address)
    said = f"{address} gets what is for nobody" if address else "what is for nobody is refused"
    say(f"{agency_id}: {said}", agency_id=agency_id, account_id=account_id)


@click.command("plus-addressing")
@click.argument("agency_id")
@click.argument("state", type=click.Choice(["on", "off"]))
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def plus_addressing(desk: Where, agency_id: str, state: str, yes: bool) -> None:
    """Say whether name+tag@ an agency's domains is name@, where nobody has the address with its tag.

    Example: saraban agency plus-addressing ag_01… off
    """
    if state == "off":
        confirm(f"Refuse mail to name+tag@ of {agency_id}?", yes=yes)
    await agencies_at(desk).set_plus_addressing(AgencyId(agency_id), is_on=state == "on")
    say(f"{agency_id}: plus-addressing {state}", agency_id=agency_id, is_on=state == "on")
