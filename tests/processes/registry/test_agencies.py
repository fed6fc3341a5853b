"""What is changed about an agency after it was registered."""

from datetime import timedelta

import pytest

from gateway.domain.account import ReasonSecret, reason_label
from gateway.domain.agency import Agency, AgencySuspended, Limits, agency_key_name
from gateway.domain.aggregate import replay
from gateway.domain.events import Actor, By, Stamp
from gateway.domain.registration import Refused, Unknown
from gateway.domain.sealing import unseal
from gateway.domain.trial import End, Export
from gateway.domain.trial_steps import take_step
from gateway.mail.address import parse_address
from gateway.mail.ids import AgencyId
from gateway.ports import Position
from gateway.processes.registry.reading import Reading
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


async def test_an_agency_gets_another_name(desk: Desk, opm: AgencyId) -> None:
    assert await desk.agencies.rename(opm, " สำนักนายกรัฐมนตรี ") == "สำนักนายกรัฐมนตรี"
    assert (await agency(desk, opm)).name == "สำนักนายกรัฐมนตรี"
    for name, said in (
        ("สำนักนายกรัฐมนตรี", "is สำนักนายกรัฐมนตรี already"),
        (" ", "has a name"),
        ("\x07", "printable"),
    ):
        with pytest.raises(Refused, match=said):
            await desk.agencies.rename(opm, name)
    with pytest.raises(Unknown, match="there is no agency"):
        await desk.agencies.rename(NOBODY, "OPM")


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


# --- its trial ----------------------------------------------------------------------------------------


async def test_a_trial_is_extended_and_made_active_by_an_operator(desk: Desk) -> None:
    dld = await desk.registry.add_agency("DLD", ["dld.go.th"], trial_days=30)
    assert (await agency(desk, dld)).status == "trial"
    with pytest.raises(Refused, match="the trial of DLD ends on 2026-12-23: say more days"):
        await desk.agencies.extend_trial(dld, 30, "again")
    with pytest.raises(Refused, match="a trial has from 1 to 366 days"):
        await desk.agencies.extend_trial(dld, 367, "for ever")
    desk.move(days=3)
    assert await desk.agencies.extend_trial(dld, 30, "budget") == desk.clock.now() + timedelta(days=30)

    await desk.agencies.suspend(dld, "spam")
    assert await desk.agencies.activate(dld, "the sender was found") == "trial"
    assert await desk.agencies.activate(dld, "has signed") == "active"
    assert (await agency(desk, dld)).trial is None
    with pytest.raises(Refused, match="DLD is no trial"):
        await desk.agencies.extend_trial(dld, 60, "why not")


async def test_there_is_no_way_back_into_an_agency_that_was_exported(desk: Desk) -> None:
    dld, suda = (
        await desk.registry.add_agency("DLD", ["dld.go.th"], trial_days=1),
        parse_address("suda@dld.go.th"),
    )
    await desk.registry.add_account(dld, suda)
    for step in (End(desk.clock.now()), Export()):
        found = await Reading(desk.log, desk.keys).agency(dld)
        stamp = Stamp(at=desk.clock.now(), actor=Actor("system", "steward"), by=By("steward", "0", ""))
        made = take_step(found.agency, found.position, step, stamp)
        expected = {history: Position(position) for history, position in made.expected.items()}
        await desk.log.append_guarded(made.facts, expected, made.versions)
    await desk.registry.close_account(suda, "the trial has ended")
    before = await desk.topics()
    for refused in (
        desk.agencies.activate(dld, "again"),
        desk.agencies.extend_trial(dld, 60, "again"),
        desk.agencies.suspend(dld, "spam"),
        desk.registry.activate_account(suda, "again"),
        desk.registry.add_account(dld, parse_address("new@dld.go.th")),
    ):
        with pytest.raises(Refused, match="DLD is closing"):
            await refused
    assert await desk.topics() == before


@pytest.mark.parametrize("days", [0, -1, 367])
async def test_a_trial_has_bounds(desk: Desk, days: int) -> None:
    with pytest.raises(Refused, match="a trial has from 1 to 366 days"):
        await desk.registry.add_agency("DLD", ["dld.go.th"], trial_days=days)
    assert await desk.topics() == []


async def test_the_catch_all_is_a_mailbox_of_the_agency(desk: Desk, opm: AgencyId) -> None:
    suda, bee = parse_address("suda@opm.go.th"), parse_address("bee@opdc.go.th")
    account_id = await desk.registry.add_account(opm, suda)
    opdc = await desk.registry.add_agency("OPDC", ["opdc.go.th"])
    await desk.registry.add_account(opdc, bee)
    with pytest.raises(Refused, match="the catch-all of OPM is none already"):
        await desk.agencies.set_catch_all(opm, None)
    assert await desk.agencies.set_catch_all(opm, suda) == account_id
    with pytest.raises(Refused, match=r"bee@opdc\.go\.th is no account of OPM"):
        await desk.agencies.set_catch_all(opm, bee)
    assert await desk.agencies.set_catch_all(opm, None) is None
    assert (await agency(desk, opm)).catch_all_id is None
    await desk.registry.close_account(suda, "left")
    with pytest.raises(Refused, match="the account is closed"):
        await desk.agencies.set_catch_all(opm, suda)


async def test_plus_addressing_is_on_until_it_is_off(desk: Desk, opm: AgencyId) -> None:
    with pytest.raises(Refused, match="plus-addressing of OPM is on already"):
        await desk.agencies.set_plus_addressing(opm, is_on=True)
    await desk.agencies.set_plus_addressing(opm, is_on=False)
    assert not (await agency(desk, opm)).plus_addressing


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


# --- its limits ---------------------------------------------------------------------------------------


async def test_limits_change_one_by_one_and_an_attachment_has_25_mib_at_first(
    desk: Desk, opm: AgencyId
) -> None:
    assert await desk.agencies.limits(opm) == Limits(None, None, None, 26_214_400)
    await desk.agencies.set_limits(opm, {"accounts_max": 500, "recipients_max": 100})
    assert await desk.agencies.set_limits(opm, {"recipients_max": None}) == Limits(accounts_max=500)
    await desk.agencies.set_limits(opm, {"attachment_octets_max": None, "message_octets_max": 10**7})
    assert await desk.agencies.limits(opm) == Limits(500, None, 10**7, None)
    before = await desk.topics()
    with pytest.raises(Refused, match="OPM has these limits already"):
        await desk.agencies.set_limits(opm, {"accounts_max": 500})
    with pytest.raises(Unknown, match="there is no agency"):
        await desk.agencies.limits(NOBODY)
    assert await desk.topics() == before


OUT_OF_BOUNDS = [
    ("accounts_max", 1_000_001, "a limit of accounts is from 0 to 1000000, not 1000001"),
    ("recipients_max", 99, "a limit of recipients is from 100 to 1000, not 99"),
    ("message_octets_max", 65_535, "a limit of octets of a message is from 65536 to 1073741824"),
    ("attachment_octets_max", 2**30 + 1, "a limit of octets of attachments is from 0 to 1073741824"),
    ("relay_connections_max", 0, "a limit of connections to its next hop is from 1 to 1000, not 0"),
    ("relay_mails_a_minute", 0, "a limit of mails a minute to its next hop is from 1 to 100000, not 0"),
]


@pytest.mark.parametrize(("name", "limit", "why"), OUT_OF_BOUNDS)
async def test_a_limit_has_bounds(desk: Desk, opm: AgencyId, name: str, limit: int, why: str) -> None:
    with pytest.raises(Refused, match=why):
        await desk.agencies.set_limits(opm, {name: limit})


async def test_an_agency_has_no_more_open_accounts_than_it_may_have(desk: Desk, opm: AgencyId) -> None:
    first, second, third = (parse_address(f"a{number}@opm.go.th") for number in range(3))
    await desk.agencies.set_limits(opm, {"accounts_max": 2})
    await desk.registry.add_account(opm, first)
    await desk.registry.add_account(opm, second)
    with pytest.raises(Refused, match="OPM has 2 accounts and may have 2"):
        await desk.registry.add_account(opm, third)

    await desk.registry.close_account(first, "left")
    await desk.registry.add_account(opm, third)
    with pytest.raises(Refused, match="OPM has 2 accounts and may have 2"):
        await desk.registry.activate_account(first, "is back")
    await desk.agencies.set_limits(opm, {"accounts_max": None})
    await desk.registry.activate_account(first, "is back")
