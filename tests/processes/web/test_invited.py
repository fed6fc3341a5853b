"""Who was invited sets the first password, through the API and on the account page, and signs in then."""

import asyncio
import os

import pyotp
import pytest

from gateway.domain.credentials import PasswordSet
from gateway.domain.events import Actor
from gateway.domain.signin import SignInRefused
from gateway.processes.signin.changing import INVITATIONS_LAST
from gateway.processes.signin.throttle import PATIENCE
from gateway.processes.signin.totp import new_secret, secret_name
from tests.processes.web.browser import Browser, Page
from tests.processes.web.test_account_page import said, sign_in
from tests.processes.web.world import PASSWORD, PEOPLE, Answer, World, quoted

CLERK, NEW = PEOPLE["clerk"][0], "quite another one"
PAGE = "/account/invitation"


async def invited(world: World) -> str:
    """The code that an administrator gives to the clerk."""
    made = await world.ask("admin", "POST", f"/accounts/{quoted(CLERK)}/invitation")
    return str(made.body["code"])


async def accept(world: World, code: str, password: str = NEW, address: str = CLERK) -> Answer:
    asked = {"address": address, "code": code, "password": password}
    return await world.ask("", "POST", "/invitation", asked)


async def lets_in(world: World, password: str) -> bool:
    given = await world.ask("", "POST", "/token", {"username": CLERK, "password": password})
    return given.status == 201


@pytest.fixture
def browser(world: World) -> Browser:
    return Browser(world.http)


async def fill_in(browser: Browser, code: str, password: str = NEW, repeated: str = "") -> Page:
    page = await browser.follow(await browser.get("/account"), "I have an invitation")
    typed = {"code": code, "password": password, "repeated": repeated or password}
    return await browser.fill_in(page, PAGE, address=CLERK, **typed)


# --- the API ----------------------------------------------------------------------------------------------


async def test_a_code_sets_the_password_once(world: World) -> None:
    code = await invited(world)
    done = await accept(world, code)
    assert (done.status, done.body["address"]) == (200, CLERK)
    event = await world.last_event()
    assert isinstance(event, PasswordSet)
    assert (event.how, event.actor) == ("invitation", Actor("account", done.body["account_id"]))
    assert (await lets_in(world, NEW), await lets_in(world, PASSWORD)) == (True, False)
    again = await accept(world, code, "and yet another one")
    assert (again.status, "or it was used" in again.detail) == (403, True)
    assert await lets_in(world, NEW)


async def test_of_many_at_once_one_sets_it(world: World) -> None:
    code = await invited(world)
    answers = await asyncio.gather(*(accept(world, code, f"password of {who}") for who in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 403, 403, 403]


async def test_a_wrong_code_is_on_record_and_tells_nobody_who_is_here(world: World) -> None:
    await invited(world)
    wrong = await accept(world, "x")
    assert isinstance(event := await world.last_event(), SignInRefused)
    assert (event.reason, event.protocol, event.mechanism) == ("invitation", "web", "invitation")
    nobody = await accept(world, "x", address="nobody@opm.go.th")
    assert (wrong.status, nobody.status) == (403, 403)
    assert wrong.detail.removeprefix(CLERK) == nobody.detail.removeprefix("nobody@opm.go.th")


async def test_codes_are_guessed_no_faster_than_passwords(world: World) -> None:
    code = await invited(world)
    for _ in range(PATIENCE["person and network"]):
        assert (await accept(world, "x")).status == 403
    refused = await accept(world, code)
    assert (refused.status, "retry-after" in refused.headers) == (429, True)


async def test_a_password_that_is_refused_leaves_the_code_as_it_is(world: World) -> None:
    code = await invited(world)
    for password, why in {"short": "at least 12", PASSWORD: "last five"}.items():
        refused = await accept(world, code, password)
        assert (refused.status, why in refused.detail) == (409, True), refused
    assert (await accept(world, code)).status == 200


async def test_a_code_runs_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    code, now = await invited(world), world.office.clock.now()
    monkeypatch.setattr(type(world.office.clock), "now", lambda _: now + INVITATIONS_LAST)
    assert (await accept(world, code)).status == 403


# --- the page ---------------------------------------------------------------------------------------------


async def test_somebody_sets_the_first_password_and_signs_in(world: World, browser: Browser) -> None:
    page = await fill_in(browser, await invited(world))
    assert (page.path, said(page, "password-set")) == ("/account/sign-in", True)
    assert (await browser.get("/account")).path == "/account/sign-in", "nobody is signed in by a code"
    assert (await sign_in(browser, CLERK, NEW)).path == "/account"


async def test_an_invitation_is_no_code_of_an_authenticator(world: World, browser: Browser) -> None:
    account_id = (await world.ask("clerk", "GET", "/me")).body["account_id"]
    secret = new_secret(os.urandom)
    await fill_in(browser, await invited(world))
    await world.keys.put(secret_name(account_id), secret.encode())
    assert said(await sign_in(browser, CLERK, NEW), "wrong-code")
    assert (await sign_in(browser, CLERK, NEW, pyotp.TOTP(secret).now())).path == "/account"


@pytest.mark.parametrize(
    ("code", "password", "repeated", "status", "text"),
    [
        ("x", NEW, "", 403, "not-invited"),
        ("", NEW, "another typo", 400, "not-repeated"),
        ("", "short", "", 409, "refused"),
    ],
)
async def test_what_is_refused_is_said_and_the_code_typed_is_not_lost(
    world: World, browser: Browser, code: str, password: str, repeated: str, status: int, text: str
) -> None:
    code = code or await invited(world)
    page = await fill_in(browser, code, password, repeated)
    assert (page.status, said(page, text)) == (status, True)
    fields = page.form(PAGE).fields
    assert (fields["address"], fields["code"]) == ([CLERK], [code])
    assert fields["password"] == fields["repeated"] == [""]
    assert "at least 12" in page.text or password != "short"


async def test_guessing_on_the_page_is_throttled(browser: Browser) -> None:
    pages = [await fill_in(browser, "x") for _ in range(6)]
    assert (pages[-1].status, said(pages[-1], "throttled")) == (429, True)
    assert pages[-1].headers["retry-after"]


async def test_what_is_no_address_is_asked_for_again(browser: Browser) -> None:
    page = await browser.fill_in(await browser.get(PAGE), PAGE, address="<x>", code="x")
    assert (page.status, said(page, "no-address")) == (400, True)
    assert page.form(PAGE).fields["address"] == ["<x>"]
