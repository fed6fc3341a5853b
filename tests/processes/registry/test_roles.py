"""Roles granted and revoked: what the log says, and what is refused."""

import pytest

from gateway.domain.account import Account, ReasonSecret, RoleGranted, account_key_name, reason_label
from gateway.domain.aggregate import replay
from gateway.domain.registration import Refused, Unknown
from gateway.domain.sealing import unseal
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId, AgencyId
from tests.processes.registry.desk import Desk

SUDA = parse_address("suda@opm.go.th")


@pytest.fixture
async def opm(desk: Desk) -> AgencyId:
    agency_id = await desk.registry.add_agency("OPM", ["opm.go.th"])
    await desk.registry.add_account(agency_id, SUDA)
    return agency_id


async def account(desk: Desk, account_id: AccountId) -> Account:
    found = replay(Account, (recorded.event for recorded in await desk.log.history(f"account.{account_id}")))
    assert found is not None
    return found


async def test_a_role_is_granted_and_revoked_and_the_log_says_why(desk: Desk, opm: AgencyId) -> None:
    suda = await desk.roles.grant(SUDA, "agency-admin", opm, "หัวหน้าสารบรรณ")
    event = (await desk.events())[-1].event
    assert isinstance(event, RoleGranted)
    assert (event.role, event.agency_id) == ("agency-admin", opm)
    key = await desk.keys.get(account_key_name(suda))
    assert unseal(ReasonSecret, event.sealed, key, label=reason_label(suda)).reason == "หัวหน้าสารบรรณ"
    await desk.roles.grant(SUDA, "operator", None, "why")
    assert (await account(desk, suda)).roles == {("agency-admin", opm), ("operator", None)}
    await desk.roles.revoke(SUDA, "agency-admin", opm, "moved")
    assert (await account(desk, suda)).roles == {("operator", None)}


async def test_what_makes_no_sense_is_refused(desk: Desk, opm: AgencyId) -> None:
    before = await desk.topics()
    with pytest.raises(Refused, match="an operator is one everywhere"):
        await desk.roles.grant(SUDA, "operator", opm, "why")
    with pytest.raises(Refused, match="the role helpdesk is of one agency"):
        await desk.roles.grant(SUDA, "helpdesk", None, "why")
    with pytest.raises(Refused, match=f"the account is not helpdesk of {opm}"):
        await desk.roles.revoke(SUDA, "helpdesk", opm, "why")
    with pytest.raises(Unknown, match="there is no agency"):
        await desk.roles.grant(SUDA, "auditor", AgencyId("ag_" + "0" * 26), "why")
    with pytest.raises(Unknown, match="is no account here"):
        await desk.roles.grant(parse_address("nobody@opm.go.th"), "auditor", opm, "why")
    assert await desk.topics() == before
    await desk.roles.grant(SUDA, "helpdesk", opm, "why")
    with pytest.raises(Refused, match=f"the account is helpdesk of {opm} already"):
        await desk.roles.grant(SUDA, "helpdesk", opm, "again")


async def test_roles_end_with_the_account_and_do_not_come_back(desk: Desk, opm: AgencyId) -> None:
    suda = await desk.roles.grant(SUDA, "operator", None, "why")
    await desk.registry.close_account(SUDA, "left")
    with pytest.raises(Refused, match="the account is closed"):
        await desk.roles.grant(SUDA, "auditor", opm, "why")
    await desk.registry.activate_account(SUDA, "is back")
    assert (await account(desk, suda)).roles == set()
