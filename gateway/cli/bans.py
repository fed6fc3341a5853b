"""`saraban ban`: networks and accounts that are shut out for a time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

import click

from gateway.cli.desk import ADDRESS, at_desk, confirm, reason_option, stamp
from gateway.cli.firewall import disjoint, ruleset
from gateway.cli.instants import Span
from gateway.cli.output import as_json, fail, nothing, print_json, print_rows, say
from gateway.domain.bans import LONGEST_BAN, Network, network_to_ban
from gateway.mail.address import Address
from gateway.mail.ids import AccountId
from gateway.processes.signin.banning import Banning
from gateway.settings import Settings, split_address
from gateway.wiring.desk import Desk
from projections.bans import query
from projections.bans.query import Ban
from projections.directory import query as directory

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
@at_desk
async def list_(desk: Desk, everything: bool) -> None:
    """Who is banned, the newest first, until when and why.

    Example: saraban ban list --all
    """
    now = desk.clock.now()
    async with desk.pool.rows() as rows:
        found = await query.all_bans(rows) if everything else await query.bans_ending_after(rows, now)
        shown = [one for one in found if everything or one.holds(now)]
        accounts = {one.account_id for one in shown if one.account_id is not None}
        known = {account_id: await directory.account_with_id(rows, account_id) for account_id in accounts}
    if not shown:
        nothing("nobody was ever banned" if everything else "nobody is banned")
    addresses = {account_id: row.address for account_id, row in known.items() if row is not None}
    listed = [_row(one, addresses, now) for one in shown]
    print_rows(listed, COLUMNS + MORE if everything else COLUMNS)


def _row(one: Ban, addresses: Mapping[AccountId, str], now: datetime) -> dict[str, Any]:
    state = "lifted" if one.lifted_at else "banned" if one.holds(now) else "ended"
    whom = one.network or "(erased)"
    if one.account_id is not None:
        whom = addresses.get(one.account_id) or one.account_id
    return asdict(one) | {"whom": whom, "state": state}


@ban.command("add")
@click.option("--network", type=NetworkType(), help="A network, e.g. 192.0.2.0/24, or one address.")
@click.option("--account", "address", type=ADDRESS, help="An account, by an address of it.")
@click.option("--for", "length", type=Span(LONGEST_BAN), required=True, help="How long: 30m, 1h, 7d.")
@reason_option("Why is it banned")
@at_desk
async def add(
    desk: Desk, network: Network | None, address: Address | None, length: timedelta, reason: str
) -> None:
    """Shut a network or an account out for a time, 90 days at most. Every edge knows within some seconds.

    Example: saraban ban add --account somchai@opm.go.th --for 7d --reason 'รหัสผ่านรั่ว'
    """
    if (network is None) == (address is None):
        raise click.UsageError("say whom: --network CIDR or --account ADDRESS")
    stood = stamp(desk)
    until = stood.at + length
    async with desk.lane() as lane:
        banning = Banning(desk.keys, lane, desk.entropy)
        if network is not None:
            imposed = await banning.network(network, until, stood, reason="operator", why=reason)
        else:
            assert address is not None, "one of them was given"
            async with desk.pool.rows() as rows:
                owner = await directory.account_of(rows, address)
            if owner is None:
                nothing(f"{address} is no account here")
            imposed = await banning.account(owner.account_id, owner.agency_id, until, stood, why=reason)
    whom = str(network or address)
    say(
        f"{imposed.ban_id}: {whom} is banned until {until.isoformat(timespec='seconds')}",
        ban_id=imposed.ban_id,
        what=imposed.what,
        whom=whom,
        until=until,
    )


@ban.command("lift")
@click.argument("ban_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@reason_option("Why is it lifted")
@at_desk
async def lift(desk: Desk, ban_id: str, yes: bool, reason: str) -> None:
    """Let a banned network or account in again before its time.

    Example: saraban ban lift ban_01… --reason 'โทรศัพท์เครื่องเก่า' --yes
    """
    async with desk.pool.rows() as rows:
        found = await query.find_ban(rows, ban_id)
    if found is None:
        nothing(f"there is no ban {ban_id}")
    if not found.holds(desk.clock.now()):
        fail(f"{ban_id} has {'been lifted' if found.lifted_at else 'ended'} already")
    confirm(f"Let {found.network or found.account_id} in again?", yes=yes)
    async with desk.lane() as lane:
        await Banning(desk.keys, lane, desk.entropy).lift(found, stamp(desk), why=reason)
    say(f"lifted {ban_id}", ban_id=ban_id, whom=found.network or found.account_id)


@ban.command("export")
@click.option("--nftables", is_flag=True, help="As a ruleset of nftables, to be loaded by nft -f.")
@click.option(
    "--port", "ports", type=click.IntRange(1, 65535), multiple=True, help="Ports to close [default: ours]."
)
@at_desk
async def export(desk: Desk, nftables: bool, ports: tuple[int, ...]) -> None:
    """The banned networks for a firewall: without overlaps, each with the time it has left.

    Nobody banned is a ruleset too: loading it lets everybody in again.

    Example: saraban ban export --nftables > saraban.nft
    """
    if nftables == as_json():
        raise click.UsageError("say in which form: --nftables or --json")
    now = desk.clock.now()
    async with desk.pool.rows() as rows:
        found = await query.bans_ending_after(rows, now)
    banned = [(network_of(one), one.until) for one in found if one.network and one.holds(now)]
    if nftables:
        click.echo(ruleset(banned, ports or our_ports(desk.settings), now), nl=False)
    else:
        print_json([{"network": str(network), "until": until} for network, until in disjoint(banned, now)])


def network_of(one: Ban) -> Network:
    assert one.network is not None, "it is of an account, or erased"
    return network_to_ban(one.network)


def our_ports(settings: Settings) -> Sequence[int]:
    """Where mail programs and other hosts come to us."""
    listening = (settings.listen_smtp, settings.listen_submission, settings.listen_submissions)
    return [split_address(each)[1] for each in listening if each] or [25, 465, 587]
