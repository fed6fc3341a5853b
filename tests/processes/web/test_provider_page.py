"""The account page where an agency has an OpenID provider, which is a real one (npm's oidc-provider)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest

from gateway.domain.agency import IdentityProvider
from gateway.domain.events import Actor
from gateway.domain.signin import SignInAccepted, SignInRefused
from gateway.processes.registry.agencies import Agencies
from gateway.processes.signin.throttle import PATIENCE
from gateway.processes.web.pages import provider as way
from gateway.processes.web.pages.provider import ASKED_AGAIN_AFTER, RETURN
from gateway.processes.web.pages.sessions import COOKIE, Session, session_name
from gateway.processes.web.pages.texts import TEXTS
from projections.readmodel import Pool
from tests.identity.provider import IdentityProviderOfTests, free_port, running_provider
from tests.processes.web.browser import Browser, Page, at_provider, provider_link, query_of
from tests.processes.web.test_account_page import said, sign_in
from tests.processes.web.world import PASSWORD, PEOPLE, World, quoted, running

MEMBER = PEOPLE["member"][0]


@dataclass
class Clock:
    """The clock of the machine, moved by hand: a provider's tokens are of its own time."""

    passed: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.passed

    def monotonic(self) -> float:
        return self.now().timestamp()

    async def sleep(self, seconds: float) -> None:
        """Whoever waits looks again."""
        await asyncio.sleep(min(seconds, 0.05))


@dataclass
class Site:
    world: World
    clock: Clock
    identity: IdentityProviderOfTests
    agencies: Agencies

    def browser(self) -> Browser:
        return Browser(self.world.http)

    async def enrol(self, *, refreshes: bool, claim: str = "email") -> None:
        """opm.go.th has the provider from here on, and a client there."""
        client_id, secret = self.identity.register(f"{self.world.http}{RETURN}", refreshes=refreshes)
        provider = IdentityProvider(self.identity.issuer, "saraban", client_id, claim)
        await self.agencies.set_identity(self.world.agencies["opm.go.th"], provider, secret)
        await self.world.office.follow()


@pytest.fixture(scope="module")
def identity() -> Iterator[IdentityProviderOfTests]:
    with running_provider(free_port()) as provider:
        yield provider


@pytest.fixture
async def site(
    emptied_pool: Pool, cheap_hashes: None, identity: IdentityProviderOfTests
) -> AsyncIterator[Site]:
    clock = Clock()
    async with running(emptied_pool, clock=clock) as world:
        agencies = world.office.deciding(Agencies, Actor("operator", "root"))
        site = Site(world, clock, identity, agencies)
        await site.enrol(refreshes=False)
        yield site


async def way_there(browser: Browser, address: str = MEMBER) -> Page:
    """The page that says where to sign in."""
    return await browser.fill_in(await browser.get("/account"), "/account/sign-in", address=address)


async def signed_in(browser: Browser, login: str = MEMBER) -> Page:
    return await at_provider(browser, provider_link(await way_there(browser, login)), login)


@pytest.mark.parametrize("refreshes", [True, False])
@pytest.mark.parametrize("claim", ["email", "sub"])
async def test_somebody_signs_in_at_the_provider(site: Site, refreshes: bool, claim: str) -> None:
    await site.enrol(refreshes=refreshes, claim=claim)
    browser = site.browser()
    page = await way_there(browser)
    asked = query_of(provider_link(page))
    assert asked["code_challenge_method"] == "S256"
    assert asked["login_hint"] == MEMBER
    assert "password" not in {each["type"] for each in page.inputs}
    page = await at_provider(browser, provider_link(page), MEMBER)
    assert (page.status, page.path) == (200, "/account"), page.text
    assert MEMBER in page.text
    (token,) = [value for (_, name), value in browser.cookies.items() if name == COOKIE]
    kept = msgspec.json.decode(await site.world.keys.get(session_name(token)), type=Session)
    assert kept.vouched is not None
    assert bool(kept.vouched.admission.refresh_token) is refreshes
    event = await site.world.last_event()
    assert isinstance(event, SignInAccepted)
    assert (event.protocol, event.mechanism) == ("web", "openid")
    page = await browser.fill_in(page, "/account/app-passwords", label="phone")
    assert page.by_id["app-password"]


@pytest.mark.parametrize("refreshes", [True, False])
async def test_who_is_shut_out_at_the_provider_is_shut_out_here_within_five_minutes(
    site: Site, refreshes: bool
) -> None:
    await site.enrol(refreshes=refreshes)
    leaver = PEOPLE["clerk" if refreshes else "helpdesk"][0]
    browser = site.browser()
    await signed_in(browser, leaver)
    for _ in range(2):  # and who is not stays, also with a refresh token that has been shown
        site.clock.passed += ASKED_AGAIN_AFTER
        assert (await browser.get("/account")).path == "/account"
    site.identity.close(leaver)
    assert (await browser.get("/account")).path == "/account", "it is not asked at each request"
    site.clock.passed += ASKED_AGAIN_AFTER
    assert timedelta(minutes=5) > ASKED_AGAIN_AFTER
    page = await browser.get("/account")
    assert said(page, "ended")
    assert COOKIE not in {name for _, name in browser.cookies}
    site.clock.passed = timedelta()
    assert (await browser.get("/account")).path == "/account/sign-in"


async def test_two_requests_at_once_show_a_refresh_token_once(site: Site) -> None:
    await site.enrol(refreshes=True)
    browser = site.browser()
    await signed_in(browser)
    for _ in range(2):
        site.clock.passed += ASKED_AGAIN_AFTER
        pages = await asyncio.gather(*(browser.get("/account") for _ in range(4)))
        assert {page.path for page in pages} == {"/account"}


async def test_who_is_shut_out_here_is_signed_out_and_not_let_in_again(site: Site) -> None:
    browser = site.browser()
    await signed_in(browser)
    path = f"/accounts/{quoted(MEMBER)}/suspend"
    assert (await site.world.ask("root", "POST", path, {"reason": "moved"})).status == 200
    assert said(await browser.get("/account"), "suspended")
    page = await signed_in(browser)
    assert (page.status, said(page, "suspended")) == (403, True)
    event = await site.world.last_event()
    assert isinstance(event, SignInRefused)
    assert (event.reason, event.mechanism) == ("suspended", "openid")


async def test_an_agency_that_leaves_its_provider_ends_its_sessions(site: Site) -> None:
    browser = site.browser()
    await signed_in(browser)
    await site.agencies.set_identity(site.world.agencies["opm.go.th"], None, "")
    await site.world.office.follow()
    site.clock.passed += ASKED_AGAIN_AFTER
    assert said(await browser.get("/account"), "ended")
    assert (await sign_in(browser)).path == "/account"


async def test_a_provider_that_is_away_lets_nobody_in_and_ends_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = site.browser()
    await signed_in(browser)
    site.clock.passed += ASKED_AGAIN_AFTER
    flows = site.world.office.code_flows
    assert flows is not None
    with monkeypatch.context() as away:
        away.setattr(flows.flow._providers, "_request", lambda *_: (503, b""))  # type: ignore[attr-defined]
        page = await browser.get("/account")
        assert (page.status, said(page, "provider-away")) == (503, True)
    assert (await browser.get("/account")).path == "/account"


@pytest.mark.parametrize("login", ["nobody@opm.go.th", PEOPLE["malee"][0], "unverified@opm.go.th"])
async def test_whom_the_agency_has_not_got_is_not_let_in(site: Site, login: str) -> None:
    """A provider speaks for its own agency alone."""
    browser = site.browser()
    page = await at_provider(browser, provider_link(await way_there(browser)), login)
    assert page.status == 403
    if login.startswith("unverified"):
        assert said(page, "not-let-in")
    else:
        assert said(page, "not-ours", name=login)
        event = await site.world.last_event()
        assert isinstance(event, SignInRefused)
        assert (event.reason, event.account_id) == ("unknown", None)
    assert COOKIE not in {name for _, name in browser.cookies}


async def test_a_password_is_not_taken_where_there_is_a_provider(site: Site) -> None:
    browser, other = site.browser(), site.browser()
    asked = await other.fill_in(await other.get("/account"), "/account/sign-in", address=PEOPLE["malee"][0])
    page = await other.fill_in(asked, "/account/password", address=MEMBER, password=PASSWORD)
    assert provider_link(page)
    assert COOKIE not in {name for _, name in other.cookies}
    assert (await sign_in(browser, PEOPLE["malee"][0])).path == "/account", "opdc.go.th has none"


# --- the way back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("changed", ["state", "nonce", "code_challenge"])
async def test_another_attempts_answer_is_refused(site: Site, changed: str) -> None:
    """Wrong state, nonce or PKCE: the answer is not of the attempt that this browser has begun."""
    browser = site.browser()
    page = await way_there(browser)
    asked = query_of(provider_link(page))
    other = query_of(provider_link(await way_there(site.browser())))
    assert asked[changed] != other[changed]
    where = f"{site.identity.issuer}/auth?{urlencode(asked | {changed: other[changed]})}"
    page = await at_provider(browser, where, MEMBER)
    assert page.status == (400 if changed == "state" else 403)
    assert said(page, "wrong-way" if changed == "state" else "not-let-in")
    assert COOKIE not in {name for _, name in browser.cookies}


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x&code=x", "?error=access_denied&state="])
async def test_an_answer_that_nobody_asked_for_is_refused(site: Site, query: str) -> None:
    page = await site.browser().get(f"{RETURN}{query}")
    assert (page.status, said(page, "wrong-way")) == (400, True)


async def test_an_answer_counts_once_and_for_its_own_browser_alone(site: Site) -> None:
    browser, thief = site.browser(), site.browser()
    await signed_in(browser)
    (back,) = [url for url in browser.seen if RETURN in url]
    await way_there(thief)
    for each in (browser, thief):
        page = await each.get(back)
        assert (page.status, said(page, "wrong-way")) == (400, True)


async def test_what_the_provider_refuses_is_told(site: Site) -> None:
    browser = site.browser()
    state = query_of(provider_link(await way_there(browser)))["state"]
    page = await browser.get(f"{RETURN}?error=access_denied&state={state}")
    assert (page.status, said(page, "not-let-in")) == (403, True)
    state = query_of(provider_link(await way_there(browser)))["state"]
    page = await browser.get(f"{RETURN}?code=forged&state={state}")
    assert (page.status, said(page, "not-let-in")) == (403, True)
    event = await site.world.last_event()
    assert isinstance(event, SignInRefused)
    assert (event.reason, event.mechanism, event.account_id) == ("token", "openid", None)
    state = query_of(provider_link(await way_there(browser)))["state"]
    page = await browser.get(f"{RETURN}?code=forged&state={state}&iss=https://other.example")
    assert (page.status, said(page, "not-let-in")) == (403, True)


async def test_guessing_codes_has_to_wait_and_is_not_passed_on(site: Site) -> None:
    browser = site.browser()
    told = list[int]()
    for _ in range(PATIENCE["person and network"] + 1):
        state = query_of(provider_link(await way_there(browser)))["state"]
        told.append((await browser.get(f"{RETURN}?code=guessed&state={state}")).status)
    assert told == [403] * PATIENCE["person and network"] + [429]
    before = await site.world.log.last()
    page = await at_provider(browser, provider_link(await way_there(browser)), MEMBER)
    assert (page.status, said(page, "throttled")) == (429, True)
    assert await site.world.log.last() == before
    site.clock.passed += timedelta(minutes=1)
    assert (await signed_in(browser)).path == "/account"


async def test_the_way_there_is_told_in_thai_too(site: Site) -> None:
    browser = site.browser()
    browser.language = "th"
    page = await way_there(browser)
    host = urlsplit(site.identity.issuer).netloc
    assert TEXTS["provider-what"].th.format(host=host) in page.text
    assert page.language == "th"
    assert way.COOKIE in {name for _, name in browser.cookies}
