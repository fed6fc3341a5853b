"""Somebody makes a password for a program on the account page, uses it, and takes it back."""

import asyncio
import re
import ssl
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import PUBLIC_URL
from tests.e2e.gateway import Gateway
from tests.e2e.test_passwords import answer
from tests.identity.provider import IdentityProviderOfTests, free_port, running_provider
from tests.processes.web.browser import Browser, Page, at_provider, provider_link

ADDRESS = "page@opdc.go.th"
PASSWORD = "ปลาทูทอดกรอบ ๓"
MADE = "/account/app-passwords"


@pytest.fixture
def browser(gateway: Gateway) -> Browser:
    """The public URL is where this gateway listens, as a name server would say."""
    base = f"https://{gateway.address('https')}"
    trusts = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    return Browser(base, trusts, hosts={PUBLIC_URL: base})


@pytest.fixture(scope="module")
def member(gateway: Gateway) -> str:
    gateway.cli("account", "add", ADDRESS, "--password", PASSWORD)
    gateway.wait(lambda: gateway.found("account", "search", ADDRESS) != [], "the rows know the account")
    return ADDRESS


@pytest.fixture(scope="module")
def identity(gateway: Gateway) -> Iterator[IdentityProviderOfTests]:
    """opm.go.th has a provider, for as long as these tests run."""
    agency_id = next(row["agency_id"] for row in gateway.agencies() if "opm.go.th" in row["domains"])
    with running_provider(free_port()) as provider:
        client_id, secret = provider.register(f"{PUBLIC_URL}/account/signed-in", refreshes=False)
        file = gateway.data.parent / "page.secret"
        file.write_text(secret)
        where = ("--issuer", provider.issuer, "--audience", "saraban")
        gateway.cli(
            "agency", "identity", agency_id, *where, "--client-id", client_id, "--secret-file", str(file)
        )
        gateway.wait(gateway.is_idle, "the rows know the provider")
        yield provider
        gateway.cli("agency", "identity", agency_id, "--none", "--yes")


def test_an_app_password_of_the_page_signs_in_until_it_is_revoked(
    gateway: Gateway, browser: Browser, member: str
) -> None:
    page = asyncio.run(signed_in(browser, member))
    assert page.path == "/account", page.text
    page = asyncio.run(browser.fill_in(page, MADE, label="เครื่องพิมพ์", protocols=["smtp"]))
    password = page.by_id["app-password"]
    gateway.wait(lambda: answer(gateway, password, member) == 235, "the edge lets the program in")

    async def revoke() -> Page:
        page = await browser.follow(await browser.get("/account"), "Revoke: เครื่องพิมพ์")
        return await browser.fill_in(page, page.path)

    assert "is revoked" in asyncio.run(revoke()).text
    gateway.wait(lambda: answer(gateway, password, member) == 535, "the edge lets the program in no more")
    revoked = gateway.events("app-password.revoked/1")[-1]["event"]
    assert revoked["actor"]["kind"] == "account", "it was its owner"

    def shows_both() -> bool:
        text = asyncio.run(browser.get("/account/sign-ins")).text
        return all(
            re.search(f"SMTP PLAIN[^:]* {said}", text) for said in ("let in", "refused: wrong password")
        )

    gateway.wait(shows_both, "the page shows who signed in, and who was refused")


def test_people_of_an_agency_with_a_provider_sign_in_there(
    gateway: Gateway, browser: Browser, identity: IdentityProviderOfTests
) -> None:
    async def come_in() -> Page:
        page = await browser.get("/account")
        page = await browser.fill_in(page, "/account/sign-in", address="somchai@opm.go.th")
        return await at_provider(browser, provider_link(page), "somchai@opm.go.th")

    page = asyncio.run(come_in())
    assert (page.status, page.path) == (200, "/account"), page.text
    accepted = gateway.events("signin.accepted/1")[-1]["event"]
    assert (accepted["protocol"], accepted["mechanism"]) == ("web", "openid")


async def signed_in(browser: Browser, address: str) -> Page:
    page = await browser.fill_in(await browser.get("/account"), "/account/sign-in", address=address)
    return await browser.fill_in(page, "/account/password", password=PASSWORD)
