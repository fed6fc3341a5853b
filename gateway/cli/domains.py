"""`saraban agency domain`: which domains an agency has, and by which it is called."""

from dataclasses import asdict
from typing import Any

import click

from gateway.cli.desk import Where, administering, confirm, reason_option
from gateway.cli.output import nothing, print_rows, say
from gateway.cli.registering import domains_at
from gateway.cli.remote import Remote
from gateway.mail.ids import AgencyId
from projections.directory.domain_query import list_domains


@click.group()
def domain() -> None:
    """An agency's domains.

    Example: saraban agency domain replace ag_01… old.go.th new.go.th
    """


@domain.command("list")
@click.argument("agency_id")
@administering
async def list_(desk: Where, agency_id: str) -> None:
    """The domains of an agency, and by which newer ones their addresses are called.

    Example: saraban agency domain list ag_01…
    """
    found = await _domains(desk, agency_id)
    if not found:
        nothing(f"there is no agency {agency_id}")
    print_rows(found, ("domain", "shown", "replaced_by"))


async def _domains(desk: Where, agency_id: str) -> list[dict[str, Any]]:
    if isinstance(desk, Remote):
        return list((await desk.ask("GET", f"/agencies/{agency_id}/domains"))["domains"])
    async with desk.pool.rows() as rows:
        return [asdict(row) for row in await list_domains(rows, [AgencyId(agency_id)])]


@domain.command("add")
@click.argument("agency_id")
@click.argument("name")
@administering
async def add(desk: Where, agency_id: str, name: str) -> None:
    """Give an agency a further domain, with addresses of its own.

    Example: saraban agency domain add ag_01… สารบรรณ.ไทย
    """
    added = await domains_at(desk).add(AgencyId(agency_id), name)
    say(f"{agency_id} has {added}", agency_id=agency_id, domain=added)


@domain.command("replace")
@click.argument("agency_id")
@click.argument("old")
@click.argument("new")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def replace(desk: Where, agency_id: str, old: str, new: str, yes: bool) -> None:
    """Call all addresses of a domain by another one. Mail to the old ones still comes in, for ever.

    People sign in and send by either. There is no way back but another replacement.

    Example: saraban agency domain replace ag_01… old.go.th new.go.th
    """
    confirm(f"Call every address of {old} by {new}?", yes=yes)
    named = await domains_at(desk).replace(AgencyId(agency_id), old, new)
    say(f"{named} replaces {old}", agency_id=agency_id, domain=old, replaced_by=named)


@domain.command("move")
@click.argument("agency_id")
@click.argument("name")
@click.option("--to", required=True, help="The agency that gets it (ag_…).")
@reason_option("Why do the roles of its people in their agency end")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def move(desk: Where, agency_id: str, name: str, to: str, reason: str, yes: bool) -> None:
    """Give another agency a domain, by all its names, and the accounts in it with all they have.

    Their roles in the agency they leave end; the limits of the one they come to hold.

    Example: saraban agency domain move ag_01… dgr.go.th --to ag_02… --reason 'พ.ร.ฎ. โอนกิจการ'
    """
    confirm(f"Move {name} and everybody in it to {to}, and end their roles in {agency_id}?", yes=yes)
    moved = await domains_at(desk).move(AgencyId(agency_id), name, AgencyId(to), reason)
    say(f"{to} has {', '.join(moved)}", agency_id=to, domains=moved)


@domain.command("remove")
@click.argument("agency_id")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def remove(desk: Where, agency_id: str, name: str, yes: bool) -> None:
    """Take a domain without addresses away from an agency: mail to it is refused then.

    Example: saraban agency domain remove ag_01… spare.go.th
    """
    confirm(f"Refuse mail to {name}?", yes=yes)
    removed = await domains_at(desk).remove(AgencyId(agency_id), name)
    say(f"{removed} is no domain of {agency_id} any more", agency_id=agency_id, domain=removed)
