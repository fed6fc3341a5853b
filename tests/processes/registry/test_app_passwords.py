"""App passwords made and revoked: what the log says, and what is kept and forgotten."""

from datetime import timedelta

import pytest

from gateway.domain.account import account_key_name
from gateway.domain.app_passwords import (
    APP_PASSWORDS_MAX,
    AppPasswordMade,
    AppPasswordSecret,
    Use,
    app_password_label,
)
from gateway.domain.registration import Refused, Unknown
from gateway.domain.sealing import unseal
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId
from gateway.ports import KeyForgotten
from gateway.processes.registry.app_passwords import AppPasswords
from gateway.processes.signin.app_passwords import app_password_name, has_shape
from tests.processes.registry.desk import AT, Desk

SUDA = parse_address("suda@opm.go.th")


@pytest.fixture
def apps(desk: Desk) -> AppPasswords:
    return desk._for(AppPasswords)


@pytest.fixture
async def suda(desk: Desk) -> AccountId:
    agency_id = await desk.registry.add_agency("OPM", ["opm.go.th"])
    return await desk.registry.add_account(agency_id, SUDA)


async def test_the_log_knows_what_it_is_for_and_never_the_password(
    desk: Desk, apps: AppPasswords, suda: AccountId
) -> None:
    use = Use("โทรศัพท์", AT + timedelta(days=1), ("smtp",), ("192.0.2.77/24", "2001:db8::/32"))
    app_id, password = await apps.make(SUDA, use)
    assert has_shape(password)
    recorded = (await desk.events())[-1]
    event = recorded.event
    assert isinstance(event, AppPasswordMade)
    assert (event.originator_id, event.app_id, event.protocols) == (suda, app_id, ("smtp",))
    assert event.networks == ("192.0.2.0/24", "2001:db8::/32")
    key = await desk.keys.get(account_key_name(suda))
    assert unseal(AppPasswordSecret, event.sealed, key, label=app_password_label(suda)).label == "โทรศัพท์"
    assert password.encode() not in b"".join(each.state for each in await desk.events())
    assert password.encode() not in await desk.keys.get(app_password_name(app_id))


async def test_a_revoked_one_is_forgotten_and_cannot_be_revoked_again(
    desk: Desk, apps: AppPasswords, suda: AccountId
) -> None:
    app_id, _ = await apps.make(SUDA, Use("printer"))
    await apps.revoke(SUDA, app_id)
    assert (await desk.topics())[-2:] == ["app-password.made/1", "app-password.revoked/1"]
    with pytest.raises(KeyForgotten):
        await desk.keys.get(app_password_name(app_id))
    with pytest.raises(Unknown, match="no app password"):
        await apps.revoke(SUDA, app_id)


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (Use(" "), "a label has"),
        (Use("x" * 101), "a label has"),
        (Use("a\nb"), "a label has"),
        (Use("late", AT), "ends in the future"),
        (Use("nowhere", networks=("the office",)), "a network is such as"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    desk: Desk, apps: AppPasswords, suda: AccountId, use: Use, said: str
) -> None:
    before = await desk.topics()
    with pytest.raises(Refused, match=said):
        await apps.make(SUDA, use)
    assert await desk.topics() == before


async def test_there_is_a_limit_and_a_revoked_one_makes_room(apps: AppPasswords, suda: AccountId) -> None:
    made = [await apps.make(SUDA, Use(f"program {number}")) for number in range(APP_PASSWORDS_MAX)]
    with pytest.raises(Refused, match="at most 20"):
        await apps.make(SUDA, Use("one more"))
    await apps.revoke(SUDA, made[0][0])
    await apps.make(SUDA, Use("one more"))


async def test_a_closed_account_gets_none(desk: Desk, apps: AppPasswords, suda: AccountId) -> None:
    await desk.registry.close_account(SUDA, "left")
    with pytest.raises(Refused, match="closed"):
        await apps.make(SUDA, Use("phone"))
