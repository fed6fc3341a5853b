"""Accounts suspended, closed and activated again: what the log says, and what happens to their addresses."""

from dataclasses import dataclass

import pytest

from gateway.domain.account import Account, AccountSuspended, ReasonSecret, account_key_name, reason_label
from gateway.domain.account_status import REASON_CHARACTERS_MAX
from gateway.domain.addresses import ADDRESS_RESTS
from gateway.domain.aggregate import replay
from gateway.domain.registration import Refused, Unknown
from gateway.domain.sealing import unseal
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId, AgencyId
from tests.processes.registry.desk import Desk

SUDA, OFFICE = parse_address("suda@opm.go.th"), parse_address("office@opm.go.th")
CHAI = parse_address("chai@opm.go.th")


@dataclass
class Office:
    """A desk with an agency of two accounts, the first of which has an alias."""

    desk: Desk
    agency_id: AgencyId
    suda: AccountId

    async def account(self) -> Account:
        history = await self.desk.log.history(f"account.{self.suda}")
        account = replay(Account, (recorded.event for recorded in history))
        assert account is not None
        return account


@pytest.fixture
async def office(desk: Desk) -> Office:
    agency_id = await desk.registry.add_agency("OPM", ["opm.go.th"])
    suda = await desk.registry.add_account(agency_id, SUDA)
    await desk.registry.add_account(agency_id, CHAI)
    await desk.registry.add_alias(SUDA, OFFICE)
    return Office(desk, agency_id, suda)


async def test_a_suspension_says_why_to_who_has_the_key(office: Office) -> None:
    desk = office.desk
    assert await desk.registry.suspend_account(OFFICE, "ลืมรหัสผ่าน") == office.suda
    event = (await desk.events())[-1].event
    assert isinstance(event, AccountSuspended)
    key = await desk.keys.get(account_key_name(office.suda))
    assert unseal(ReasonSecret, event.sealed, key, label=reason_label(office.suda)).reason == "ลืมรหัสผ่าน"
    account = await office.account()
    assert (account.status, len(account.aliases)) == ("suspended", 1)


async def test_a_suspended_account_is_activated_and_keeps_its_addresses(office: Office) -> None:
    registry = office.desk.registry
    await registry.suspend_account(SUDA, "why")
    before = len(await office.desk.topics())
    await registry.activate_account(SUDA, "why not")
    assert (await office.desk.topics())[before:] == ["account.activated/1"]
    assert (await office.account()).status == "active"


async def test_closing_releases_every_address_in_one_append(office: Office) -> None:
    desk = office.desk
    before = len(await desk.topics())
    await desk.registry.close_account(SUDA, "left the office")
    assert (await desk.topics())[before:] == ["account.closed/1", *["address.released/1"] * 2]
    for address in (SUDA, OFFICE):
        with pytest.raises(Refused, match="rests until 2027-05-22"):
            await desk.registry.add_alias(CHAI, address)


async def test_a_closed_account_is_found_by_its_address_and_takes_it_back(office: Office) -> None:
    desk = office.desk
    await desk.registry.close_account(OFFICE, "a mistake")
    before = len(await desk.topics())
    await desk.registry.activate_account(OFFICE, "it was a mistake")
    assert (await desk.topics())[before:] == ["account.activated/1", "address.claimed/1"]
    with pytest.raises(Unknown):
        await desk.registry.suspend_account(OFFICE, "its aliases are gone")
    await desk.registry.add_alias(SUDA, OFFICE)
    assert len((await office.account()).aliases) == 1


async def test_a_closed_account_whose_address_is_anothers_stays_closed(office: Office) -> None:
    desk = office.desk
    await desk.registry.close_account(SUDA, "left")
    desk.clock.passed += ADDRESS_RESTS
    await desk.registry.add_account(office.agency_id, SUDA)
    with pytest.raises(Refused, match=r"suda@opm\.go\.th is given out already"):
        await desk.registry.activate_account(OFFICE, "is back")
    assert (await office.account()).status == "closed"


async def test_what_is_so_already_is_refused(office: Office) -> None:
    registry = office.desk.registry
    with pytest.raises(Refused, match="is active already"):
        await registry.activate_account(SUDA, "why")
    await registry.suspend_account(SUDA, "why")
    with pytest.raises(Refused, match="is suspended already"):
        await registry.suspend_account(SUDA, "why")
    await registry.close_account(SUDA, "why")
    for change in (registry.suspend_account, registry.close_account):
        with pytest.raises(Refused, match="is closed already"):
            await change(SUDA, "why")
    with pytest.raises(Refused, match="the account is closed"):
        await registry.add_alias(SUDA, parse_address("help@opm.go.th"))


async def test_an_alias_that_was_removed_names_no_account(office: Office) -> None:
    registry = office.desk.registry
    await registry.remove_alias(OFFICE)
    for change in (registry.suspend_account, registry.activate_account, registry.close_account):
        with pytest.raises(Unknown, match=r"office@opm\.go\.th is no account here"):
            await change(OFFICE, "why")


@pytest.mark.parametrize("reason", ["", "  ", "x" * (REASON_CHARACTERS_MAX + 1)])
async def test_a_reason_is_said_and_short(office: Office, reason: str) -> None:
    with pytest.raises(Refused, match="a reason has from 1 to 1000 characters"):
        await office.desk.registry.suspend_account(SUDA, reason)


async def test_a_history_that_moves_meanwhile_is_decided_on_again(office: Office) -> None:
    """Somebody adds an alias while the account is being closed: it is released, too."""
    desk = office.desk
    append = desk.log.append_guarded

    async def add_an_alias_first(*args: object, **options: object) -> object:
        desk.log.append_guarded = append  # type: ignore[method-assign]
        await desk.another().add_alias(SUDA, parse_address("late@opm.go.th"))
        return await append(*args, **options)  # type: ignore[arg-type]

    desk.log.append_guarded = add_an_alias_first  # type: ignore[method-assign, assignment]
    await desk.registry.close_account(SUDA, "left")
    assert (await desk.topics()).count("address.released/1") == 3
