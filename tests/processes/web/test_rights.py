"""Each role and each thing the API does: who is refused, with their own real token, and who is not.

A refusal changes nothing: the log is looked at after each. What is not the caller's to see is refused in the
words for what is not there at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.processes.web.office import Operation
from gateway.processes.web.operations import OPERATIONS
from gateway.processes.web.rights import MEMBERS_SEE
from tests.processes.web.world import PASSWORD, PEOPLE, Answer, World, quoted

WHY = {"reason": "test"}
CLERK, MALEE = PEOPLE["clerk"][0], PEOPLE["malee"][0]
NOBODY = "nobody@opm.go.th"
FORWARD = {"to": [PEOPLE["malee"][0]]}
NO_AGENCY = "ag_" + "0" * 26
# What a request on something of OPM's is answered with, by who asks; everybody else gets the success.
SEEING = {"member": 403, "stranger": 404}
ATTENDING = {**SEEING, "auditor": 403}
CHANGING = {**ATTENDING, "helpdesk": 403}
GOVERNING = {**CHANGING, "admin": 403}
EVERYBODY = ("admin", "auditor", "helpdesk", "member", "stranger", "operator", "root")


@dataclass(frozen=True)
class Row:
    """A request, and who is refused it by which status. before: what an operator does first."""

    method: str
    path: str
    refused: dict[str, int]
    body: Any = None
    before: tuple[str, str, Any] | None = None
    then: tuple[str, str, Any] | None = None  # and after that
    by_hand: bool = False  # for everybody, and tried in a test of its own

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


LISTING = {"member": 403}
STEERING = {"member": 403, "auditor": 403}
GIVING_UP = {**STEERING, "helpdesk": 403}
WAITING = {"domain": "dld.go.th", **WHY}
OPERATING = dict.fromkeys(("admin", "auditor", "helpdesk", "member", "stranger"), 403)
A_BAN = {"network": "192.0.2.0/24", "seconds": 3_600, **WHY}
A_PROVIDER = {"issuer": "https://id.example.org", "audience": "saraban"}
A_SERVER = {"host": "mx.opm.go.th", "port": 25}
AN_IMPORT = {
    "digest": "0" * 64,
    "header": "address,credential",
    "lines": [{"number": 2, "text": "imported@opm.go.th,openid"}],
}
EXPORT = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}
A_LIST = {"address": "all@opm.go.th"}
LIST_MADE = ("POST", "/lists", A_LIST)
TABLE = [
    Row("GET", "/me", {}),
    Row("GET", "/agencies", LISTING),
    Row("POST", "/agencies", {**GOVERNING, "stranger": 403}, {"name": "DLD", "domains": ["dld.go.th"]}),
    Row("GET", "/agencies/{agency_id}", SEEING),
    Row("PUT", "/agencies/{agency_id}/name", GOVERNING, {"name": "Cabinet Office"}),
    Row("POST", "/agencies/{agency_id}/suspend", GOVERNING, WHY),
    Row(
        "POST",
        "/agencies/{agency_id}/activate",
        GOVERNING,
        WHY,
        ("POST", "/agencies/{agency_id}/suspend", WHY),
    ),
    Row("POST", "/agencies/{agency_id}/trial", GOVERNING, {"days": 60, **WHY}),
    Row("POST", "/agencies/{agency_id}/close", GOVERNING, WHY, by_hand=True),
    Row("GET", "/agencies/{agency_id}/limits", SEEING),
    Row("PATCH", "/agencies/{agency_id}/limits", CHANGING, {"recipients_max": 100}),
    Row("PUT", "/agencies/{agency_id}/contact", CHANGING, {"address": CLERK}),
    Row("PUT", "/agencies/{agency_id}/catch-all", CHANGING, {"address": CLERK}),
    Row("PUT", "/agencies/{agency_id}/plus-addressing", CHANGING, {"is_on": False}),
    Row("GET", "/agencies/{agency_id}/domains", SEEING),
    Row("POST", "/agencies/{agency_id}/domains", GOVERNING, {"domain": "นายก.ไทย"}),
    Row("POST", "/agencies/{agency_id}/domains/{domain}/replace", GOVERNING, {"by": "cabinet.go.th"}),
    Row(
        "POST",
        "/agencies/{agency_id}/domains/{domain}/move",
        GOVERNING,
        {"to": "opdc.go.th", **WHY},
        ("POST", "/agencies/{agency_id}/domains", {"domain": "spare.go.th"}),
    ),
    Row(
        "DELETE",
        "/agencies/{agency_id}/domains/{domain}",
        GOVERNING,
        None,
        ("POST", "/agencies/{agency_id}/domains", {"domain": "spare.go.th"}),
    ),
    Row("GET", "/accounts", LISTING),
    Row("POST", "/accounts", CHANGING, {"address": "new@opm.go.th"}),
    Row("GET", "/accounts/{address}", SEEING),
    Row("POST", "/accounts/{address}/suspend", ATTENDING, WHY),
    Row("POST", "/accounts/{address}/activate", ATTENDING, WHY, ("POST", "/accounts/{address}/suspend", WHY)),
    Row("POST", "/accounts/{address}/close", CHANGING, WHY),
    Row("GET", "/accounts/{address}/forwarding", SEEING),
    Row("PUT", "/accounts/{address}/forwarding", CHANGING, FORWARD),
    Row(
        "DELETE",
        "/accounts/{address}/forwarding",
        CHANGING,
        None,
        ("PUT", "/accounts/{address}/forwarding", FORWARD),
    ),
    Row("GET", "/me/forwarding", {"root": 404}),
    Row("PUT", "/me/forwarding", {"root": 404}, FORWARD),
    Row(
        "DELETE",
        "/me/forwarding",
        {"root": 404},
        None,
        ("PUT", f"/accounts/{quoted(PEOPLE['admin'][0])}/forwarding", FORWARD),
    ),
    Row("GET", "/agencies/{agency_id}/forwarding", SEEING),
    Row("PUT", "/agencies/{agency_id}/forwarding", CHANGING, {"policy": "anywhere"}),
    Row("GET", "/aliases", LISTING),
    Row("POST", "/aliases", CHANGING, {"alias": "office@opm.go.th", "of": CLERK}),
    Row(
        "DELETE",
        "/aliases/{address}",
        CHANGING,
        None,
        ("POST", "/aliases", {"alias": "office@opm.go.th", "of": CLERK}),
    ),
    Row("GET", "/roles", LISTING),
    Row("POST", "/roles/grant", CHANGING, {"address": CLERK, "role": "auditor", **WHY}),
    Row("POST", "/roles/revoke", CHANGING, {"address": PEOPLE["auditor"][0], "role": "auditor", **WHY}),
    Row("POST", "/agencies/{agency_id}/import", CHANGING, AN_IMPORT),
    Row("GET", "/accounts/{address}/app-passwords", SEEING),
    Row("POST", "/accounts/{address}/app-passwords", GOVERNING, {"label": "printer"}),
    Row(
        "DELETE",
        "/accounts/{address}/app-passwords/{app_id}",
        ATTENDING,
        None,
        ("POST", "/accounts/{address}/app-passwords", {"label": "printer"}),
    ),
    Row("GET", "/me/app-passwords", {"root": 404}),
    Row("POST", "/me/app-passwords", {"root": 404}, {"label": "printer"}),
    Row(
        "DELETE",
        "/me/app-passwords/{app_id}",
        {"root": 404},
        None,
        ("POST", f"/accounts/{quoted(PEOPLE['admin'][0])}/app-passwords", {"label": "printer"}),
    ),
    Row("POST", "/lists", CHANGING, A_LIST),
    Row("GET", "/lists/{address}", SEEING, None, LIST_MADE),
    Row("GET", "/lists/{address}/members", SEEING, None, LIST_MADE),
    Row("POST", "/lists/{address}/members", CHANGING, {"members": [CLERK]}, LIST_MADE),
    Row(
        "DELETE",
        "/lists/{address}/members/{member}",
        CHANGING,
        None,
        LIST_MADE,
        ("POST", "/lists/{address}/members", {"members": [CLERK]}),
    ),
    Row("PUT", "/lists/{address}/posting", CHANGING, {"posting": "anyone"}, LIST_MADE),
    Row("POST", "/lists/{address}/remove", CHANGING, WHY, LIST_MADE),
    Row("GET", "/bans", OPERATING),
    Row("POST", "/bans", OPERATING, A_BAN),
    Row("POST", "/bans/{ban_id}/lift", OPERATING, WHY, ("POST", "/bans", A_BAN)),
    Row("PUT", "/accounts/{address}/password", CHANGING, {"password": "quite another one"}),
    Row("POST", "/accounts/{address}/invitation", CHANGING),
    Row("POST", "/accounts/{address}/totp", CHANGING),
    Row("DELETE", "/accounts/{address}/totp", CHANGING, None, ("POST", "/accounts/{address}/totp", None)),
    Row(
        "PUT",
        "/me/password",
        {"root": 404},
        {"current": PASSWORD, "password": "quite another one"},
    ),
    Row("GET", "/me/totp", {}),
    Row("POST", "/me/totp", {}, by_hand=True),
    Row("POST", "/me/totp/confirm", {}, {"code": "000000"}, by_hand=True),
    Row("POST", "/me/totp/remove", {}, {"code": "000000"}, by_hand=True),
    Row("GET", "/agencies/{agency_id}/identity", SEEING),
    Row("PUT", "/agencies/{agency_id}/identity", OPERATING, A_PROVIDER),
    Row(
        "DELETE",
        "/agencies/{agency_id}/identity",
        OPERATING,
        None,
        ("PUT", "/agencies/{agency_id}/identity", A_PROVIDER),
    ),
    Row("GET", "/agencies/{agency_id}/tls", SEEING),
    Row("PUT", "/agencies/{agency_id}/tls", OPERATING, {"use": "required", **WHY}, by_hand=True),
    Row("GET", "/agencies/{agency_id}/route", SEEING),
    Row("PUT", "/agencies/{agency_id}/route", OPERATING, {"main": [A_SERVER], **WHY}, by_hand=True),
    Row("GET", "/trace", LISTING),
    Row("GET", "/trace/refusals", LISTING),
    Row("GET", "/status", OPERATING),
    Row("POST", "/trace/export", OPERATING, EXPORT),
    Row("POST", "/agencies/{agency_id}/trace/export", SEEING, EXPORT),
    # What waits, and whose it is: test_queue.py. Where nothing matches, nothing is done.
    Row("GET", "/queue/destinations", LISTING),
    Row("GET", "/queue/recipients", LISTING),
    Row("GET", "/queue/holds", LISTING),
    Row("GET", "/queue/mails/{mail_id}", LISTING, by_hand=True),
    Row("POST", "/queue/hold", STEERING, WAITING),
    Row("POST", "/queue/release", STEERING, WAITING),
    Row("POST", "/queue/retry", STEERING, WAITING),
    Row("POST", "/queue/reroute", GIVING_UP, {**WAITING, "via": "backup.example:25"}),
    Row("POST", "/queue/cancel", GIVING_UP, WAITING),
]


def test_the_table_has_every_operation() -> None:
    def name_of(operation: Operation) -> str:
        return f"{operation.method} {operation.path}"

    assert [row.name for row in TABLE] == [name_of(operation) for operation in OPERATIONS]


def filled(world: World, path: str, made: Mapping[str, Any] | None = None) -> str:
    """made: what the request before was answered, for ids in the path."""
    noun = path.split("/")[1]
    address = {"aliases": "office@opm.go.th", "lists": "all@opm.go.th"}.get(noun, CLERK)
    domain = "opm.go.th" if path.endswith("/replace") else "spare.go.th"
    named = {"agency_id": world.agencies["opm.go.th"], "address": quoted(address), "domain": domain}
    named["member"] = quoted(CLERK)
    return path.format(**{**(made or {}), **named})


@pytest.mark.parametrize("row", [row for row in TABLE if not row.by_hand], ids=lambda row: row.name)
async def test_who_may_not_is_refused_and_who_may_is_not(world: World, row: Row) -> None:
    for who in EVERYBODY:
        await world.token(who)
    made: dict[str, Any] = {}
    for method, path, sent in filter(None, (row.before, row.then)):
        done = await world.ask("root", method, filled(world, path), sent)
        assert done.status in (200, 201), done
        made |= done.body
    asked_path, body = filled(world, row.path, made), row.body
    if row.path.endswith("/move"):
        body = body | {"to": world.agencies[body["to"]]}
    # A suspended agency's own people cannot even ask.
    asking = ["stranger", "root"] if row.path.endswith("{agency_id}/activate") else EVERYBODY
    before = await world.topics()
    for who in asking:
        if who in row.refused:
            answer = await world.ask(who, row.method, asked_path, body)
            assert (who, answer.status) == (who, row.refused[who]), answer
            assert answer.detail
            assert (answer.detail == MEMBERS_SEE) == (who == "member")
    assert await world.topics() == before
    allowed = [who for who in asking if who not in row.refused]
    if row.method == "GET":
        for who in allowed:
            assert (await world.ask(who, row.method, asked_path)).status == 200
    else:
        done = await world.ask(allowed[0], row.method, asked_path, body)
        assert done.status in (200, 201), done
        assert (await world.last_event()).actor.kind in ("account", "operator")


# --- nothing is learnt ------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["", "/suspend", "/activate", "/close"])
async def test_another_agencys_account_is_refused_as_one_that_is_not_there(world: World, action: str) -> None:
    method, body = ("POST", WHY) if action else ("GET", None)
    foreign = await world.ask("admin", method, f"/accounts/{quoted(MALEE)}{action}", body)
    absent = await world.ask("admin", method, f"/accounts/{quoted(NOBODY)}{action}", body)
    assert (foreign.status, foreign.detail) == (404, f"{MALEE} is no account here")
    assert (absent.status, absent.detail) == (404, f"{NOBODY} is no account here")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/agencies/{}/suspend", WHY),
        ("POST", "/agencies/{}/activate", WHY),
        ("POST", "/agencies/{}/trial", {"days": 60, **WHY}),
        ("GET", "/agencies/{}", None),
        ("GET", "/agencies/{}/limits", None),
        ("PATCH", "/agencies/{}/limits", {"recipients_max": 100}),
        ("PUT", "/agencies/{}/contact", {"address": CLERK}),
        ("GET", "/agencies/{}/forwarding", None),
        ("PUT", "/agencies/{}/forwarding", {"policy": "anywhere"}),
        ("GET", "/accounts?agency={}", None),
    ],
)
async def test_another_agency_is_refused_as_one_that_is_not_there(
    world: World, method: str, path: str, body: Any
) -> None:
    for agency_id in (world.agencies["opdc.go.th"], NO_AGENCY):
        refused = await world.ask("admin", method, path.format(agency_id), body)
        assert (refused.status, refused.detail) == (404, f"there is no agency {agency_id}")


async def test_other_agencies_do_not_show_in_lists_or_searches(world: World) -> None:
    for who in ("admin", "auditor", "helpdesk"):
        agencies = (await world.ask(who, "GET", "/agencies")).body["agencies"]
        assert [row["name"] for row in agencies] == ["OPM"]
        found = (await world.ask(who, "GET", "/accounts?search=opdc")).body["accounts"]
        found += (await world.ask(who, "GET", "/accounts")).body["accounts"]
        assert {row["agency_id"] for row in found} == {world.agencies["opm.go.th"]}
        roles = (await world.ask(who, "GET", "/roles")).body["roles"]
        assert {row["role"] for row in roles} == {"agency-admin", "auditor", "helpdesk"}
    assert len((await world.ask("operator", "GET", "/accounts")).body["accounts"]) == len(PEOPLE)


async def test_aliases_of_other_agencies_do_not_show(world: World) -> None:
    alias = {"alias": "contact@opdc.go.th", "of": MALEE}
    assert (await world.ask("stranger", "POST", "/aliases", alias)).status == 201
    assert (await world.ask("admin", "GET", "/aliases")).body == {"aliases": [], "next": None}
    assert (await world.ask("admin", "GET", f"/aliases?of={quoted(MALEE)}")).status == 404
    assert len((await world.ask("operator", "GET", "/aliases")).body["aliases"]) == 1
    for address in ("contact@opdc.go.th", "absent@opdc.go.th"):
        removed = await world.ask("admin", "DELETE", f"/aliases/{quoted(address)}")
        assert (removed.status, removed.detail) == (404, f"{address} is no account here")


async def test_whether_an_address_of_another_agency_is_given_out_is_not_said(world: World) -> None:
    for alias in (MALEE, "free@opdc.go.th"):
        refused = await world.ask("admin", "POST", "/aliases", {"alias": alias, "of": CLERK})
        said = f"the domain opdc.go.th does not belong to the agency of {CLERK}"
        assert (refused.status, refused.detail) == (409, said)
        refused = await world.ask("admin", "POST", "/accounts", {"address": alias})
        assert (refused.status, refused.detail) == (404, "no agency has the domain opdc.go.th")
        agency = f"/agencies/{world.agencies['opm.go.th']}/contact"
        refused = await world.ask("admin", "PUT", agency, {"address": alias})
        assert (refused.status, refused.detail) == (404, f"{alias} is no account here")


# --- nobody becomes more than they are ----------------------------------------------------------------------


async def grant(world: World, who: str, change: dict[str, Any]) -> Answer:
    return await world.ask(who, "POST", "/roles/grant", {**WHY, **change})


async def test_an_agency_admin_makes_no_operator_and_grants_nothing_elsewhere(world: World) -> None:
    refused = await grant(world, "admin", {"address": CLERK, "role": "operator"})
    assert (refused.status, refused.detail) == (403, "operators are made by operators alone")
    elsewhere = {"role": "auditor", "agency_id": world.agencies["opdc.go.th"]}
    assert (await grant(world, "admin", {"address": CLERK, **elsewhere})).status == 404
    assert (await grant(world, "admin", {"address": MALEE, "role": "auditor"})).status == 404
    assert (await grant(world, "operator", {"address": CLERK, **elsewhere})).status == 200
    assert (await grant(world, "operator", {"address": CLERK, "role": "operator"})).status == 200
    assert (await world.ask("clerk", "GET", "/agencies")).status == 200


@pytest.mark.parametrize("who", ["admin", "helpdesk"])
async def test_nobody_shuts_out_somebody_who_may_do_more(world: World, who: str) -> None:
    higher = {"admin": ["operator"], "helpdesk": ["operator", "admin"]}[who]
    for other in higher:
        path = f"/accounts/{quoted(PEOPLE[other][0])}/suspend"
        refused = await world.ask(who, "POST", path, WHY)
        assert (refused.status, refused.detail) == (
            403,
            "the account belongs to somebody whose role is higher than yours",
        )
    equal = f"/accounts/{quoted(PEOPLE['helpdesk'][0])}/suspend"
    assert (await world.ask(who, "POST", equal, WHY)).status == 200


async def test_how_many_accounts_an_agency_may_have_is_the_operators_to_say(world: World) -> None:
    path = f"/agencies/{world.agencies['opm.go.th']}/limits"
    refused = await world.ask("admin", "PATCH", path, {"accounts_max": 1_000, "recipients_max": 100})
    assert refused.status == 403
    assert "the operator's to say" in refused.detail
    assert (await world.ask("operator", "PATCH", path, {"accounts_max": 6})).body["accounts_max"] == 6
    refused = await world.ask("admin", "POST", "/accounts", {"address": "one-more@opm.go.th"})
    assert (refused.status, refused.detail) == (409, "OPM has 6 accounts and may have 6")


async def test_how_long_an_agencys_traffic_is_kept_is_the_operators_to_say(world: World) -> None:
    path = f"/agencies/{world.agencies['opm.go.th']}/limits"
    refused = await world.ask("admin", "PATCH", path, {"trace_days": 400})
    assert (refused.status, refused.detail) == (
        403,
        "how long an agency's traffic log is kept is the operator's to say",
    )
    assert (await world.ask("operator", "PATCH", path, {"trace_days": 400})).body["trace_days"] == 400
    refused = await world.ask("operator", "PATCH", path, {"trace_days": 89})
    assert refused.detail == "a limit of days of its traffic log is from 90 to 3650, not 89"


async def test_who_may_not_close_an_account_may_not_open_it_again(world: World) -> None:
    path = f"/accounts/{quoted(CLERK)}"
    assert (await world.ask("admin", "POST", f"{path}/close", WHY)).status == 200
    refused = await world.ask("helpdesk", "POST", f"{path}/activate", WHY)
    assert (refused.status, refused.detail) == (403, "the role helpdesk does not allow this")
    assert (await world.ask("admin", "POST", f"{path}/activate", WHY)).status == 200


async def test_nobody_forwards_the_mail_of_somebody_who_may_do_more_and_everybody_their_own(
    world: World,
) -> None:
    path = f"/accounts/{quoted(PEOPLE['operator'][0])}/forwarding"
    refused = await world.ask("admin", "PUT", path, FORWARD)
    assert (refused.status, refused.detail) == (
        403,
        "the account belongs to somebody whose role is higher than yours",
    )
    assert (await world.ask("member", "PUT", "/me/forwarding", FORWARD)).status == 200
    event = await world.last_event()
    mine = (await world.ask("member", "GET", "/me/forwarding")).body
    assert (event.actor.id, event.originator_id) == (mine["account_id"], mine["account_id"])
    assert mine["targets"] == [{"address": MALEE, "refusal": None}]
    shown = await world.ask("auditor", "GET", f"/accounts/{quoted(PEOPLE['member'][0])}/forwarding")
    assert shown.body == mine
    outside = {"to": ["member@example.org"], "keep_copy": False}
    refused = await world.ask("member", "PUT", "/me/forwarding", outside)
    assert (refused.status, refused.detail) == (
        409,
        "OPM does not let mail be forwarded to member@example.org: its policy is inside, to agencies of this"
        " gateway alone",
    )
