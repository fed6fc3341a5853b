"""Agencies, as the API shows and changes them."""

import msgspec

from gateway.domain.agency import Limits, NextHop
from gateway.mail.ids import AccountId
from gateway.processes.registry.agencies import Agencies
from gateway.processes.registry.registry import Registry
from gateway.processes.web import bodies
from gateway.processes.web.office import Asked, address_in
from gateway.processes.web.problems import forbidden, malformed, not_here
from gateway.settings import split_address
from projections.directory import query as directory


async def list_agencies(asked: Asked) -> bodies.AgencyList:
    async with asked.office.pool.rows() as rows:
        found = await directory.list_agencies(rows)
    shown = [row for row in found if asked.caller.may("see", row.agency_id)]
    return bodies.AgencyList([_agency(row) for row in shown])


async def show_agency(asked: Asked) -> bodies.Agency:
    agency_id = asked.agency("see")
    async with asked.office.pool.rows() as rows:
        found = await directory.list_agencies(rows, agency_id)
    if not found:
        raise not_here(f"there is no agency {agency_id}")
    return _agency(found[0])


async def add_agency(asked: Asked) -> bodies.AgencyMade:
    new: bodies.NewAgency = asked.body
    relay_to = None
    if new.relay_to is not None:
        try:
            relay_to = NextHop(*split_address(new.relay_to))
        except ValueError as error:
            raise malformed(f"{new.relay_to!r} is no host:port such as mx.example.org:25") from error
    trial_days = asked.office.trial_days if new.trial_days == 0 else new.trial_days
    agency_id = await asked.registry(Registry).add_agency(
        new.name, new.domains, relay_to=relay_to, trial_days=trial_days
    )
    return bodies.AgencyMade(agency_id)


async def rename_agency(asked: Asked) -> bodies.AgencyNamed:
    agency_id = asked.agency("govern")
    return bodies.AgencyNamed(agency_id, await asked.registry(Agencies).rename(agency_id, asked.body.name))


async def suspend_agency(asked: Asked) -> bodies.AgencyChanged:
    agency_id = asked.agency("govern")
    await asked.registry(Agencies).suspend(agency_id, asked.body.reason)
    return bodies.AgencyChanged(agency_id, "suspended")


async def activate_agency(asked: Asked) -> bodies.AgencyChanged:
    agency_id = asked.agency("govern")
    status = await asked.registry(Agencies).activate(agency_id, asked.body.reason)
    return bodies.AgencyChanged(agency_id, status)


async def extend_trial(asked: Asked) -> bodies.TrialExtended:
    agency_id = asked.agency("govern")
    ends_at = await asked.registry(Agencies).extend_trial(agency_id, asked.body.days, asked.body.reason)
    return bodies.TrialExtended(agency_id, ends_at)


async def close_agency(asked: Asked) -> bodies.AgencyChanged:
    agency_id = asked.agency("govern")
    await asked.registry(Agencies).order_close(agency_id, asked.body.reason)
    return bodies.AgencyChanged(agency_id, "closing")


async def show_limits(asked: Asked) -> Limits:
    return await asked.registry(Agencies).limits(asked.agency("see"))


async def set_limits(asked: Asked) -> Limits:
    """Accounts and the traffic log's time are the operator's to say, the rest its administrator's as well."""
    agency_id = asked.agency("change")
    given = msgspec.structs.asdict(asked.body)
    changes = {name: limit for name, limit in given.items() if limit is not msgspec.UNSET}
    if not changes:
        raise malformed("no limit is named")
    if "accounts_max" in changes and not asked.caller.may("govern", agency_id):
        raise forbidden("how many accounts an agency may have is the operator's to say")
    if "trace_days" in changes and not asked.caller.may("govern", agency_id):
        raise forbidden("how long an agency's traffic log is kept is the operator's to say")
    return await asked.registry(Agencies).set_limits(agency_id, changes)


async def set_contact(asked: Asked) -> bodies.ContactSet:
    agency_id = asked.agency("change")
    address = address_in(asked.body.address)
    await asked.account("see", address)
    account_id: AccountId = await asked.registry(Agencies).set_contact(agency_id, address)
    return bodies.ContactSet(agency_id, account_id)


async def set_catch_all(asked: Asked) -> bodies.CatchAllSet:
    agency_id, named = asked.agency("change"), asked.body.address
    address = address_in(named) if named is not None else None
    if address is not None:
        await asked.account("see", address)
    account_id = await asked.registry(Agencies).set_catch_all(agency_id, address)
    return bodies.CatchAllSet(agency_id, account_id)


async def set_plus_addressing(asked: Asked) -> bodies.PlusAddressingSet:
    agency_id, is_on = asked.agency("change"), asked.body.is_on
    await asked.registry(Agencies).set_plus_addressing(agency_id, is_on=is_on)
    return bodies.PlusAddressingSet(agency_id, is_on)


def _agency(row: directory.AgencyRow) -> bodies.Agency:
    return bodies.Agency(
        agency_id=row.agency_id,
        name=row.name,
        former_names=list(row.former_names),
        domains=list(row.domains),
        next_hop=str(row.next_hop) if row.next_hop else None,
        accounts=row.accounts,
        status=row.status,
        reason=row.reason,
        created_at=row.created_at,
        trial_ends_at=row.trial_ends_at,
        trial_closes_at=row.trial_closes_at,
        lacking=row.lacking,
        lacking_named=list(row.lacking_named),
        catch_all_id=row.catch_all_id,
        plus_addressing=row.plus_addressing,
        tls=row.tls,
        way=row.way,
        relay_connections_max=row.relay_connections_max,
        relay_mails_a_minute=row.relay_mails_a_minute,
    )
