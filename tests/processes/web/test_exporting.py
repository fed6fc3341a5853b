"""The traffic log through the API: of one's own agency, and on record with who took it out."""

import asyncio
import json
import urllib.request
from typing import Any

import pytest

from tests.processes.web.mails import Mails
from tests.processes.web.world import PEOPLE, World

CLERK, MALEE = PEOPLE["clerk"][0], PEOPLE["malee"][0]
SPAN = {"since": "2000-01-01T00:00:00+07:00", "until": "2100-01-01T00:00:00Z"}


async def export(world: World, who: str, path: str, format_: str = "jsonl") -> tuple[str, bytes]:
    """What kind of file it is, and the file."""
    headers = {"authorization": f"Bearer {await world.token(who)}", "content-type": "application/json"}
    body = json.dumps({**SPAN, "format": format_}).encode()
    asked = urllib.request.Request(f"{world.http}/api/v1{path}", body, headers, method="POST")

    def read() -> tuple[str, bytes]:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.headers["content-type"], answer.read()

    return await asyncio.to_thread(read)


def mails_in(octets: bytes) -> list[Any]:
    rows = [json.loads(line) for line in octets.splitlines()]
    return [row["mail_id"] for row in rows if row["kind"] == "mail"]


async def test_who_takes_out_what_is_on_record_and_is_of_one_agency(world: World) -> None:
    mails = Mails(world)
    ours = await mails.accept("opm.go.th", "boss@example.org", CLERK)
    theirs = await mails.accept("opdc.go.th", "boss@example.org", MALEE)
    path = f"/agencies/{world.agencies['opm.go.th']}/trace/export"
    for who in ("auditor", "helpdesk", "admin"):
        kind, octets = await export(world, who, path)
        assert (kind, mails_in(octets)) == ("application/jsonl", [ours])
        assert {json.loads(line)["agency_id"] for line in octets.splitlines()} == {
            world.agencies["opm.go.th"]
        }
        told = await world.last_event()
        me = (await world.ask(who, "GET", "/me")).body
        assert (told.TOPIC, told.actor.kind, told.actor.id) == (
            "trace.exported/1", "account", me["account_id"],
        )  # fmt: skip
        assert (told.agency_id, told.format) == (world.agencies["opm.go.th"], "jsonl")
    kind, octets = await export(world, "operator", "/trace/export")
    assert mails_in(octets) == [ours, theirs]
    assert (await world.last_event()).agency_id is None
    kind, octets = await export(world, "root", "/trace/export", "csv")
    assert kind.startswith("text/csv")
    assert octets.startswith(b"\xef\xbb\xbfposition,")


async def test_what_is_refused_is_not_on_record(world: World) -> None:
    path = f"/agencies/{world.agencies['opdc.go.th']}/trace/export"
    for who in ("admin", "auditor", "helpdesk", "member"):
        await world.token(who)
    before = await world.topics()
    for who in ("admin", "auditor", "helpdesk"):
        refused = await world.ask(who, "POST", path, SPAN)
        assert (refused.status, refused.detail) == (404, f"there is no agency {world.agencies['opdc.go.th']}")
        assert (await world.ask(who, "POST", "/trace/export", SPAN)).status == 403
    assert (await world.ask("member", "POST", path, SPAN)).status == 403
    assert await world.topics() == before


@pytest.mark.parametrize(
    "changed",
    [
        {"until": SPAN["since"]},
        {"since": "2026-11-01T00:00"},
        {"format": "xls"},
        {"since": "0001-01-01T00:00+14:00"},
    ],
)
async def test_no_time_and_no_format_are_refused(world: World, changed: dict[str, str]) -> None:
    assert (await world.ask("operator", "POST", "/trace/export", {**SPAN, **changed})).status == 400
