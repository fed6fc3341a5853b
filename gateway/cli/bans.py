"""`saraban ban`: networks and accounts that are shut out for a time."""

from datetime import datetime, timedelta
from typing import Final

import click

from gateway.cli.banning import bans_at
from gateway.cli.desk import ADDRESS, Where, administering, confirm, reason_option
from gateway.cli.firewall import disjoint, ruleset
from gateway.cli.instants import Span
from gateway.cli.output import as_json, nothing, print_json, print_rows, say
from gateway.domain.bans import LONGEST_BAN, Network, network_to_ban
from gateway.mail.address import Address

COLUMNS: Final = ("ban_id", "whom", "until", "reason", "why", "imposed_by")
MORE: Final = ("imposed_at", "state", "lifted_by", "lift_reason")


class NetworkType(click.ParamType[Network]):
    """A network in CIDR, or one address."""

    name = "network"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> Network:
        try:
            return network_to_ban(str(value))
        except ValueError as error:
            self.fail(str(error), parameter, context)


@click.group()
def ban() -> None:
    """Networks and accounts that are shut out for a time: by an operator, or networks for guessing passwords.

    Example: saraban ban add --network 192.0.2.0/24 --for 1h --reason 'เดารหัสผ่าน'
    """


@ban.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that have ended or were lifted as well.")
@administering
async def list_(where: Where, everything: bool) -> None:
    """Who is banned, the newest first, until when and why.

    Example: saraban ban list --all
    """
    listed = await bans_at(where).listed(everything=everything)
    if not listed:
        nothing("nobody was ever banned" if everything else "nobody is banned")
    print_rows(listed, COLUMNS + MORE if everything else COLUMNS)


@ban.command("add")
@click.option("--network", type=NetworkType(), help="A network, e.g. 192.0.2.0/24, or one address.")
@click.option("--account", "address", type=ADDRESS, help="An account, by an address of it.")
@click.option("--for", "length", type=Span(LONGEST_BAN), required=True, help="How long: 30m, 1h, 7d.")
@reason_option("Why is it banned")
@administering
async def add(
    where: Where, network: Network | None, address: Address | None, length: timedelta, reason: str
) -> None:
    """Shut a network or an account out for a time, 90 days at most. Every edge knows within some seconds.

    Example: saraban ban add --account somchai@opm.go.th --for 7d --reason 'รหัสผ่านรั่ว'
    """
    if (network is None) == (address is None):
        raise click.UsageError("say whom: --network CIDR or --account ADDRESS")
    whom = network or address
    assert whom is not None, "one of them was given"
    imposed = await bans_at(where).add(whom, length, reason)
    until = datetime.fromisoformat(str(imposed["until"]))
    say(
        f"{imposed['ban_id']}: {whom} is banned until {until.isoformat(timespec='seconds')}",
        ban_id=imposed["ban_id"],
        what=imposed["what"],
        whom=str(whom),
        until=until,
    )


@ban.command("lift")
@click.argument("ban_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@reason_option("Why is it lifted")
@administering
async def lift(where: Where, ban_id: str, yes: bool, reason: str) -> None:
    """Let a banned network or account in again before its time.

    Example: saraban ban lift ban_01… --reason 'โทรศัพท์เครื่องเก่า' --yes
    """
    bans = bans_at(where)
    whom = await bans.whom(ban_id)
    confirm(f"Let {whom} in again?", yes=yes)
    await bans.lift(ban_id, reason)
    say(f"lifted {ban_id}", ban_id=ban_id, whom=whom)


@ban.command("export")
@click.option("--nftables", is_flag=True, help="As a ruleset of nftables, to be loaded by nft -f.")
@click.option(
    "--port", "ports", type=click.IntRange(1, 65535), multiple=True, help="Ports to close [default: ours]."
)
@administering
async def export(where: Where, nftables: bool, ports: tuple[int, ...]) -> None:
    """The banned networks for a firewall: without overlaps, each with the time it has left.

    Nobody banned is a ruleset too: loading it lets everybody in again.

    Example: saraban ban export --nftables > saraban.nft
    """
    if nftables == as_json():
        raise click.UsageError("say in which form: --nftables or --json")
    banned, own_ports, now = await bans_at(where).networks()
    if nftables:
        click.echo(ruleset(banned, ports or own_ports, now), nl=False)
    else:
        print_json([{"network": str(network), "until": until} for network, until in disjoint(banned, now)])
