"""Registering agencies and accounts on a log: who is told yes, who is told no, and what the log says."""

import asyncio

import pytest

from gateway.domain.account import AccountCreated, AccountSecret, account_key_name, account_label
from gateway.domain.addresses import AddressClaimed, AddressSecret, DomainClaimed, address_label
from gateway.domain.agency import Agency, AgencyCreated, NextHop
from gateway.domain.aggregate import replay
from gateway.domain.mailboxtree import TreeCreated
from gateway.domain.registration import Refused
from gateway.domain.sealing import unseal
from gateway.mail.address import parse_address
from gateway.mail.ids import AgencyId
from tests.processes.registry.desk import AT, Desk

SUDA = parse_address("Suda@OPM.go.th")


async def test_an_agency_is_created_with_its_domains_in_one_append(desk: Desk) -> None:
    agency_id = await desk.registry.add_agency("สำนักนายกรัฐมนตรี", ["OPM.go.th", "สำนัก.ไทย"])
    created, first, second = [recorded.event for recorded in await desk.events()]
    assert isinstance(created, AgencyCreated)
    assert created.name == "สำนักนายกรัฐมนตรี"
    assert created.relay_to is None
    assert isinstance(first, DomainClaimed)
    assert isinstance(second, DomainClaimed)
    assert (first.domain, first.agency_id) == ("opm.go.th", agency_id)
    assert second.domain == "xn--12c1c7b3ad5n.xn--o3cw4h"
    subjects = [recorded.subject for recorded in await desk.events()]
    assert subjects[:2] == [f"ev.agency.{agency_id}", "ev.domain.opm%2Ego%2Eth"]


async def test_the_history_of_an_agency_tells_what_it_is(desk: Desk) -> None:
    hop = NextHop("192.0.2.25", 25)
    agency_id = await desk.registry.add_agency("กรมปศุสัตว์", ["dld.go.th"], relay_to=hop)
    history = await desk.log.history(f"agency.{agency_id}")
    agency = replay(Agency, (recorded.event for recorded in history))
    assert agency is not None
    assert (agency.id, agency.version, agency.name, agency.relay_to) == (agency_id, 1, "กรมปศุสัตว์", hop)
    assert history[0].version == 1


async def test_an_account_comes_with_its_inbox_and_its_address(desk: Desk) -> None:
    agency_id = await desk.registry.add_agency("OPM", ["opm.go.th"])
    account_id = await desk.registry.add_account(agency_id, SUDA, display_name="สุดา")
    account, tree, claim = [recorded.event for recorded in (await desk.events())[2:]]
    assert isinstance(account, AccountCreated)
    assert isinstance(tree, TreeCreated)
    assert isinstance(claim, AddressClaimed)
    assert account.base == tree.base == int(AT.timestamp())
    assert tree.account_id == claim.account_id == account.originator_id == account_id

    key = await desk.keys.get(account_key_name(account_id))
    secret = unseal(AccountSecret, account.sealed, key, label=account_label(account_id))
    assert secret == AccountSecret("Suda@OPM.go.th", "สุดา")
    looked_up = unseal(AddressSecret, claim.sealed, key, label=address_label(account_id))
    assert looked_up == AddressSecret("suda@opm.go.th")


async def test_no_name_and_no_address_stands_in_the_log(desk: Desk) -> None:
    agency_id = await desk.registry.add_agency("OPM", ["opm.go.th"])
    await desk.registry.add_account(agency_id, SUDA, display_name="Suda Jaidee")
    for recorded in await desk.events():
        assert b"uda" not in recorded.state
        assert "uda" not in recorded.subject


async def test_two_administrators_giving_out_one_address_at_once_one_is_told_no(desk: Desk) -> None:
    agency_id = await desk.registry.add_agency("OPM", ["opm.go.th"])
    spelt_otherwise = parse_address("suda@opm.GO.TH")
    told = await asyncio.gather(
        desk.registry.add_account(agency_id, SUDA),
        desk.another().add_account(agency_id, spelt_otherwise),
        return_exceptions=True,
    )
    assert [type(one) for one in told if not isinstance(one, str)] == [Refused]
    assert (await desk.topics()).count("address.claimed/1") == 1
    assert (await desk.topics()).count("account.created/1") == 1


async def test_a_domain_belongs_to_one_agency(desk: Desk) -> None:
    await desk.registry.add_agency("OPM", ["opm.go.th"])
    with pytest.raises(Refused, match="belongs to an agency already"):
        await desk.registry.add_agency("Other", ["other.go.th", "OPM.go.th"])
    assert (await desk.topics()).count("agency.created/1") == 1


REFUSED_AGENCIES = [
    ("", ["opm.go.th"], None, "an agency has a name"),
    ("OPM", [], None, "at least one domain"),
    ("OPM", ["a b"], None, "the domain is not made of"),
    ("OPM", ["[192.0.2.1]"], None, "an address literal is no agency's domain"),
    ("OPM", ["opm.go.th", "OPM.GO.TH"], None, "a domain is named twice"),
    ("OPM", ["opm.go.th"], NextHop("mx.opm.go.th", 0), "is no host and port"),
]


@pytest.mark.parametrize(("name", "domains", "relay_to", "why"), REFUSED_AGENCIES)
async def test_an_agency_nobody_can_use_is_refused(
    desk: Desk, name: str, domains: list[str], relay_to: NextHop | None, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        await desk.registry.add_agency(name, domains, relay_to=relay_to)
    assert await desk.topics() == []


async def test_an_account_is_refused_outside_its_agencys_domains(desk: Desk) -> None:
    opm = await desk.registry.add_agency("OPM", ["opm.go.th"])
    await desk.registry.add_agency("OPDC", ["opdc.go.th"])
    dld = await desk.registry.add_agency("DLD", ["dld.go.th"], relay_to=NextHop("192.0.2.25", 25))
    before = await desk.topics()
    for agency_id, address, why in [
        (opm, "suda@opdc.go.th", "does not belong to OPM"),
        (opm, "suda@example.org", "does not belong to OPM"),
        (dld, "suda@dld.go.th", "are on 192.0.2.25:25, not here"),
        (AgencyId("ag_" + "0" * 26), "suda@opm.go.th", "there is no agency"),
        (AgencyId("ag_*.>"), "suda@opm.go.th", "is no agency's id"),
    ]:
        with pytest.raises(Refused, match=why):
            await desk.registry.add_account(agency_id, parse_address(address))
    assert await desk.topics() == before


async def test_a_history_that_moves_meanwhile_is_decided_on_again(desk: Desk) -> None:
    agency_id = await desk.registry.add_agency("OPM", ["opm.go.th"])
    desk.spoil_next_append(2)
    await desk.registry.add_account(agency_id, SUDA)
    assert (await desk.topics()).count("address.claimed/1") == 1
