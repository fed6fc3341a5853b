"""What is changed about an agency after it was registered."""

import pytest

from gateway.domain.account import ReasonSecret, reason_label
from gateway.domain.agency import Agency, AgencySuspended, agency_key_name
from gateway.domain.aggregate import replay
from gateway.domain.registration import Refused, Unknown
from gateway.domain.sealing import unseal
from gateway.mail.address import parse_address
from gateway.mail.ids import AgencyId
from tests.processes.registry.desk import Desk

NOBODY = AgencyId("ag_" + "0" * 26)


@pytest.fixture
async def opm(desk: Desk) -> AgencyId:
    return await desk.registry.add_agency("OPM", ["opm.go.th"])


async def agency(desk: Desk, agency_id: AgencyId) -> Agency:
    history = await desk.log.history(f"agency.{agency_id}")
    found = replay(Agency, (recorded.event for recorded in history))
    assert found is not None
    return found


async def test_an_agency_is_suspended_and_activated_and_the_log_says_why(desk: Desk, opm: AgencyId) -> None:
    await desk.agencies.suspend(opm, "ส่งสแปม")
    event = (await desk.events())[-1].event
    assert isinstance(event, AgencySuspended)
    key = await desk.keys.get(agency_key_name(opm))
    assert unseal(ReasonSecret, event.sealed, key, label=reason_label(opm)).reason == "ส่งสแปม"
    assert (await agency(desk, opm)).status == "suspended"
    with pytest.raises(Refused, match="OPM is suspended already"):
        await desk.agencies.suspend(opm, "again")

    await desk.agencies.activate(opm, "the sender was found")
    assert (await agency(desk, opm)).status == "active"
    with pytest.raises(Refused, match="OPM is active already"):
        await desk.agencies.activate(opm, "again")


@pytest.mark.parametrize("agency_id", [NOBODY, "ag_*.>", "opm.go.th"])
async def test_an_agency_that_is_not_here_is_unknown(desk: Desk, agency_id: str) -> None:
    for change in (desk.agencies.suspend, desk.agencies.activate):
        with pytest.raises(Unknown, match="there is no agency"):
            await change(AgencyId(agency_id), "why")
    assert await desk.topics() == []


async def test_a_history_that_moves_meanwhile_is_decided_on_again(desk: Desk, opm: AgencyId) -> None:
    """Somebody suspends the agency first: who comes second is told that it is so already."""
    append = desk.log.append_guarded

    async def suspend_first(*args: object, **options: object) -> object:
        desk.log.append_guarded = append  # type: ignore[method-assign]
        await desk.agencies.suspend(opm, "first")
        return await append(*args, **options)  # type: ignore[arg-type]

    desk.log.append_guarded = suspend_first  # type: ignore[method-assign, assignment]
    with pytest.raises(Refused, match="OPM is suspended already"):
        await desk.agencies.suspend(opm, "second")
    assert (await desk.topics()).count("agency.suspended/1") == 1


# --- who answers for it -------------------------------------------------------------------------------


async def test_the_contact_is_an_account_of_the_agency(desk: Desk, opm: AgencyId) -> None:
    suda, bee = parse_address("suda@opm.go.th"), parse_address("bee@opdc.go.th")
    account_id = await desk.registry.add_account(opm, suda)
    opdc = await desk.registry.add_agency("OPDC", ["opdc.go.th"])
    await desk.registry.add_account(opdc, bee)
    await desk.registry.add_alias(suda, parse_address("office@opm.go.th"))

    assert await desk.agencies.set_contact(opm, parse_address("Office@opm.go.th")) == account_id
    assert (await agency(desk, opm)).contact_id == account_id
    with pytest.raises(Refused, match=r"suda@opm\.go\.th is the contact of OPM already"):
        await desk.agencies.set_contact(opm, suda)
    with pytest.raises(Refused, match=r"bee@opdc\.go\.th is no account of OPM"):
        await desk.agencies.set_contact(opm, bee)
    with pytest.raises(Unknown, match=r"nobody@opm\.go\.th is no account here"):
        await desk.agencies.set_contact(opm, parse_address("nobody@opm.go.th"))
    await desk.registry.close_account(bee, "left")
    with pytest.raises(Refused, match="the account is closed"):
        await desk.agencies.set_contact(opdc, bee)
