"""Tokens: who gets one, how long it holds, and what the log and the key store know of it."""

import hashlib
import os
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.domain.credentials import operator_verifier_name, verifier_name
from gateway.domain.events import Actor
from gateway.domain.signin import SignInAccepted, SignInRefused
from gateway.mail.ids import AccountId
from gateway.processes.signin.passwords import make_verifier
from gateway.processes.signin.totp import new_secret, secret_name
from gateway.processes.web.tokens import HOLDS_FOR, Holder, Tokens
from tests.processes.registry.desk import MovedClock
from tests.processes.web.world import PASSWORD, PEOPLE, World, quoted

HOLDER = Holder(account_id=AccountId("acc_1"))


async def test_the_key_store_knows_a_token_by_its_digest_alone_and_for_twelve_hours() -> None:
    keys, clock = MemoryKeyStore(bytes), MovedClock()
    tokens = Tokens(keys, clock, lambda octets: b"\xfb" * octets)
    token = await tokens.issue(HOLDER)
    assert len(token.text) == 43
    kept = await keys.get(f"token.{hashlib.sha256(token.text.encode()).hexdigest()}")
    assert token.text.encode() not in kept
    assert token.expires_at == clock.now() + timedelta(hours=12)
    clock.passed = HOLDS_FOR - timedelta(microseconds=1)
    assert await tokens.holder(token.text) == HOLDER
    clock.passed = HOLDS_FOR
    assert await tokens.holder(token.text) is None
    clock.passed = timedelta()
    assert await tokens.holder(token.text) is None, "one that has ended is forgotten"


@pytest.mark.parametrize("text", ["", "a", "a" * 43, "a" * 42 + "\n", "ก" * 43])
async def test_what_is_no_token_is_nobodys(text: str) -> None:
    assert await Tokens(MemoryKeyStore(bytes), MovedClock(), bytes).holder(text) is None


async def test_a_sign_in_is_on_record_before_its_token(world: World) -> None:
    assert (await world.ask("member", "GET", "/me")).body["username"] == "member@opm.go.th"
    event = await world.last_event()
    assert isinstance(event, SignInAccepted)
    assert (event.protocol, event.actor) == ("web", Actor("account", event.account_id or ""))


async def test_who_has_an_authenticator_shows_its_code(world: World) -> None:
    account_id = (await world.ask("member", "GET", "/me")).body["account_id"]
    secret = new_secret(os.urandom)
    await world.keys.put(secret_name(account_id), secret.encode())
    asked = {"username": "member@opm.go.th", "password": PASSWORD}
    refused = await world.ask("", "POST", "/token", asked)
    assert refused.status == 401
    assert "authenticator" in refused.detail
    assert (await world.last_event()).reason == "code"
    asked["code"] = pyotp.TOTP(secret).now()
    assert (await world.ask("", "POST", "/token", asked)).status == 201


async def test_the_operator_of_init_signs_in_by_name(world: World) -> None:
    me = (await world.ask("root", "GET", "/me")).body
    assert (me["username"], me["account_id"], me["roles"]) == (
        "root",
        None,
        [{"role": "operator", "agency_id": None}],
    )
    event = await world.last_event()
    assert isinstance(event, SignInAccepted)
    assert event.actor == Actor("operator", "root")
    assert len((await world.ask("root", "GET", "/agencies")).body["agencies"]) == 2


@pytest.mark.parametrize(
    ("username", "password", "reason"),
    [
        ("member@opm.go.th", "wrong", "password"),
        ("nobody@opm.go.th", PASSWORD, "unknown"),
        ("root", "wrong", "password"),
        ("admin", PASSWORD, "unknown"),
        ("not an address@", PASSWORD, "unknown"),
    ],
)
async def test_a_refusal_says_the_same_whatever_was_wrong(
    world: World, username: str, password: str, reason: str
) -> None:
    refused = await world.ask("", "POST", "/token", {"username": username, "password": password})
    assert (refused.status, refused.detail) == (401, "user name or password is wrong")
    event = await world.last_event()
    assert isinstance(event, SignInRefused)
    assert (event.protocol, event.reason, event.actor) == ("web", reason, Actor("remote"))


async def test_guessing_is_throttled(world: World) -> None:
    asked = {"username": "member@opm.go.th", "password": "wrong"}
    answers = [await world.ask("", "POST", "/token", asked) for _ in range(6)]
    assert [answer.status for answer in answers] == [401] * 5 + [429]
    assert "too many failed sign-ins" in answers[-1].detail
    assert answers[-1].headers["retry-after"]
    asked["password"] = PASSWORD
    assert (await world.ask("", "POST", "/token", asked)).status == 429


async def test_a_token_that_was_ended_holds_no_more(world: World) -> None:
    assert (await world.ask("member", "DELETE", "/token")).status == 204
    again = await world.ask("member", "GET", "/me")
    assert (again.status, again.headers["www-authenticate"]) == (401, 'Bearer realm="saraban"')
    assert (await world.ask("member", "DELETE", "/token")).status == 401


@pytest.mark.parametrize("who", ["clerk", "root"])
async def test_another_password_ends_the_tokens_given_before(world: World, who: str) -> None:
    """OWASP ASVS 5.0 §7.4.3. Everybody else's stay, and who knows the new password gets another one."""
    me = (await world.ask(who, "GET", "/me")).body
    name = verifier_name(me["account_id"]) if me["account_id"] else operator_verifier_name(who)
    await world.ask("member", "GET", "/me")
    for password in ("another battery", PASSWORD):
        former = await world.token(who)
        await world.keys.put(name, make_verifier(password))
        assert (await world.ask(who, "GET", "/me")).status == 401
        asked = {"username": me["username"], "password": password}
        world.tokens[who] = (await world.ask("", "POST", "/token", asked)).body["token"]
        assert world.tokens[who] != former
        assert (await world.ask(who, "GET", "/me")).status == 200
    assert (await world.ask("member", "GET", "/me")).status == 200


async def test_a_password_set_while_somebody_signs_in_ends_the_token_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id = (await world.ask("malee", "GET", "/me")).body["account_id"]
    check = world.office.sign_ins.check

    async def check_and_change(*claim: Any) -> Any:
        found = await check(*claim)
        await world.keys.put(verifier_name(account_id), make_verifier("set in between"))
        return found

    monkeypatch.setattr(world.office.sign_ins, "check", check_and_change)
    asked = {"username": PEOPLE["malee"][0], "password": PASSWORD}
    world.tokens["malee"] = (await world.ask("", "POST", "/token", asked)).body["token"]
    assert (await world.ask("malee", "GET", "/me")).status == 401


async def test_without_a_token_nothing_is_done(world: World) -> None:
    for header in ({}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer " + "a" * 43}):
        assert (await world.ask("", "GET", "/me", **header)).status == 401


async def test_who_is_shut_out_or_loses_a_role_loses_it_at_once(world: World) -> None:
    """A token says who somebody is; what that person may do is asked each time."""
    opm = world.agencies["opm.go.th"]
    for who in ("admin", "helpdesk", "member"):
        await world.token(who)
    change = {"address": PEOPLE["admin"][0], "role": "agency-admin", "reason": "moved"}
    assert (await world.ask("root", "POST", "/roles/revoke", change)).status == 200
    assert (await world.ask("admin", "GET", "/agencies")).status == 403
    why = {"reason": "password is known to others"}
    assert (
        await world.ask("root", "POST", f"/accounts/{quoted(PEOPLE['helpdesk'][0])}/suspend", why)
    ).status == 200
    refused = await world.ask("helpdesk", "GET", "/me")
    assert (refused.status, refused.detail) == (403, "the account is suspended: ask your administrator")
    asked = {"username": PEOPLE["helpdesk"][0], "password": PASSWORD}
    assert (await world.ask("", "POST", "/token", asked)).status == 403
    assert (await world.ask("root", "POST", f"/agencies/{opm}/suspend", why)).status == 200
    assert (await world.ask("member", "GET", "/me")).status == 403
    assert (
        await world.ask("root", "POST", f"/accounts/{quoted(PEOPLE['member'][0])}/close", why)
    ).status == 200
    assert (await world.ask("member", "GET", "/me")).status == 401


async def test_whose_agencys_trial_has_ended_is_refused_with_a_token_and_without(world: World) -> None:
    opm = world.agencies["opm.go.th"]
    await world.token("member")
    await world.end_trial(opm)
    told = "the trial of your agency has ended: ask its administrator"
    refused = await world.ask("member", "GET", "/me")
    assert (refused.status, refused.detail) == (403, told)
    refused = await world.ask("", "POST", "/token", {"username": PEOPLE["clerk"][0], "password": PASSWORD})
    assert (refused.status, refused.detail) == (403, told)
    longer = {"days": 60, "reason": "budget"}
    assert (await world.ask("root", "POST", f"/agencies/{opm}/trial", longer)).status == 200
    assert (await world.ask("member", "GET", "/me")).status == 200
