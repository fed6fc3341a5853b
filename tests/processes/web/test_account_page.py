"""The account page with a browser: signing in, app passwords, and everything that is refused."""

import asyncio
import hashlib
import os
import re
from typing import Any

import pyotp
import pytest

from gateway.domain.app_passwords import APP_PASSWORDS_MAX
from gateway.domain.credentials import verifier_name
from gateway.domain.events import Actor
from gateway.domain.signin import SignInAccepted, SignInRefused
from gateway.processes.signin.passwords import make_verifier
from gateway.processes.signin.signin import ClaimRefused, Origin
from gateway.processes.signin.totp import new_secret, secret_name
from gateway.processes.web import peers
from gateway.processes.web.pages import site
from gateway.processes.web.pages.forms import FORM_OCTETS_MAX
from gateway.processes.web.pages.sessions import COOKIE, HOLDS_FOR
from gateway.processes.web.pages.sign_ins import PAGE
from gateway.processes.web.pages.texts import TEXTS
from gateway.processes.web.pages.visit import BEFORE_COOKIE
from gateway.protocols.sasl.exchange import PasswordClaim
from projections.checkpoint import reached
from projections.directory.query import Person
from projections.trace.project import TraceModel
from tests.processes.web.browser import Browser, Page
from tests.processes.web.test_under_way import Gate
from tests.processes.web.world import PASSWORD, PEOPLE, World, quoted

MEMBER, CLERK = PEOPLE["member"][0], PEOPLE["clerk"][0]
MADE = "/account/app-passwords"


async def sign_in(browser: Browser, address: str = MEMBER, password: str = PASSWORD, code: str = "") -> Page:
    page = await browser.fill_in(await browser.get("/account"), "/account/sign-in", address=address)
    return await browser.fill_in(page, "/account/password", password=password, code=code)


async def tried(world: World, password: str, address: str = MEMBER) -> Person | ClaimRefused:
    """What the edge says to a program."""
    return await world.office.sign_ins.check(
        PasswordClaim(address, password), Origin("smtp", "PLAIN", "192.0.2.7")
    )


def said(page: Page, text: str, **values: object) -> bool:
    return TEXTS[text].en.format(**values) in page.text


@pytest.fixture
def browser(world: World) -> Browser:
    return Browser(world.http)


# --- signing in -------------------------------------------------------------------------------------------


async def test_somebody_signs_in_sees_the_account_and_signs_out(world: World, browser: Browser) -> None:
    page = await sign_in(browser)
    assert (page.status, page.path) == (200, "/account")
    for shown in (MEMBER, "Member@Opm.Go.Th", "10.0 GB"):
        assert shown in page.text
    event = await world.last_event()
    assert isinstance(event, SignInAccepted)
    assert (event.protocol, event.mechanism) == ("web", "password")
    page = await browser.fill_in(page, "/account/sign-out")
    assert said(page, "signed-out")
    assert (await browser.get("/account")).path == "/account/sign-in"


async def test_the_key_store_knows_a_session_by_its_digest_alone(world: World, browser: Browser) -> None:
    await sign_in(browser)
    (token,) = [value for (_, name), value in browser.cookies.items() if name == COOKIE]
    assert len(token) == 43
    kept = await world.keys.get(f"session.{hashlib.sha256(token.encode()).hexdigest()}")
    assert token.encode() not in kept
    assert not [name for (_, name) in browser.cookies if name == BEFORE_COOKIE], "it begins anew"


async def test_another_password_ends_the_sessions_there_are(world: World, browser: Browser) -> None:
    await sign_in(browser)
    account_id = (await world.ask("member", "GET", "/me")).body["account_id"]
    await world.keys.put(verifier_name(account_id), make_verifier("another battery"))
    page = await browser.get("/account")
    assert page.path == "/account/sign-in"
    assert said(page, "ended")
    assert (await sign_in(browser, password="another battery")).path == "/account"


async def test_a_session_ends_by_itself_and_a_copied_cookie_with_it(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await sign_in(browser)
    thief = Browser(world.http, cookies=dict(browser.cookies))
    await browser.fill_in(page, "/account/sign-out")
    assert said(await thief.get("/account"), "ended")
    await sign_in(browser)
    now = world.office.clock.now()
    monkeypatch.setattr(type(world.office.clock), "now", lambda _: now + HOLDS_FOR)
    assert said(await browser.get("/account"), "ended")


@pytest.mark.parametrize(
    ("address", "password", "reason"),
    [(MEMBER, "wrong", "password"), ("nobody@opm.go.th", PASSWORD, "unknown"), (MEMBER, "", "password")],
)
async def test_a_refusal_says_the_same_whatever_was_wrong(
    world: World, browser: Browser, address: str, password: str, reason: str
) -> None:
    page = await sign_in(browser, address, password)
    assert page.status == 403
    assert said(page, "wrong")
    assert page.form("/account/password").fields["address"] == [address], "nothing typed is lost"
    if password:
        event = await world.last_event()
        assert isinstance(event, SignInRefused)
        assert (event.reason, event.protocol) == (reason, "web")


async def test_who_has_an_authenticator_shows_its_code(world: World, browser: Browser) -> None:
    found = await tried(world, PASSWORD)
    assert isinstance(found, Person)
    secret = new_secret(os.urandom)
    await world.keys.put(secret_name(found.account_id), secret.encode())
    assert said(await sign_in(browser), "wrong-code")
    assert (await sign_in(browser, code=pyotp.TOTP(secret).now())).path == "/account"


async def test_guessing_is_throttled(browser: Browser) -> None:
    pages = [await sign_in(browser, password="wrong") for _ in range(6)]
    assert pages[-1].status == 429
    assert pages[-1].headers["retry-after"]
    assert said(pages[-1], "throttled")


async def test_what_is_no_address_is_asked_for_again(browser: Browser) -> None:
    page = await browser.fill_in(await browser.get("/account"), "/account/sign-in", address="<somchai>")
    assert page.status == 400
    assert said(page, "no-address")
    assert page.form("/account/sign-in").fields["address"] == ["<somchai>"]
    assert "<somchai>" not in page.html, "it is escaped"


@pytest.mark.parametrize(("what", "text"), [("suspend", "suspended"), ("close", "ended")])
async def test_who_is_shut_out_while_signed_in_is_signed_out(
    world: World, browser: Browser, what: str, text: str
) -> None:
    await sign_in(browser)
    done = await world.ask("admin", "POST", f"/accounts/{quoted(MEMBER)}/{what}", {"reason": "moved"})
    assert done.status == 200
    assert said(await browser.get("/account"), text)
    page = await sign_in(browser)
    assert (page.status, said(page, "closed" if what == "close" else "suspended")) == (403, True)
    assert COOKIE not in {name for _, name in browser.cookies}


# --- app passwords ----------------------------------------------------------------------------------------


async def make(browser: Browser, label: str = "โทรศัพท์ <b>", **more: Any) -> Page:
    return await browser.fill_in(await browser.get("/account"), MADE, label=label, **more)


async def test_an_app_password_is_made_shown_once_opens_and_is_revoked(
    world: World, browser: Browser
) -> None:
    await sign_in(browser)
    page = await make(browser, days="30", protocols=["smtp"], networks="192.0.2.9/24, 2001:db8::/32")
    password = page.by_id["app-password"]
    assert "โทรศัพท์ <b>" in page.text, "as it was typed"
    made = await world.last_event()
    assert made.TOPIC == "app-password.made/1"
    assert made.actor == Actor("account", (await world.ask("member", "GET", "/me")).body["account_id"])
    assert (made.protocols, made.networks) == (("smtp",), ("192.0.2.0/24", "2001:db8::/32"))
    assert made.expires_at is not None
    assert isinstance(await tried(world, password), Person)
    page = await browser.get("/account")
    assert password not in page.html
    for shown in ("โทรศัพท์ <b>", "SMTP", "192.0.2.0/24, 2001:db8::/32"):
        assert shown in page.text
    page = await browser.follow(page, "Revoke: โทรศัพท์ <b>")
    assert isinstance(await tried(world, password), Person), "it was only asked"
    page = await browser.fill_in(page, page.path)
    assert said(page, "revoked")
    assert said(page, "none")
    assert await tried(world, password) == ClaimRefused("password")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"label": ""}, "bad-label"),
        ({"label": "a\nb"}, "bad-label"),
        ({"label": "x" * 101}, "bad-label"),
        ({"days": "0"}, "bad-days"),
        ({"days": "3651"}, "bad-days"),
        ({"days": "๓"}, "bad-days"),
        ({"networks": "192.0.2.0/33"}, "bad-networks"),
    ],
)
async def test_what_cannot_be_is_said_and_nothing_typed_is_lost(
    world: World, browser: Browser, fields: dict[str, str], text: str
) -> None:
    await sign_in(browser)
    before = await world.log.last()
    typed = {"label": "ตู้เย็น", "days": "7", "networks": "192.0.2.0/24", "protocols": ["imap"]} | fields
    page = await browser.fill_in(await browser.get("/account"), MADE, **typed)  # type: ignore[arg-type]
    assert page.status == 400
    assert said(page, text, most=100)
    assert {n: page.form(MADE).fields[n][0] for n in ("label", "days", "networks")} == {
        name: typed[name].strip()
        for name in ("label", "days", "networks")  # type: ignore[attr-defined]
    }
    assert page.form(MADE).fields["protocols"] == ["imap"]
    assert await world.log.last() == before


async def test_one_app_password_too_many_is_refused(browser: Browser) -> None:
    await sign_in(browser)
    for number in range(APP_PASSWORDS_MAX):
        assert (await make(browser, f"program {number}")).status == 200
    page = await make(browser, "one more")
    assert (page.status, said(page, "too-many", most=APP_PASSWORDS_MAX)) == (400, True)


async def test_nobody_revokes_anothers(world: World, browser: Browser) -> None:
    await sign_in(browser)
    password = (await make(browser, "mine")).by_id["app-password"]
    other = Browser(world.http)
    page = await sign_in(other, PEOPLE["admin"][0])
    (link,) = re.findall(r"/account/app-passwords/[^/]+/revoke", (await browser.get("/account")).html)
    assert (await other.get(link)).status == 404
    csrf = page.form("/account/sign-out").fields["csrf"]
    assert (await other.send("POST", link, {"csrf": csrf})).status == 404
    assert isinstance(await tried(world, password), Person)


# --- own sign-ins -----------------------------------------------------------------------------------------


async def told(world: World) -> None:
    """The rows know of every sign-in by now."""
    await reached(world.office.pool, TraceModel, await world.log.last(), 30)


async def test_somebody_sees_their_own_sign_ins_alone(world: World, browser: Browser) -> None:
    page = await sign_in(browser)
    await tried(world, "wrong")
    await tried(world, PASSWORD, PEOPLE["admin"][0])
    app_password = (await make(browser, networks="198.51.100.0/24")).by_id["app-password"]
    await tried(world, app_password)
    await told(world)
    page = await browser.follow(page, "My sign-ins")
    assert re.findall(r"<td>(?:<time[^>]*>)?([^<]*)", page.html)[1:4] == [
        "192.0.2.7",
        "SMTP PLAIN (โทรศัพท์ &lt;b&gt;)",
        "refused: app password not for this network",
    ]
    shown = [re.sub(r"<[^>]*>", "", row) for row in re.findall(r"<tr.*?</tr>", page.html, re.DOTALL)[1:]]
    assert len(shown) == 3, "nothing of the administrator's"
    assert "refused: wrong password" in shown[1]
    for part in ("127.0.0.1", "WEB password", "let in"):
        assert part in shown[2]
    assert "Newest" not in page.links


async def test_older_sign_ins_are_a_click_away(world: World, browser: Browser) -> None:
    page = await sign_in(browser)
    for _ in range(PAGE + 4):
        await tried(world, PASSWORD)
    await told(world)
    page = await browser.follow(page, "My sign-ins")
    assert page.html.count("SMTP PLAIN") == PAGE
    page = await browser.follow(page, "Older")
    assert (page.html.count("SMTP PLAIN"), page.html.count("WEB password")) == (4, 1)
    assert "Older" not in page.links
    assert (await browser.follow(page, "Newest")).html.count("SMTP PLAIN") == PAGE


@pytest.mark.parametrize("before", ["x", "2026-02-31.5", "2026-11-28.", "9999-12-31.999999999999999999"])
async def test_a_page_that_is_none_is_the_newest(browser: Browser, before: str) -> None:
    await sign_in(browser)
    assert (await browser.get(f"/account/sign-ins?before={before}")).status == 200


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("csrf", [[], [""], ["a" * 43], ["ก"]])
async def test_a_form_that_was_not_made_for_this_browser_changes_nothing(
    world: World, browser: Browser, csrf: list[str]
) -> None:
    asked = await browser.get("/account")
    forged = {"csrf": csrf, "address": [MEMBER], "password": [PASSWORD]}
    for path in ("/account/sign-in", "/account/password"):
        page = await browser.send("POST", path, forged)
        assert (page.status, said(page, "forged")) == (403, True)
    assert asked.path == "/account/sign-in"
    page = await sign_in(browser)
    before = await world.log.last()
    for path in (MADE, "/account/sign-out", "/account/app-passwords/app_1/revoke"):
        page = await browser.send("POST", path, {"csrf": csrf, "label": ["theirs"]})
        assert (page.status, said(page, "forged")) == (403, True)
    assert await world.log.last() == before
    assert (await browser.get("/account")).path == "/account", "still signed in"


async def test_anothers_form_is_not_ones_own(world: World, browser: Browser) -> None:
    theirs = await sign_in(Browser(world.http), PEOPLE["admin"][0])
    await sign_in(browser)
    fields = theirs.form(MADE).fields | {"label": ["theirs"]}
    assert (await browser.send("POST", MADE, fields)).status == 403


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/account/nothing", 404, "not-here"),
        ("GET", "/account/../etc/passwd", 404, "not-here"),
        ("DELETE", "/account", 405, "not-done"),
        ("POST", "/account", 405, "not-done"),
    ],
)
async def test_what_is_not_there_is_said_on_a_page(
    browser: Browser, method: str, path: str, status: int, text: str
) -> None:
    page = await browser.ask(method, f"{browser.base}{path}")
    assert (page.status, said(page, text)) == (status, True)


async def test_in_the_clear_only_this_machine_sees_it(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "is_loopback", lambda request: False)
    for path in ("/account", "/account/sign-in"):
        page = await browser.get(path)
        assert (page.status, said(page, "use-https"), page.forms) == (403, True, [])


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"a=" + b"b" * FORM_OCTETS_MAX, "application/x-www-form-urlencoded", 413),
        (b"a=%ff", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 60, "application/x-www-form-urlencoded", 400),
        ("a=ก".encode(), "application/x-www-form-urlencoded", 400),
    ],
)
async def test_what_is_no_form_is_refused(browser: Browser, body: bytes, kind: str, status: int) -> None:
    page = await browser.ask("POST", "/account/sign-in", body, kind)
    assert (page.status, page.headers.get_content_type()) == (status, "text/html")


@pytest.mark.parametrize("cookie", ["", "a" * 43, "a" * 42 + "\u00e9", "..", "a" * 4000])
async def test_a_cookie_that_is_no_session_opens_nothing(world: World, cookie: str) -> None:
    host = world.http.removeprefix("http://")
    browser = Browser(world.http, cookies={(host, COOKIE): cookie})
    assert (await browser.get("/account")).path == "/account/sign-in"


async def test_what_takes_too_long_is_made_whole_and_may_still_happen(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await sign_in(browser)
    gate = Gate(world)
    monkeypatch.setattr(site, "TIMEOUT_S", 0.5)
    late = await browser.fill_in(page, MADE, label="late")
    assert (late.status, said(late, "may-happen")) == (504, True)
    gate.opened.set()
    async with asyncio.timeout(30):
        await gate.done.wait()
    assert (await world.last_event()).TOPIC == "app-password.made/1"


# --- every page -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["th", "en"])
async def test_every_page_is_in_the_language_wanted_can_be_read_aloud_and_runs_nothing(
    world: World, language: str
) -> None:
    browser = Browser(world.http, language=language)
    pages = [await browser.get("/account"), await browser.get("/account/none")]
    pages.append(await browser.fill_in(pages[0], "/account/sign-in", address=MEMBER))
    pages.append(await browser.fill_in(pages[-1], "/account/password", password=PASSWORD))
    pages.append(await browser.fill_in(pages[-1], MADE, label="x"))
    pages.append(await browser.get("/account"))
    (link,) = [href for href in pages[-1].links.values() if href.endswith("/revoke")]
    pages.append(await browser.get(link))
    pages.append(await browser.get("/account/sign-ins"))
    pages.append(
        await browser.fill_in(await browser.get("/account/forwarding"), "/account/forwarding", to=CLERK)
    )
    pages.append(await browser.get("/account/invitation"))
    for page in pages:
        assert (page.language, page.headers["content-language"]) == (language, language)
        assert TEXTS["title"]._asdict()[language] in page.text
        assert page.headings.count("h1") == 1, page.headings
        for each in page.inputs:
            assert each.get("id") in page.labelled or each["type"] == "checkbox", each
        assert "viewport" in page.html
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in policy + page.html
        assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
        assert not re.findall(r"(?:src|href|action)=\"(?!/)", page.html.replace('href="#content"', ""))


async def test_the_other_language_is_one_click_away_and_stays(browser: Browser) -> None:
    page = await browser.follow(await browser.get("/account"), "ไทย")
    assert (page.path, page.language) == ("/account/sign-in", "th")
    assert (await sign_in(browser)).language == "th"


async def test_the_style_is_ours(browser: Browser) -> None:
    page = await browser.get("/account/style.css")
    assert (page.status, page.headers.get_content_type()) == (200, "text/css")
    assert "url(" not in page.html
