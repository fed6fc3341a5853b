"""What the API makes of requests: good ones, odd ones, and those it does not take."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.account import AccountSuspended, ReasonSecret, account_key_name, reason_label
from gateway.domain.events import Actor
from gateway.domain.sealing import unseal
from gateway.ports import Deposed, Unavailable
from gateway.processes.up.certificates import self_made
from gateway.processes.web import peers
from gateway.processes.web.api import BODY_OCTETS_MAX
from projections.readmodel import Pool
from tests.processes.web.world import PASSWORD, PEOPLE, World, quoted, running

CLERK = PEOPLE["clerk"][0]


async def test_the_event_says_who_did_it_and_why(world: World) -> None:
    me = (await world.ask("helpdesk", "GET", "/me")).body
    path = f"/accounts/{quoted(CLERK)}/suspend"
    done = await world.ask("helpdesk", "POST", path, {"reason": "ทำโทรศัพท์หาย"})
    assert (done.status, done.body["status"]) == (200, "suspended")
    event = await world.last_event()
    assert isinstance(event, AccountSuspended)
    assert event.actor == Actor("account", me["account_id"])
    key = await world.keys.get(account_key_name(done.body["account_id"]))
    label = reason_label(event.originator_id)
    assert unseal(ReasonSecret, event.sealed, key, label=label).reason == "ทำโทรศัพท์หาย"
    shown = (await world.ask("auditor", "GET", f"/accounts/{quoted(CLERK)}")).body
    assert (shown["status"], shown["reason"]) == ("suspended", "ทำโทรศัพท์หาย")


async def test_an_account_that_was_made_signs_in_and_is_found(world: World) -> None:
    made = await world.ask(
        "admin", "POST", "/accounts", {"address": "New@opm.go.th", "display_name": "คนใหม่"}
    )
    assert made.status == 201
    asked = {"username": "new@opm.go.th", "password": made.body["password"]}
    assert (await world.ask("", "POST", "/token", asked)).status == 201
    shown = (await world.ask("auditor", "GET", f"/accounts/{quoted('new@opm.go.th')}")).body
    account_id = (await world.ask("admin", "GET", "/me")).body["account_id"]
    assert (shown["password"]["how"], shown["password"]["set_by"]) == (
        "administrator",
        f"account {account_id}",
    )
    (found,) = (await world.ask("admin", "GET", f"/accounts?search={quoted('คนใหม่')}")).body["accounts"]
    assert (found["account_id"], found["address"]) == (made.body["account_id"], "New@opm.go.th")
    again = await world.ask("admin", "POST", "/accounts", {"address": "new@opm.go.th"})
    assert (again.status, again.detail) == (409, "the address new@opm.go.th is given out already")


async def test_an_account_is_searched_by_address_alias_and_name_in_any_case(world: World) -> None:
    alias = {"alias": "Front.Desk@opm.go.th", "of": CLERK}
    assert (await world.ask("admin", "POST", "/aliases", alias)).status == 201
    for text in ("CLERK@", "lerk", "front.d", "Clerk@Opm"):
        (found,) = (await world.ask("operator", "GET", f"/accounts?search={quoted(text)}")).body["accounts"]
        assert found["address"] == CLERK
    for text in ("%", "_lerk", "\\", "nobody"):
        assert (await world.ask("operator", "GET", f"/accounts?search={quoted(text)}")).body["accounts"] == []


async def test_lists_come_in_pages(world: World) -> None:
    found, after = [], ""
    while after is not None:
        page = (await world.ask("operator", "GET", f"/accounts?limit=3{after and '&after=' + after}")).body
        assert len(page["accounts"]) <= 3
        found += [row["address"] for row in page["accounts"]]
        after = page["next"]
    assert sorted(found) == sorted(address for address, _ in PEOPLE.values())
    for name in ("a@opm.go.th", "b@opm.go.th"):
        assert (await world.ask("admin", "POST", "/aliases", {"alias": name, "of": CLERK})).status == 201
    page = (await world.ask("admin", "GET", "/aliases?limit=1")).body
    rest = (await world.ask("admin", "GET", f"/aliases?limit=1&after={quoted(page['next'])}")).body
    assert {page["aliases"][0]["alias"], rest["aliases"][0]["alias"]} == {"a@opm.go.th", "b@opm.go.th"}
    assert rest["next"] is None


async def test_what_no_row_can_hold_is_found_nowhere(world: World) -> None:
    """PostgreSQL takes no NUL."""
    for query in ("search=a%00b", "after=a%00b", "agency=a%00b"):
        assert (await world.ask("operator", "GET", f"/accounts?{query}")).status == 200
    for path in (f"/accounts/{CLERK}%00", "/bans/%00", "/queue/%00", "/agencies/%00"):
        assert (await world.ask("operator", "GET", path)).status in (404, 405)


async def test_a_local_part_may_have_a_slash_in_it(world: World) -> None:
    assert (await world.ask("admin", "POST", "/accounts", {"address": "a/b@opm.go.th"})).status == 201
    assert (await world.ask("admin", "GET", f"/accounts/{quoted('a/b@opm.go.th')}")).status == 200


# --- what is not taken --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "the body is not what is asked for"),
        (b"[]", "the body is not what is asked for"),
        (b'{"address": "x@opm.go.th", "colour": 1}', "unknown field `colour`"),
        (b'{"address": "not an address"}', "'not an address' is no mail address"),
        (b'{"address": "x@opm.go.th", "password": "short"}', "length >= 12"),
        (b'{"address": "x@opm.go.th", "password": "with\\u0007control!"}', "no control characters"),
    ],
)
async def test_a_body_that_is_not_what_is_asked_for(world: World, body: bytes, said: str) -> None:
    refused = await world.ask("admin", "POST", "/accounts", body)
    assert refused.status == 400
    assert said in refused.detail


async def test_oddities_have_their_own_status(world: World) -> None:
    odd: list[tuple[str, str, Any, dict[str, str], int]] = [
        ("POST", "/accounts", b"{}", {"content-type": "text/plain"}, 415),
        ("POST", "/accounts", b" " * (BODY_OCTETS_MAX + 1), {}, 413),
        ("GET", "/accounts?limit=0", None, {}, 400),
        ("GET", "/accounts?colour=red", None, {}, 400),
        ("GET", "/accounts/%ff@opm.go.th", None, {}, 400),
        ("GET", "/nothing", None, {}, 404),
        ("GET", "/accounts/a/b/c", None, {}, 404),
        ("POST", "/agencies/a%0Ab/suspend", {"reason": "why"}, {}, 404),
        ("DELETE", "/accounts", None, {}, 405),
        ("PATCH", "/token", None, {}, 405),
        ("HEAD", "/me", None, {}, 200),
    ]
    for method, path, body, headers, status in odd:
        answer = await world.ask("admin", method, path, body, **headers)
        assert (method, path, answer.status) == (method, path, status)
        if status >= 400:
            assert answer.detail
    refused = await world.ask("admin", "DELETE", "/accounts")
    assert refused.headers["allow"] == "GET, HEAD, POST"


async def test_a_server_that_is_away_is_no_mistake_of_the_callers(world: World) -> None:
    await world.token("admin")

    async def away(*_: object) -> None:
        raise Unavailable("nats", "no answer")

    world.log.append_guarded = away  # type: ignore[method-assign, assignment]
    refused = await world.ask("admin", "POST", "/accounts", {"address": "late@opm.go.th"})
    assert (refused.status, refused.detail) == (503, "the gateway cannot do this now: try again later")
    assert refused.headers["retry-after"]


async def test_an_account_whose_password_could_not_be_kept_is_named(world: World) -> None:
    await world.token("admin")
    put = world.keys.put

    async def away(name: str, secret: bytes) -> None:
        if name.startswith("verifier."):
            raise Unavailable("nats", "no answer")
        await put(name, secret)

    world.keys.put = away  # type: ignore[method-assign]
    refused = await world.ask("admin", "POST", "/accounts", {"address": "late@opm.go.th"})
    assert refused.status == 503
    assert "was made, but its password could not be kept" in refused.detail


async def test_a_mistake_of_ours_is_told_without_its_details(world: World) -> None:
    await world.token("admin")

    async def broken(subject: str, after: object = 0) -> None:
        raise AssertionError("secret")

    world.log.history = broken  # type: ignore[method-assign, assignment]
    limits = f"/agencies/{world.agencies['opm.go.th']}/limits"
    refused = await world.ask("admin", "GET", limits)
    assert (refused.status, refused.detail) == (500, "the gateway made a mistake")


# --- TLS ----------------------------------------------------------------------------------------------------


async def test_the_same_is_served_with_tls(emptied_pool: Pool, cheap_hashes: None, tmp_path: Path) -> None:
    files = self_made(tmp_path, tmp_path, "mail.saraban.example", datetime.now(UTC))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.chain, files.key)
    trusts = ssl.create_default_context(cafile=files.authority)
    async with running(emptied_pool, tls, trusts) as world:
        asked = {"username": CLERK, "password": PASSWORD}
        assert (await world.ask("", "POST", "/token", asked, base=world.https)).status == 201
        assert (await world.ask("clerk", "GET", "/me", base=world.https)).status == 200
        assert (await world.ask("clerk", "GET", "/me", base=world.http)).status == 200


async def test_in_the_clear_only_this_machine_is_listened_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.token("admin")
    monkeypatch.setattr(peers, "is_loopback", lambda request: False)
    for who, method, path in (("", "POST", "/token"), ("admin", "GET", "/me"), ("admin", "DELETE", "/token")):
        refused = await world.ask(who, method, path, {} if method == "POST" else None)
        assert (refused.status, refused.detail) == (
            403,
            "passwords and tokens are taken over TLS only: use https",
        )
    assert (await world.ask("", "GET", "/openapi.json")).status == 200


async def test_who_has_lost_its_lane_stops(world: World) -> None:
    async def deposed(facts: object) -> None:
        raise Deposed("another web")

    world.office.sign_ins._lane.append = deposed  # type: ignore[method-assign]
    refused = await world.ask("", "POST", "/token", {"username": CLERK, "password": PASSWORD})
    assert (refused.status, refused.detail) == (503, "this process stops: try again")
    assert world.serving is not None
    async with asyncio.timeout(10):
        with pytest.raises(Deposed, match="another web"):
            await world.serving
