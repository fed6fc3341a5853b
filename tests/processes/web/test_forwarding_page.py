"""One's own forwarding on the account page: set, seen, refused, removed."""

import pytest

from gateway.domain.events import Actor
from tests.processes.web.browser import Browser, Page
from tests.processes.web.test_account_page import said, sign_in
from tests.processes.web.world import PEOPLE, World

CLERK, MALEE = PEOPLE["clerk"][0], PEOPLE["malee"][0]
PATH = "/account/forwarding"


@pytest.fixture
async def page(world: World) -> tuple[Browser, Page]:
    """Where a member who has signed in sees that nothing is forwarded."""
    browser = Browser(world.http)
    await sign_in(browser)
    page = await browser.follow(await browser.get("/account"), "Forward my mail")
    assert (page.path, said(page, "forwards-nowhere"), said(page, "forward-inside")) == (PATH, True, True)
    return browser, page


async def allow(world: World, policy: str) -> None:
    path = f"/agencies/{world.agencies['opm.go.th']}/forwarding"
    assert (await world.ask("admin", "PUT", path, {"policy": policy})).status == 200


async def test_somebody_forwards_sees_it_and_stops(world: World, page: tuple[Browser, Page]) -> None:
    browser, form = page
    assert form.form(PATH).fields["copy"] == ["yes"], "unless said otherwise"
    shown = await browser.fill_in(form, PATH, to=f"{CLERK}, {MALEE}", copy=[])
    assert (shown.status, said(shown, "forwarding-set"), said(shown, "copy-not-kept")) == (200, True, True)
    assert shown.form(PATH).fields["to"] == [f"{CLERK} {MALEE}"]
    mine = (await world.ask("member", "GET", "/me/forwarding")).body
    assert [target["address"] for target in mine["targets"]] == [CLERK, MALEE]
    assert (await world.last_event()).actor == Actor("account", mine["account_id"])
    stopped = await browser.fill_in(shown, f"{PATH}/remove")
    assert (said(stopped, "forwarding-removed"), said(stopped, "forwards-nowhere")) == (True, True)
    assert (await world.ask("member", "GET", "/me/forwarding")).body["targets"] == []


@pytest.mark.parametrize(
    ("to", "status", "text", "why"),
    [
        ("<malee>", 400, "no-address", ""),
        ("", 409, "refused", "to one at least"),
        ("ann@example.org", 409, "refused", "its policy is inside"),
        (PEOPLE["member"][0], 409, "refused", "an address of this account itself"),
        (" ".join(f"a{number}@opm.go.th" for number in range(6)), 409, "refused", "at most 5"),
    ],
)
async def test_what_is_refused_is_said_and_nothing_typed_is_lost(
    world: World, page: tuple[Browser, Page], to: str, status: int, text: str, why: str
) -> None:
    browser, form = page
    before = await world.log.last()
    refused = await browser.fill_in(form, PATH, to=to, copy=[])
    assert (refused.status, said(refused, text), why in refused.text) == (status, True, True)
    assert refused.form(PATH).fields["to"] == [to]
    assert "copy" not in refused.form(PATH).fields
    assert await world.log.last() == before


async def test_where_the_agency_allows_none_there_is_no_form_and_a_rule_rests(
    world: World, page: tuple[Browser, Page]
) -> None:
    browser, form = page
    await browser.fill_in(form, PATH, to=MALEE)
    await allow(world, "none")
    shown = await browser.get(PATH)
    assert (said(shown, "forward-nowhere"), said(shown, "target-not-allowed")) == (True, True)
    assert {each.action for each in shown.forms} >= {f"{PATH}/remove"}
    assert PATH not in {each.action for each in shown.forms}
    csrf = shown.form("/account/sign-out").fields["csrf"]
    refused = await browser.send("POST", PATH, {"csrf": csrf, "to": [CLERK]})
    assert (refused.status, "its policy is none" in refused.text) == (409, True)
    await allow(world, "anywhere")
    assert said(await browser.get(PATH), "forward-anywhere")


async def test_a_form_of_elsewhere_changes_nothing(world: World, page: tuple[Browser, Page]) -> None:
    browser, _ = page
    before = await world.log.last()
    for path in (PATH, f"{PATH}/remove"):
        forged = await browser.send("POST", path, {"csrf": ["x"], "to": [MALEE]})
        assert (forged.status, said(forged, "forged")) == (403, True)
    assert await world.log.last() == before
