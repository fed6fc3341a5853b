"""`saraban agency`, `saraban account` and `saraban init`: who has mail here."""

import asyncio
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

import click
from argon2 import PasswordHasher

from gateway.cli.desk import ADDRESS, at_desk, operator, stamp
from gateway.cli.output import fail, nothing, print_rows, say
from gateway.domain.account import QUOTA_OCTETS_DEFAULT
from gateway.domain.agency import NextHop
from gateway.domain.events import Fact, OperatorAppointed
from gateway.domain.histories import operator_history
from gateway.mail.address import Address
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Conflict, Position
from gateway.processes.registry.registry import Registry
from gateway.settings import split_address
from gateway.wiring import Desk
from projections.directory import query as directory

PAGE = 1_000
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


class Octets(click.ParamType[int]):
    """A number of octets: 1073741824, 500M, 10G."""

    name = "octets"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]+) ?([kmgt]?)i?b?", str(value).strip().lower())
        if found is None:
            self.fail(f"{value!r} is no size such as 10G", parameter, context)
        return int(found[1]) * _UNITS[found[2]]


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


@click.group()
def agency() -> None:
    """Agencies and their domains.

    Example: saraban agency add 'Department of Livestock' --domain dld.go.th --relay-to mx.example.org:25
    """


@agency.command("add")
@click.argument("name")
@click.option("--domain", "domains", required=True, multiple=True, help="Its domain; repeat for more.")
@click.option("--relay-to", type=HostAndPort(), help="Its own mail server; without it mailboxes are here.")
@at_desk
async def add_agency(desk: Desk, name: str, domains: Sequence[str], relay_to: NextHop | None) -> None:
    """Register an agency and claim its domains.

    Example: saraban agency add 'Office of the Prime Minister' --domain opm.go.th
    """
    agency_id = await _registry(desk).add_agency(name, domains, relay_to=relay_to)
    say(f"agency {agency_id}", agency_id=agency_id, name=name, domains=list(domains))


@agency.command("list")
@at_desk
async def list_agencies(desk: Desk) -> None:
    """Every agency with its domains and next hop.

    Example: saraban agency list --json
    """
    async with desk.pool.rows() as rows:
        found = await directory.list_agencies(rows)
    shown = [asdict(row) | {"next_hop": str(row.next_hop) if row.next_hop else None} for row in found]
    print_rows(shown, ("agency_id", "name", "domains", "next_hop", "accounts"))


@click.group()
def account() -> None:
    """Accounts: who has mailboxes here.

    Example: saraban account add malee@opdc.go.th --name 'มาลี ใจดี'
    """


@account.command("add")
@click.argument("address", type=ADDRESS)
@click.option("--name", "display_name", default="", help="The name of the person or office.")
@click.option("--kind", type=click.Choice(["person", "office"]), default="person", show_default=True)
@click.option("--quota", type=Octets(), default=QUOTA_OCTETS_DEFAULT, help="Limit, e.g. 10G (the default).")
@click.option("--password", help="For signing in later; made and printed when not given.")
@at_desk
async def add_account(
    desk: Desk,
    address: Address,
    display_name: str,
    kind: Literal["person", "office"],
    quota: int,
    password: str | None,
) -> None:
    """Give an address to a new account with an INBOX; the agency is that of the domain.

    Example: saraban account add somchai@opm.go.th --name 'สมชาย ใจดี' --quota 10G
    """
    async with desk.pool.rows() as rows:
        (found,) = await directory.find_recipients(rows, [address])
    if isinstance(found, directory.NotOurs):
        fail(f"no agency has the domain {address.domain}: saraban agency add NAME --domain {address.domain}")
    chosen = password or secrets.token_urlsafe(12)
    account_id = await open_account(
        desk,
        found.agency_id,
        address,
        chosen,
        display_name=display_name,
        kind=kind,
        quota_octets=quota,
    )
    shown = "" if password else f", password {chosen}"
    say(
        f"account {account_id}{shown}",
        account_id=account_id,
        agency_id=found.agency_id,
        address=str(address),
        password=chosen,
    )


@account.command("list")
@click.option("--agency", "agency_id", help="Only of this agency (ag_…).")
@at_desk
async def list_accounts(desk: Desk, agency_id: str | None) -> None:
    """Every account, oldest first.

    Example: saraban account list --agency ag_01… --json
    """
    found, after = [], ""
    async with desk.pool.rows() as rows:
        while page := await directory.list_accounts(
            rows, agency_id=AgencyId(agency_id) if agency_id else None, after=after, limit=PAGE
        ):
            found += page
            after = page[-1].account_id
    if not found:
        nothing("no account" + (f" of an agency {agency_id}" if agency_id else ""))
    print_rows(
        [asdict(row) for row in found],
        ("account_id", "address", "display_name", "kind", "quota_octets", "agency_id"),
    )


@click.command()
@click.option("--operator", "name", default="", help="The operator's name; yours when not given.")
@at_desk
async def init(desk: Desk, name: str) -> None:
    """Appoint the first operator of a new gateway and say what comes next.

    Example: saraban init --operator somchai
    """
    name = name or operator().id
    password = secrets.token_urlsafe(18)
    appointed = OperatorAppointed(name=name, **stamp(desk).fields())
    subject = operator_history()
    try:
        await desk.log.append_guarded([Fact(subject, appointed)], {subject: Position(0)})
    except Conflict:
        fail("this gateway has its first operator already")
    await _keep_verifier(desk, f"verifier.operator.{name}", password)
    saraban = f"saraban --data {desk.settings.data}"
    say(
        f"operator {name}, password {password} (shown once)\n\nNext:\n"
        f"  {saraban} agency add 'Office of the Prime Minister' --domain opm.go.th\n"
        f"  {saraban} account add somchai@opm.go.th --name 'สมชาย ใจดี'\n"
        f"  {saraban} send --from you@example.org --to somchai@opm.go.th --subject 'ทดสอบ' --text 'hello'",
        operator=name,
        password=password,
    )


async def open_account(
    desk: Desk,
    agency_id: AgencyId,
    address: Address,
    password: str,
    *,
    display_name: str,
    kind: Literal["person", "office"] = "person",
    quota_octets: int = QUOTA_OCTETS_DEFAULT,
) -> AccountId:
    """The account's events, then its verifier: an account without one cannot sign in, and that is all."""
    account_id = await _registry(desk).add_account(
        agency_id, address, display_name=display_name, kind=kind, quota_octets=quota_octets
    )
    await _keep_verifier(desk, f"verifier.{account_id}", password)
    return account_id


async def _keep_verifier(desk: Desk, name: str, password: str) -> None:
    """argon2id (RFC 9106), in the KeyStore and never in the log."""
    verifier = await asyncio.to_thread(PasswordHasher().hash, password)
    await desk.keys.put(name, verifier.encode())


def _registry(desk: Desk) -> Registry:
    return Registry(
        log=desk.log, keys=desk.keys, clock=desk.clock, entropy=desk.entropy, actor=operator(), by=desk.by
    )
