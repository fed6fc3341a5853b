"""Forwarding rules: who may have one, to whom, and what the log keeps of it."""

import pytest

from gateway.domain.account import Account, account_key_name
from gateway.domain.agency import NextHop
from gateway.domain.aggregate import replay
from gateway.domain.forwarding import ForwardingRemoved, ForwardingSet, open_targets
from gateway.domain.registration import Refused, Unknown
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId, AgencyId
from tests.processes.registry.desk import Desk

SUDA, MALEE, VET, ANN = map(
    parse_address, ("suda@opm.go.th", "malee@opdc.go.th", "vet@dld.go.th", "ann@example.org")
)


@pytest.fixture
async def opm(desk: Desk) -> AgencyId:
    await desk.registry.add_agency("OPDC", ["opdc.go.th"])
    await desk.registry.add_agency("DLD", ["dld.go.th"], relay_to=NextHop("192.0.2.25", 25))
    agency_id = await desk.registry.add_agency("OPM", ["opm.go.th"])
    await desk.registry.add_account(agency_id, SUDA)
    return agency_id


async def account(desk: Desk, account_id: AccountId) -> Account:
    found = replay(Account, (recorded.event for recorded in await desk.log.history(f"account.{account_id}")))
    assert found is not None
    return found


async def test_a_rule_is_set_changed_and_removed_and_names_nobody_in_the_clear(
    desk: Desk, opm: AgencyId
) -> None:
    suda = await desk.forwarding.set(SUDA, [MALEE, VET], keeps_copy=True)
    recorded = (await desk.events())[-1]
    event = recorded.event
    assert isinstance(event, ForwardingSet)
    assert (event.actor.id, event.keeps_copy) == ("root", True)
    assert b"opdc" not in recorded.state
    key = await desk.keys.get(account_key_name(suda))
    assert open_targets(event.sealed, suda, key) == [MALEE, VET]
    with pytest.raises(Refused, match="has this rule already"):
        await desk.forwarding.set(SUDA, [MALEE, VET], keeps_copy=True)
    await desk.forwarding.set(SUDA, [MALEE], keeps_copy=False)
    assert (await account(desk, suda)).forwarding == (False, (await desk.events())[-1].event.sealed)  # type: ignore[attr-defined]
    await desk.forwarding.remove(SUDA)
    assert isinstance((await desk.events())[-1].event, ForwardingRemoved)
    assert (await account(desk, suda)).forwarding is None
    with pytest.raises(Unknown, match="forwards its mail to nobody"):
        await desk.forwarding.remove(SUDA)


async def test_the_agency_says_where_its_mail_may_go(desk: Desk, opm: AgencyId) -> None:
    """inside from the first, as government mail leaves when somebody says that it may."""
    with pytest.raises(Refused, match=r"OPM does not let .* ann@example\.org: its policy is inside"):
        await desk.forwarding.set(SUDA, [MALEE, ANN], keeps_copy=True)
    await desk.agencies.set_forwarding_policy(opm, "anywhere")
    await desk.forwarding.set(SUDA, [MALEE, ANN], keeps_copy=True)
    await desk.agencies.set_forwarding_policy(opm, "none")
    with pytest.raises(Refused, match="its policy is none"):
        await desk.forwarding.set(SUDA, [MALEE], keeps_copy=True)
    with pytest.raises(Refused, match="the forwarding policy of OPM is none already"):
        await desk.agencies.set_forwarding_policy(opm, "none")
    assert await desk.agencies.forwarding_policy(opm) == "none"


async def test_what_is_no_rule_is_refused_and_changes_nothing(desk: Desk, opm: AgencyId) -> None:
    await desk.registry.add_alias(SUDA, parse_address("office@opm.go.th"))
    before = await desk.topics()
    many = [parse_address(f"u{number}@opdc.go.th") for number in range(6)]
    with pytest.raises(Refused, match="at most 5 addresses"):
        await desk.forwarding.set(SUDA, many, keeps_copy=True)
    with pytest.raises(Refused, match="at most 5 addresses, and to one at least"):
        await desk.forwarding.set(SUDA, [], keeps_copy=True)
    with pytest.raises(Refused, match=r"office@opm\.go\.th is an address of this account itself"):
        await desk.forwarding.set(SUDA, [parse_address("office@opm.go.th")], keeps_copy=True)
    with pytest.raises(Unknown, match=r"nobody@opm\.go\.th is no account here"):
        await desk.forwarding.set(parse_address("nobody@opm.go.th"), [MALEE], keeps_copy=True)
    assert await desk.topics() == before
    twice = await desk.forwarding.set(SUDA, [MALEE, parse_address("Malee@OPDC.go.th")], keeps_copy=True)
    event = (await desk.events())[-1].event
    assert isinstance(event, ForwardingSet)
    assert len(open_targets(event.sealed, twice, await desk.keys.get(account_key_name(twice)))) == 1


async def test_a_closed_account_has_no_rule_and_gets_none_back(desk: Desk, opm: AgencyId) -> None:
    suda = await desk.forwarding.set(SUDA, [MALEE], keeps_copy=False)
    await desk.registry.close_account(SUDA, "left")
    with pytest.raises(Refused, match="the account is closed"):
        await desk.forwarding.set(SUDA, [MALEE], keeps_copy=False)
    await desk.registry.activate_account(SUDA, "is back")
    assert (await account(desk, suda)).forwarding is None
