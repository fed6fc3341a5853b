"""`saraban agency`: organisations and their domains."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final, TextIO, get_args
from urllib.parse import quote

import click
import msgspec

from gateway.cli import catching, domains, records, routing, securing
from gateway.cli.desk import ADDRESS, Where, administering, confirm, reason_option
from gateway.cli.identity import identity_at
from gateway.cli.output import as_json, nothing, print_json, print_rows, say
from gateway.cli.registering import Octets, agencies_at, registry_at
from gateway.cli.remote import Remote
from gateway.domain.agency import ForwardingPolicy, IdentityProvider, NextHop
from gateway.domain.trial import TRIAL_DAYS_MAX
from gateway.mail.address import Address
from gateway.mail.ids import AgencyId
from gateway.settings import split_address
from projections.directory import query as directory


class HostAndPort(click.ParamType[NextHop]):
    """Where a mail server listens."""

    name = "host:port"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> NextHop:
        try:
            return NextHop(*split_address(str(value)))
        except ValueError:
            self.fail(f"{value!r} is no host:port such as mx.example.org:25", parameter, context)


class Limit(Octets):
    """A number, a size, or `none`."""

    name = "limit"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> int:
        return NO_LIMIT if value == "none" else super().convert(value, parameter, context)


NO_LIMIT: Final = -1
LIMIT: Final = Limit()


@click.group()
def agency() -> None:
    """Agencies and their domains.

    Example: saraban agency add 'Department of Livestock' --domain dld.go.th --relay-to mx.example.org:25
    """


agency.add_command(domains.domain)
agency.add_command(records.dns)
agency.add_command(catching.catch_all)
agency.add_command(catching.plus_addressing)
agency.add_command(securing.tls)
agency.add_command(routing.route)


@agency.command("identity")
@click.argument("agency_id")
@click.option("--issuer", help="URL of its OpenID provider, exactly as in its tokens.")
@click.option("--audience", default="", help="For whom its tokens are.")
@click.option("--claim", default="email", show_default=True, help="Which claim is the address here.")
@click.option("--client-id", default="", help="Ours there: to ask about tokens, and for the account page.")
@click.option("--secret-file", type=click.File(), help="Our secret there.")
@click.option("--none", "nothing_more", is_flag=True, help="No provider any more.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def identity(
    desk: Where,
    agency_id: str,
    issuer: str | None,
    audience: str,
    claim: str,
    client_id: str,
    secret_file: TextIO | None,
    nothing_more: bool,
    yes: bool,
) -> None:
    """Let an agency's people sign in by tokens of its OpenID provider (OAUTHBEARER, XOAUTH2).

    Without an issuer it shows which one it is.

    Example: saraban agency identity ag_01… --issuer https://id.example.org --audience saraban
    """
    if issuer and nothing_more:
        raise click.UsageError("say --issuer URL, or --none")
    if bool(client_id) != bool(secret_file):
        raise click.UsageError("--client-id and --secret-file belong together")
    known = identity_at(desk)
    if not issuer and not nothing_more:
        shown = await known.show(AgencyId(agency_id))
        say(f"{agency_id}: {shown['issuer'] or 'no provider'}", **shown)
        return
    if nothing_more:
        confirm(f"Let nobody of {agency_id} sign in by its provider any more?", yes=yes)
    provider = IdentityProvider(issuer, audience, client_id, claim) if issuer else None
    await known.set(AgencyId(agency_id), provider, secret_file.read().strip() if secret_file else "")
    say(f"{agency_id}: {issuer or 'no provider'}", agency_id=agency_id, issuer=issuer)


@agency.command("add")
@click.argument("name")
@click.option("--domain", "domains", required=True, multiple=True, help="Its domain; repeat for more.")
@click.option("--relay-to", type=HostAndPort(), help="Its own mail server; without it mailboxes are here.")
@click.option("--trial", is_flag=True, help="For some days: see `saraban agency show`.")
@click.option("--days", type=click.IntRange(1, TRIAL_DAYS_MAX), help="Of the trial; 30 unless set otherwise.")
@administering
async def add_agency(
    desk: Where,
    name: str,
    domains: Sequence[str],
    relay_to: NextHop | None,
    trial: bool,
    days: int | None,
) -> None:
    """Register an agency and claim its domains.

    Example: saraban agency add 'Office of the Prime Minister' --domain opm.go.th --trial --days 14
    """
    if days is not None and not trial:
        raise click.UsageError("--days is of a trial: say --trial too")
    given = 0 if isinstance(desk, Remote) else desk.settings.trial_days
    trial_days = (days or given) if trial else None
    agency_id = await registry_at(desk).add_agency(name, domains, relay_to=relay_to, trial_days=trial_days)
    say(f"agency {agency_id}", agency_id=agency_id, name=name, domains=list(domains), trial=trial)


@agency.command("show")
@click.argument("agency_id")
@administering
async def show(desk: Where, agency_id: str) -> None:
    """One agency: its domains, its status, and how far its trial has come.

    Example: saraban agency show ag_01…
    """
    if isinstance(desk, Remote):
        found = [await desk.ask("GET", f"/agencies/{quote(agency_id)}")]
    else:
        found = [row for row in await _agencies(desk) if row["agency_id"] == agency_id]
    if not found:
        nothing(f"there is no agency {agency_id}")
    shown = found[0]
    if as_json():
        print_json(shown)
        return
    for name, value in shown.items():
        if value not in (None, "", [], ()):
            click.echo(f"{name + ':':<23}{', '.join(value) if isinstance(value, list | tuple) else value}")


@agency.command("trial")
@click.argument("agency_id")
@click.option("--days", type=click.IntRange(1, TRIAL_DAYS_MAX), required=True, help="From now.")
@reason_option("Why does the trial go on")
@administering
async def trial(desk: Where, agency_id: str, days: int, reason: str) -> None:
    """Let an agency's trial end later; one that has ended goes on, and its people are let in again.

    To let it stay for good: saraban agency activate.

    Example: saraban agency trial ag_01… --days 14 --reason 'budget is being decided'
    """
    ends_at = await agencies_at(desk).extend_trial(AgencyId(agency_id), days, reason)
    say(
        f"the trial of {agency_id} ends on {ends_at:%Y-%m-%d %H:%M} UTC",
        agency_id=agency_id,
        trial_ends_at=ends_at.isoformat(),
    )


@agency.command("list")
@administering
async def list_agencies(desk: Where) -> None:
    """Every agency with its domains and next hop.

    Example: saraban agency list --json
    """
    print_rows(await _agencies(desk), ("agency_id", "name", "domains", "next_hop", "accounts", "status"))


async def _agencies(desk: Where) -> list[dict[str, Any]]:
    if isinstance(desk, Remote):
        return list((await desk.ask("GET", "/agencies"))["agencies"])
    async with desk.pool.rows() as rows:
        found = await directory.list_agencies(rows)
    return [asdict(row) | {"next_hop": str(row.next_hop) if row.next_hop else None} for row in found]


@agency.command("rename")
@click.argument("agency_id")
@click.argument("name")
@administering
async def rename(desk: Where, agency_id: str, name: str) -> None:
    """Give an agency another name; its domains and addresses stay. `agency list --json` has the former ones.

    Example: saraban agency rename ag_01… 'สำนักนายกรัฐมนตรี (ใหม่)'
    """
    named = await agencies_at(desk).rename(AgencyId(agency_id), name)
    say(f"{agency_id} is {named}", agency_id=agency_id, name=named)


@agency.command("suspend")
@click.argument("agency_id")
@reason_option("Why is this agency suspended")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def suspend(desk: Where, agency_id: str, reason: str, yes: bool) -> None:
    """Let none of an agency's accounts sign in or send; their mail still comes in.

    Example: saraban agency suspend ag_01… --reason 'sends spam' --yes
    """
    confirm(f"Let none of the accounts of {agency_id} sign in or send?", yes=yes)
    await agencies_at(desk).suspend(AgencyId(agency_id), reason)
    say(f"suspended {agency_id}", agency_id=agency_id, status="suspended")


@agency.command("activate")
@click.argument("agency_id")
@reason_option("Why is this agency activated")
@administering
async def activate(desk: Where, agency_id: str, reason: str) -> None:
    """Undo `suspend`: each of its accounts is what it is by itself again.

    A trial that is not suspended, ended or not, is one no more: the agency is here for good.

    Example: saraban agency activate ag_01… --reason 'the sender was found'
    """
    status = await agencies_at(desk).activate(AgencyId(agency_id), reason)
    still = "" if status == "active" else f"; it is {status}, as before it was suspended"
    say(f"activated {agency_id}{still}", agency_id=agency_id, status=status)


@agency.command("close")
@click.argument("agency_id")
@reason_option("Why is it closed without these messages")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def close(desk: Where, agency_id: str, reason: str, yes: bool) -> None:
    """Close an agency that is closing although the files of its export lack messages.

    `agency show` names them. The steward closes it; there is no way back.

    Example: saraban agency close ag_01… --reason 'they were lost with the disk, the agency knows' --yes
    """
    confirm(f"Close {agency_id} without the messages that its files lack?", yes=yes)
    lacking = await agencies_at(desk).order_close(AgencyId(agency_id), reason)
    say(
        f"{agency_id} is closed within a minute; its files lack {lacking} messages",
        agency_id=agency_id,
        status="closing",
        lacking=lacking,
    )


@agency.command("contact")
@click.argument("agency_id")
@click.option("--account", "address", required=True, type=ADDRESS, help="An address of one of its accounts.")
@administering
async def contact(desk: Where, agency_id: str, address: Address) -> None:
    """Say who answers for an agency: mail to postmaster at its domains goes there.

    Without a contact it goes to the agency's oldest account.

    Example: saraban agency contact ag_01… --account somchai@opm.go.th
    """
    account_id = await agencies_at(desk).set_contact(AgencyId(agency_id), address)
    say(f"{address} answers for {agency_id}", agency_id=agency_id, account_id=account_id)


@agency.command("forwarding")
@click.argument("agency_id")
@click.argument("policy", required=False, type=click.Choice(get_args(ForwardingPolicy)))
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def forwarding(desk: Where, agency_id: str, policy: ForwardingPolicy | None, yes: bool) -> None:
    """Say where an agency's accounts may forward their mail, or show it.

    inside: to agencies of this gateway (the default); anywhere: to any address; none: nowhere. Rules that go
    further stay, and stop working: `account show` says so, and their mail is in the mailbox again.

    Example: saraban agency forwarding ag_01… none --yes
    """
    changed, identifier = agencies_at(desk), AgencyId(agency_id)
    if policy is None:
        policy = await changed.forwarding_policy(identifier)
    else:
        if policy != "anywhere":
            confirm(f"Let the accounts of {agency_id} forward {_WHERE[policy]}?", yes=yes)
        await changed.set_forwarding_policy(identifier, policy)
    say(f"{agency_id}: accounts may forward {_WHERE[policy]}", agency_id=agency_id, policy=policy)


_WHERE: Final = {"none": "nowhere", "inside": "to agencies of this gateway alone", "anywhere": "anywhere"}


@agency.command("limits")
@click.argument("agency_id")
@click.option("--accounts", "accounts_max", type=LIMIT, help="Open accounts.")
@click.option("--recipients", "recipients_max", type=LIMIT, help="Recipients of one mail.")
@click.option("--message", "message_octets_max", type=LIMIT, help="Size of one message, e.g. 30M.")
@click.option("--attachment", "attachment_octets_max", type=LIMIT, help="Size of a message's attachments.")
@click.option("--trace-days", "trace_days", type=LIMIT, help="How long its traffic log is kept, from 90.")
@click.option("--relay-connections", "relay_connections_max", type=LIMIT, help="At once to its next hop.")
@click.option("--relay-mails", "relay_mails_a_minute", type=LIMIT, help="A minute to its next hop.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def limits(
    desk: Where,
    agency_id: str,
    accounts_max: int | None,
    recipients_max: int | None,
    message_octets_max: int | None,
    attachment_octets_max: int | None,
    trace_days: int | None,
    relay_connections_max: int | None,
    relay_mails_a_minute: int | None,
    yes: bool,
) -> None:
    """Set what an agency may use, or show it; `none` stands for what the gateway allows.

    Example: saraban agency limits ag_01… --accounts 500 --message 30M --recipients none
    """
    given = {
        "accounts_max": accounts_max,
        "recipients_max": recipients_max,
        "message_octets_max": message_octets_max,
        "attachment_octets_max": attachment_octets_max,
        "trace_days": trace_days,
        "relay_connections_max": relay_connections_max,
        "relay_mails_a_minute": relay_mails_a_minute,
    }
    if trace_days is not None:
        kept = "as the gateway's" if trace_days == NO_LIMIT else f"for {trace_days} days"
        confirm(f"Keep the traffic log of {agency_id} {kept}, and let what is older go?", yes=yes)
    changes = {
        name: None if limit == NO_LIMIT else limit for name, limit in given.items() if limit is not None
    }
    changed, identifier = agencies_at(desk), AgencyId(agency_id)
    holding = await (changed.set_limits(identifier, changes) if changes else changed.limits(identifier))
    shown = msgspec.structs.asdict(holding)
    lines = [f"{name:<23}{'none' if limit is None else limit}" for name, limit in shown.items()]
    say("\n".join(lines), agency_id=agency_id, **shown)
