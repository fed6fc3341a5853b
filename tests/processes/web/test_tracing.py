"""The trace through the API: everything for operators, for others the mails of their own agency alone."""

from typing import Any

import pytest

from tests.processes.web.mails import Mails
from tests.processes.web.world import PEOPLE, World, quoted

CLERK, MALEE = PEOPLE["clerk"][0], PEOPLE["malee"][0]
BOSS = "boss@example.org"


async def mails_of(world: World, who: str, query: str = "") -> list[Any]:
    answer = await world.ask(who, "GET", f"/trace{query}")
    assert answer.status == 200, answer
    return list(answer.body["mails"])


async def test_everybody_sees_the_mails_of_their_own_agency_and_operators_all(world: World) -> None:
    mails = Mails(world)
    ours = await mails.accept("opm.go.th", BOSS, CLERK)
    both = await mails.accept("opm.go.th", CLERK, MALEE, BOSS)
    theirs = await mails.accept("opdc.go.th", BOSS, MALEE)
    for who, expected in {
        "operator": [ours, both, theirs],
        "root": [ours, both, theirs],
        "admin": [ours, both],
        "auditor": [ours, both],
        "helpdesk": [ours, both],
        "stranger": [both, theirs],
    }.items():
        assert [mail["mail_id"] for mail in await mails_of(world, who)] == expected, who
    assert await mails_of(world, "admin", f"?mail_id={theirs}") == []
    assert [mail["mail_id"] for mail in await mails_of(world, "stranger", f"?from={quoted(CLERK)}")] == [both]
    assert (await world.ask("member", "GET", f"/trace?mail_id={ours}")).status == 403


async def test_a_recipients_agency_sees_its_own_recipients_and_no_others(world: World) -> None:
    mails = Mails(world)
    mail_id = await mails.accept("opm.go.th", CLERK, MALEE, BOSS, CLERK)
    await mails.deliver(mail_id, MALEE, 0)
    await mails.deliver(mail_id, CLERK, 2)
    (mail,) = await mails_of(world, "stranger")
    assert [(step["topic"], step["addresses"]) for step in mail["steps"]] == [
        ("mail.accepted/1", [MALEE]),
        ("mail.delivered/1", [MALEE]),
    ]
    assert mail["steps"][1]["account_id"] is not None
    (mail,) = await mails_of(world, "auditor")
    assert [(step["addresses"], step["account_id"] is None) for step in mail["steps"]] == [
        ([MALEE, BOSS, CLERK], True),
        ([MALEE], True),
        ([CLERK], False),
    ]
    after = mail["steps"][1]["position"]
    (mail,) = await mails_of(world, "auditor", f"?after={after}")
    assert [step["addresses"] for step in mail["steps"]] == [[CLERK]]


async def test_refused_recipients_are_seen_by_their_agency_and_operators(world: World) -> None:
    mails = Mails(world)
    await mails.refuse("opm.go.th", BOSS, CLERK)
    await mails.refuse("opdc.go.th", BOSS, MALEE)
    for who, expected in {"operator": [CLERK, MALEE], "auditor": [CLERK], "stranger": [MALEE]}.items():
        answer = await world.ask(who, "GET", "/trace/refusals?ip=192.0.2.9")
        assert [row["rcpt_to"] for row in answer.body["refusals"]] == expected, who


@pytest.mark.parametrize(
    "query", ["?since=2026-11-23T09:00", "?since=0001-01-01T00:00%2B14:00", "?by=x", "?limit=0"]
)
async def test_what_is_no_query_is_refused(world: World, query: str) -> None:
    assert (await world.ask("operator", "GET", f"/trace{query}")).status == 400
    assert (await world.ask("operator", "GET", "/trace?subject=a%00b")).status == 200
