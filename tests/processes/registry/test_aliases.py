"""Further addresses of an account: one owner, a rest of 180 days, and nothing in the clear."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from gateway.domain.account import Account, account_key_name
from gateway.domain.addresses import ADDRESS_RESTS, AddressClaimed, AddressSecret, address_label
from gateway.domain.aggregate import replay
from gateway.domain.aliases import ALIASES_MAX
from gateway.domain.registration import Refused, Unknown
from gateway.domain.sealing import unseal
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId, AgencyId
from tests.processes.registry.desk import AT, Desk

SUDA, CHAI = parse_address("suda@opm.go.th"), parse_address("chai@opm.go.th")
OFFICE = parse_address("Office@OPM.go.th")


@dataclass
class Office:
    """A desk with an agency of two accounts."""

    desk: Desk
    agency_id: AgencyId
    suda: AccountId
    chai: AccountId


@pytest.fixture
async def office(desk: Desk) -> Office:
    agency_id = await desk.registry.add_agency("OPM", ["opm.go.th"])
    suda, chai = [await desk.registry.add_account(agency_id, address) for address in (SUDA, CHAI)]
    return Office(desk, agency_id, suda, chai)


async def test_an_alias_is_added_to_its_account_and_claimed_in_one_append(office: Office) -> None:
    desk = office.desk
    assert await desk.registry.add_alias(SUDA, OFFICE) == office.suda
    added, claimed = (await desk.events())[-2:]
    assert (added.topic, claimed.topic) == ("alias.added/1", "address.claimed/1")
    assert (added.subject, added.version) == (f"ev.account.{office.suda}", 2)
    event = claimed.event
    assert isinstance(event, AddressClaimed)
    assert (event.account_id, event.agency_id, event.is_alias) == (office.suda, office.agency_id, True)
    secret = unseal(
        AddressSecret,
        event.sealed,
        await desk.keys.get(account_key_name(office.suda)),
        label=address_label(office.suda),
    )
    assert secret == AddressSecret("office@opm.go.th", "Office@OPM.go.th")
    assert all(b"ffice" not in recorded.state for recorded in await desk.events())


async def test_an_alias_is_named_by_any_address_of_its_account(office: Office) -> None:
    registry = office.desk.registry
    await registry.add_alias(SUDA, OFFICE)
    assert await registry.add_alias(OFFICE, parse_address("help@opm.go.th")) == office.suda


async def test_a_removed_alias_rests_for_180_days_for_everybody_else(office: Office) -> None:
    desk = office.desk
    await desk.registry.add_alias(SUDA, OFFICE)
    assert await desk.registry.remove_alias(OFFICE) == office.suda
    assert (await desk.topics())[-2:] == ["alias.removed/1", "address.released/1"]

    until = f"{AT + ADDRESS_RESTS:%Y-%m-%d}"
    assert until == "2027-05-22"
    desk.move(days=180, seconds=-1)
    with pytest.raises(Refused, match=f"rests until {until}"):
        await desk.registry.add_alias(CHAI, OFFICE)
    with pytest.raises(Refused, match=f"rests until {until}"):
        await desk.registry.add_account(office.agency_id, OFFICE)

    desk.move(seconds=1)
    assert await desk.registry.add_alias(CHAI, OFFICE) == office.chai


async def test_the_account_that_had_it_takes_it_back_at_any_time(office: Office) -> None:
    registry = office.desk.registry
    for _ in range(2):
        await registry.add_alias(SUDA, OFFICE)
        await registry.remove_alias(OFFICE)
    assert await registry.add_alias(SUDA, OFFICE) == office.suda


async def test_after_its_rest_it_may_become_an_account(office: Office) -> None:
    desk = office.desk
    await desk.registry.add_alias(SUDA, OFFICE)
    await desk.registry.remove_alias(OFFICE)
    desk.clock.passed += ADDRESS_RESTS + timedelta(days=1)
    await desk.registry.add_account(office.agency_id, OFFICE)
    with pytest.raises(Refused, match="is given out already"):
        await desk.registry.add_alias(SUDA, OFFICE)


REFUSED = [
    (SUDA, "chai@opm.go.th", Refused, "chai@opm.go.th is given out already"),
    (SUDA, "SUDA@opm.go.th", Refused, "is an address of this account already"),
    (SUDA, "suda@opdc.go.th", Refused, "the domain opdc.go.th does not belong to OPM"),
    (parse_address("nobody@opm.go.th"), "office@opm.go.th", Unknown, "nobody@opm.go.th is no account here"),
]


@pytest.mark.parametrize(("of", "alias", "kind", "why"), REFUSED)
async def test_an_alias_is_refused(
    office: Office, of: object, alias: str, kind: type[Refused], why: str
) -> None:
    before = await office.desk.topics()
    with pytest.raises(kind, match=why):
        await office.desk.registry.add_alias(of, parse_address(alias))  # type: ignore[arg-type]
    assert await office.desk.topics() == before


async def test_only_an_alias_is_removed(office: Office) -> None:
    registry = office.desk.registry
    with pytest.raises(Refused, match="is the address its account was made with"):
        await registry.remove_alias(SUDA)
    with pytest.raises(Unknown, match="is no account here"):
        await registry.remove_alias(OFFICE)
    await registry.add_alias(SUDA, OFFICE)
    await registry.remove_alias(OFFICE)
    with pytest.raises(Unknown, match="is no account here"):
        await registry.remove_alias(OFFICE)


async def test_an_account_has_a_hundred_aliases_at_most(office: Office) -> None:
    registry = office.desk.registry
    for number in range(ALIASES_MAX):
        await registry.add_alias(SUDA, parse_address(f"a{number}@opm.go.th"))
    with pytest.raises(Refused, match="at most 100 aliases"):
        await registry.add_alias(SUDA, OFFICE)


async def test_one_alias_given_to_two_accounts_at_once_is_one_accounts(office: Office) -> None:
    desk = office.desk
    told = await asyncio.gather(
        desk.registry.add_alias(SUDA, OFFICE),
        desk.another().add_alias(CHAI, OFFICE),
        return_exceptions=True,
    )
    assert [type(one) for one in told if not isinstance(one, str)] == [Refused]
    assert (await desk.topics()).count("alias.added/1") == 1


async def test_two_aliases_of_one_account_at_once_are_both_its(office: Office) -> None:
    desk = office.desk
    await asyncio.gather(
        desk.registry.add_alias(SUDA, OFFICE),
        desk.another().add_alias(SUDA, parse_address("help@opm.go.th")),
    )
    history = await desk.log.history(f"account.{office.suda}")
    account = replay(Account, (recorded.event for recorded in history))
    assert account is not None
    assert (account.version, len(account.aliases)) == (3, 2)
