"""Passwords, invitations and authenticators through the API."""

from datetime import datetime

import pyotp
import pytest

from gateway.domain.credentials import OperatorTotpSet, PasswordSet, TotpSet
from gateway.domain.events import Actor
from gateway.mail.address import parse_address
from gateway.processes.signin.changing import Changing
from gateway.processes.signin.people import PeopleRows
from gateway.processes.signin.totp import STEP_S
from gateway.processes.web.rights import NEEDS_TOTP
from tests.processes.web.world import BY, PASSWORD, PEOPLE, World, quoted

CLERK = PEOPLE["clerk"][0]
NEW = "quite another one"


class Still:
    """A clock that stands."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at


async def sign_in(world: World, username: str, password: str = PASSWORD, code: str = "") -> int:
    asked = {"username": username, "password": password, "code": code}
    return (await world.ask("", "POST", "/token", asked)).status


async def test_one_sets_ones_own_password_with_the_one_before(world: World) -> None:
    wrong = await world.ask("clerk", "PUT", "/me/password", {"current": "wrong", "password": NEW})
    assert (wrong.status, wrong.detail) == (403, "the current password is wrong")
    reused = await world.ask("clerk", "PUT", "/me/password", {"current": PASSWORD, "password": PASSWORD})
    assert (reused.status, "last five" in reused.detail) == (409, True)
    done = await world.ask("clerk", "PUT", "/me/password", {"current": PASSWORD, "password": NEW})
    assert done.status == 200
    event = await world.last_event()
    assert isinstance(event, PasswordSet)
    assert (event.how, event.actor) == ("person", Actor("account", done.body["account_id"]))
    assert (await world.ask("clerk", "GET", "/me")).status == 401
    assert await sign_in(world, CLERK) == 401
    assert await sign_in(world, CLERK, NEW) == 201


@pytest.mark.parametrize(
    ("method", "action"), [("PUT", "password"), ("POST", "totp"), ("POST", "invitation")]
)
async def test_nobody_becomes_somebody_who_may_do_more(world: World, method: str, action: str) -> None:
    body = {"password": NEW} if action == "password" else None
    path = f"/accounts/{quoted(PEOPLE['operator'][0])}/{action}"
    assert (await world.ask("admin", method, path, body)).status == 403


async def test_an_invitation_sets_the_password_once(world: World) -> None:
    made = await world.ask("admin", "POST", f"/accounts/{quoted(CLERK)}/invitation")
    assert made.status == 201
    office = world.office
    changing = Changing(
        people=PeopleRows(office.pool),
        keys=world.keys,
        lane=office.lane,
        clock=office.clock,
        entropy=office.entropy,
        actor=Actor("operator", "root"),
        by=BY,
    )
    await changing.accept_invitation(parse_address(CLERK), made.body["code"], NEW)
    assert await sign_in(world, CLERK, NEW) == 201


@pytest.mark.parametrize(("who", "kind"), [("auditor", TotpSet), ("root", OperatorTotpSet)])
async def test_an_authenticator_holds_once_a_code_was_shown(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    who: str,
    kind: type[TotpSet] | type[OperatorTotpSet],
) -> None:
    """Also of an operator of `saraban init`, who has no account."""
    username = PEOPLE[who][0] if who in PEOPLE else who
    assert (await world.ask(who, "POST", "/me/totp/confirm", {"code": "000000"})).status == 404
    begun = await world.ask(who, "POST", "/me/totp")
    assert (begun.status, (await world.ask(who, "GET", "/me/totp")).body) == (201, {"is_set": False})
    assert await sign_in(world, username) == 201
    wrong = await world.ask(who, "POST", "/me/totp/confirm", {"code": "x"})
    assert (wrong.status, wrong.detail) == (409, "this is no code of the authenticator that holds now")
    # A code is used once: those of three steps are good at a time, and time stands still.
    now = world.office.clock.now()
    monkeypatch.setattr(world.office.sign_ins, "_clock", Still(now))
    totp = pyotp.TOTP(begun.body["secret"])
    codes = [totp.generate_otp(int(now.timestamp()) // STEP_S + step) for step in (-1, 0, 1)]
    confirmed = await world.ask(who, "POST", "/me/totp/confirm", {"code": codes[0]})
    assert (confirmed.status, type(await world.last_event())) == (200, kind)
    again = await world.ask(who, "POST", "/me/totp")
    assert (again.status, again.detail) == (409, "there is an authenticator already: remove it first")
    assert await sign_in(world, username) == 401
    assert await sign_in(world, username, code=codes[1]) == 201
    removed = await world.ask(who, "POST", "/me/totp/remove", {"code": codes[2]})
    assert (removed.status, removed.body) == (200, {"is_set": False})
    assert await sign_in(world, username) == 201


async def test_codes_are_guessed_no_faster_than_passwords(world: World) -> None:
    await world.ask("clerk", "POST", "/me/totp")
    found = [(await world.ask("clerk", "POST", "/me/totp/confirm", {"code": "x"})).status for _ in range(20)]
    assert found[0] == 409
    assert found[-1] == 429


@pytest.mark.parametrize("who", ["operator", "root", "admin", "auditor", "helpdesk"])
async def test_who_has_a_role_needs_an_authenticator_where_that_is_asked_for(world: World, who: str) -> None:
    await world.token(who)
    object.__setattr__(world.office, "needs_totp", True)
    refused = await world.ask(who, "GET", "/agencies")
    assert (refused.status, refused.detail) == (403, NEEDS_TOTP)
    begun = await world.ask(who, "POST", "/me/totp")
    code = pyotp.TOTP(begun.body["secret"]).now()
    assert (await world.ask(who, "POST", "/me/totp/confirm", {"code": code})).status == 200
    assert (await world.ask(who, "GET", "/agencies")).status == 200
    assert (await world.ask("member", "GET", "/me")).status == 200
