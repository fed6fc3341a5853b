"""`saraban agency dns`: what the DNS of an agency's domains has to say."""

import click

from gateway.cli.desk import at_desk
from gateway.cli.output import nothing, print_rows
from gateway.protocols.autoconfig.records import records
from gateway.wiring.desk import Desk
from gateway.wiring.offers import offer
from projections.directory import query as directory


@click.command()
@click.argument("agency_id")
@at_desk
async def dns(desk: Desk, agency_id: str) -> None:
    """What the DNS of an agency's domains has to say: that mail comes here, and where programs find it.

    Example: saraban agency dns ag_01…
    """
    async with desk.pool.rows() as rows:
        found = [each for each in await directory.list_agencies(rows) if each.agency_id == agency_id]
    if not found:
        nothing(f"there is no agency {agency_id}")
    told = offer(desk.settings)
    shown = [record._asdict() for domain in found[0].domains for record in records(told, domain)]
    print_rows(shown, ("name", "type", "value"))
