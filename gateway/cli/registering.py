"""`saraban init`, and what the commands about agencies, accounts and aliases share."""

import asyncio
import secrets
from functools import partial
from typing import Final, Literal, TypeVar

import click

from gateway.cli.desk import Where, at_desk, operator, stamp
from gateway.cli.output import fail, say
from gateway.cli.remote import (
    Remote,
    RemoteAgencies,
    RemoteDomains,
    RemoteForwarding,
    RemoteRegistry,
    RemoteRoles,
)
from gateway.domain.account import QUOTA_OCTETS_DEFAULT
from gateway.domain.credentials import operator_verifier_name, verifier_name
from gateway.domain.events import Fact, OperatorAppointed
from gateway.domain.histories import operator_history
from gateway.domain.quota import octets_in
from gateway.mail.address import Address
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Conflict, Position
from gateway.processes.registry.agencies import Agencies
from gateway.processes.registry.app_passwords import AppPasswords
from gateway.processes.registry.counting import count_accounts, look_at_domain, look_at_move
from gateway.processes.registry.deciding import Deciding
from gateway.processes.registry.domains import Domains
from gateway.processes.registry.forwarding import Forwarding
from gateway.processes.registry.importing import FindClaims, Importing
from gateway.processes.registry.lists import MailLists
from gateway.processes.registry.registry import Registry
from gateway.processes.registry.roles import Roles
from gateway.processes.registry.unfinished import KeepCodes
from gateway.processes.signin.passwords import make_verifier
from gateway.protocols.sasl.exchange import prepare_password
from gateway.wiring.desk import Desk

PAGE: Final = 1_000
D = TypeVar("D", bound=Deciding)


class Octets(click.ParamType[int]):
    """A number of octets: 1073741824, 500M, 10G."""

    name = "octets"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return octets_in(str(value).strip())
        except ValueError as error:
            self.fail(str(error), parameter, context)


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
    await _keep_verifier(desk, operator_verifier_name(name), password)
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
    account_id = await registry(desk).add_account(
        agency_id,
        address,
        display_name=display_name,
        kind=kind,
        quota_octets=quota_octets,
        has_password=True,
    )
    await _keep_verifier(desk, verifier_name(account_id), password)
    return account_id


async def _keep_verifier(desk: Desk, name: str, password: str) -> None:
    """In the KeyStore, and never in the log."""
    await desk.keys.put(name, await asyncio.to_thread(make_verifier, prepare_password(password)))


def registry(desk: Desk) -> Registry:
    """Who may have mailboxes here, in the name of the person at the keyboard."""
    return _for(Registry, desk)


def app_passwords(desk: Desk) -> AppPasswords:
    """Further passwords of accounts, in the name of the person at the keyboard."""
    return _for(AppPasswords, desk)


def agencies(desk: Desk) -> Agencies:
    """What is changed about agencies, in the name of the person at the keyboard."""
    return _for(Agencies, desk)


def registry_at(where: Where) -> Registry | RemoteRegistry:
    """The same, or through the API in the name of who logged in."""
    return RemoteRegistry(where) if isinstance(where, Remote) else registry(where)


def agencies_at(where: Where) -> Agencies | RemoteAgencies:
    """What is changed about agencies."""
    return RemoteAgencies(where) if isinstance(where, Remote) else _for(Agencies, where)


def forwarding_at(where: Where) -> Forwarding | RemoteForwarding:
    """To whom accounts forward their mail."""
    return RemoteForwarding(where) if isinstance(where, Remote) else _for(Forwarding, where)


def domains_at(where: Where) -> Domains | RemoteDomains:
    """Which domains agencies have."""
    if isinstance(where, Remote):
        return RemoteDomains(where)
    domains = _for(Domains, where)
    domains.prepare(
        partial(look_at_domain, where.log, where.pool), partial(look_at_move, where.log, where.pool)
    )
    return domains


def roles_at(where: Where) -> Roles | RemoteRoles:
    """Who may administer what."""
    return RemoteRoles(where) if isinstance(where, Remote) else _for(Roles, where)


def mail_lists(desk: Desk) -> MailLists:
    """Lists and who is on them, in the name of the person at the keyboard."""
    return _for(MailLists, desk)


def importing(desk: Desk, digest: str, find_claims: FindClaims, keep_codes: KeepCodes) -> Importing:
    """One file of accounts, in the name of the person at the keyboard."""
    work = _for(Importing, desk)
    work.prepare(digest, find_claims, keep_codes)
    return work


def _for(kind: type[D], desk: Desk) -> D:
    return kind(
        log=desk.log,
        keys=desk.keys,
        count_accounts=partial(count_accounts, desk.log, desk.pool),
        clock=desk.clock,
        entropy=desk.entropy,
        actor=operator(),
        by=desk.by,
    )
