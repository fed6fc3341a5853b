"""Bans through the API: who is shut out, for operators alone: a network is no agency's."""

from dataclasses import asdict
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gateway.domain.bans import LONGEST_BAN, network_to_ban
from gateway.domain.events import Stamp
from gateway.mail.ids import AccountId, AgencyId
from gateway.processes.signin.banning import Banning
from gateway.processes.web.bodies import MailAddress, Reason, Text
from gateway.processes.web.office import Asked, Operation, address_in
from gateway.processes.web.problems import against_the_rules, malformed, not_here
from projections.bans import query
from projections.bans.named import BanState, named
from projections.bans.project import BansModel


class BanShown(Struct):
    """whom: the network, or an address of the account. reason: sign-ins: it was guessing passwords."""

    ban_id: str
    what: Literal["network", "account"]
    whom: str
    network: str | None
    account_id: AccountId | None
    agency_id: AgencyId | None
    reason: str
    why: str
    imposed_at: datetime
    imposed_by: str
    until: datetime
    state: BanState
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lift_reason: str | None = None


class BanList(Struct):
    """now: of the gateway's clock, by which bans end. ports: where mail comes to it, for a firewall."""

    now: datetime
    ports: list[int]
    bans: list[BanShown]


class BansWanted(Struct, forbid_unknown_fields=True):
    """all: those that have ended or were lifted as well."""

    all: bool = False


class NewBan(Struct, forbid_unknown_fields=True):
    """One of network (CIDR, or one address) and account (an address of it)."""

    seconds: Annotated[int, Meta(ge=1, le=int(LONGEST_BAN.total_seconds()))]
    reason: Text
    network: Annotated[str, Meta(min_length=1, max_length=50)] | None = None
    account: MailAddress | None = None


class BanLifted(Struct):
    ban_id: str


async def list_bans(asked: Asked) -> BanList:
    now = asked.office.clock.now()
    async with asked.office.pool.rows() as rows:
        found = await named(rows, now, everything=asked.query.all)
    return BanList(now, list(asked.office.mail_ports), [BanShown(**asdict(one)) for one in found])


async def add_ban(asked: Asked) -> BanShown:
    new: NewBan = asked.body
    stamp = _stamp(asked)
    until = stamp.at + timedelta(seconds=new.seconds)
    if (new.network is None) == (new.account is None):
        raise malformed("name either a network or an account")
    if new.account is not None:
        account = await asked.account("govern", address_in(new.account))
        imposed = await _banning(asked).account(
            account.account_id, account.agency_id, until, stamp, why=new.reason
        )
        whom = account.address
    else:
        assert new.network is not None, "one of them was given"
        try:
            network = network_to_ban(new.network)
        except ValueError as error:
            raise malformed(str(error)) from error
        imposed = await _banning(asked).network(network, until, stamp, reason="operator", why=new.reason)
        whom = str(network)
    await asked.office.follow(BansModel)
    return BanShown(**asdict(imposed), whom=whom, state="banned")


async def lift_ban(asked: Asked) -> BanLifted:
    ban_id = asked.path["ban_id"]
    async with asked.office.pool.rows() as rows:
        found = await query.find_ban(rows, ban_id)
    if found is None:
        raise not_here(f"there is no ban {ban_id}")
    stamp = _stamp(asked)
    if not found.holds(stamp.at):
        raise against_the_rules(f"{ban_id} has {'been lifted' if found.lifted_at else 'ended'} already")
    await _banning(asked).lift(found, stamp, why=asked.body.reason)
    await asked.office.follow(BansModel)
    return BanLifted(ban_id)


def _banning(asked: Asked) -> Banning:
    return Banning(asked.office.keys, asked.office.lane, asked.office.entropy)


def _stamp(asked: Asked) -> Stamp:
    return Stamp(at=asked.office.clock.now(), actor=asked.caller.actor, by=asked.office.by)


OPERATIONS: Final = (
    Operation("GET", "/bans", "Who is banned.", list_bans, BanList, query=BansWanted, right="govern"),
    Operation(
        "POST",
        "/bans",
        "Shut a network or an account out for a time; every edge knows within seconds.",
        add_ban,
        BanShown,
        NewBan,
        status=HTTPStatus.CREATED,
        right="govern",
    ),
    Operation(
        "POST",
        "/bans/{ban_id}/lift",
        "Let a banned network or account in again before its time.",
        lift_ban,
        BanLifted,
        Reason,
        right="govern",
    ),
)
