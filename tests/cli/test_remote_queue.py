"""`saraban queue` through the API."""

import pytest

from gateway.cli import remote_queue
from tests.cli.remote import login, run, told
from tests.processes.web.test_queue import DLD
from tests.processes.web.waiting import defer, queue
from tests.processes.web.world import PEOPLE, World

CLERK = PEOPLE["clerk"][0]
WHY = ("--reason", "ทดสอบ")
HERE = ("--domain", "dld.go.th")


async def test_an_administrator_steers_what_the_agency_sent(
    remote_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_queue, "PAGE", 2)
    opm, opdc = remote_world.agencies["opm.go.th"], remote_world.agencies["opdc.go.th"]
    mail_id = await queue(remote_world, opm, DLD, CLERK, [f"u{n}@dld.go.th" for n in range(3)])
    foreign = await queue(remote_world, opdc, DLD, PEOPLE["malee"][0], ["vet@dld.go.th"])
    await login(remote_world, "admin")
    assert await told("queue", "list", "--count") == {"count": 3}
    (destination,) = await told("queue", "list")
    assert (destination["domain"], destination["recipients"], destination["mails"]) == ("dld.go.th", 3, 1)
    rows = await told("queue", "list", "--recipients", *HERE)
    assert [(row["address"], row["sender"]) for row in rows] == [(f"u{n}@dld.go.th", CLERK) for n in range(3)]
    held = await told("queue", "hold", "--to", "u1@dld.go.th", *WHY)
    assert held == {"changed": 1, "unchanged": 0, "busy": 0}
    assert [row["address"] for row in await told("queue", "list", "--recipients", "--held")] == [
        "u1@dld.go.th"
    ]
    assert (await told("queue", "reroute", "--via", "backup.example:25", *HERE, *WHY))["changed"] == 3
    await defer(remote_world, mail_id, [0, 1], "mx1.dld.go.th:25", "mx2.dld.go.th:25")
    shown = await told("queue", "show", mail_id)
    assert {row["via"] for row in shown} == {"backup.example:25"}
    assert [row["hosts"] for row in shown] == [["mx1.dld.go.th:25", "mx2.dld.go.th:25"]] * 2 + [[]]
    assert "mx1.dld.go.th:25, mx2.dld.go.th:25\n" in (await run("queue", "show", mail_id)).stdout
    assert (await told("queue", "reroute", "--back", *HERE, *WHY))["changed"] == 3
    assert (await told("queue", "retry", *HERE, *WHY)) == {"changed": 2, "unchanged": 1, "busy": 0}
    unasked = await run("queue", "cancel", *HERE, *WHY)
    assert "say --yes" in unasked.stderr
    assert (await told("queue", "cancel", *HERE, *WHY, "--yes"))["changed"] == 3
    assert {row["outcome"] for row in await told("queue", "show", mail_id)} == {"cancelled"}
    assert (await told("queue", "drain", *HERE, *WHY)) == {}
    absent = await run("queue", "show", foreign)
    assert (absent.exit_code, absent.stderr) == (3, f"saraban: no recipient of {foreign} was ever queued\n")


async def test_the_queue_is_shown_as_people_read_it(remote_world: World) -> None:
    opm = remote_world.agencies["opm.go.th"]
    await queue(remote_world, opm, DLD, CLERK, [f"u{n}@dld.go.th" for n in range(3)])
    await queue(remote_world, opm, None, CLERK, ["ฟาร์ม@กรม.ไทย"])
    await login(remote_world, "admin")
    await run("queue", "hold", *HERE, *WHY)
    shown = await run("queue", "list")
    head, *lines = (line.split() for line in shown.stdout.splitlines())
    titles = "destination recipients mails held waits for next in gives up in last reply"
    assert " ".join(head) == titles
    assert [line[:4] for line in lines] == [["dld.go.th", "3", "1", "3"], ["กรม.ไทย", "1", "1", "0"]]
    assert [line[5] for line in lines] == ["held", "now"]
    assert [line[6:] for line in lines] == [["4d", "23h"]] * 2
    assert shown.stderr == "4 recipients wait\n"


async def test_who_may_not_is_told_so(remote_world: World) -> None:
    await login(remote_world, "helpdesk")
    refused = await run("queue", "cancel", *HERE, *WHY, "--yes")
    assert refused.stderr == "saraban: the role helpdesk does not allow this\n"
    nothing = await run("queue", "hold", *HERE, *WHY)
    assert (nothing.exit_code, nothing.stderr) == (3, "saraban: nothing that waits matches\n")
    here = await run("queue", "check", "--api")
    assert "on the data folder alone" in here.stderr


async def test_what_comes_is_held_and_released(remote_world: World) -> None:
    opm = remote_world.agencies["opm.go.th"]
    await login(remote_world, "admin")
    held = await run("queue", "hold", "--agency", opm, "--standing", *WHY)
    assert held.stdout == "0 recipients are held; so is what comes\n"
    (hold,) = await told("queue", "holds")
    assert (hold["what"], hold["name"], hold["why"]) == ("agency", opm, "ทดสอบ")
    await queue(remote_world, opm, opm, CLERK, ["farm@opm.go.th"])
    shown = await run("queue", "list")
    assert shown.stdout.splitlines()[0].rstrip().endswith("what comes")
    assert "held for 0s" in shown.stdout.splitlines()[1]
    again = await run("queue", "hold", "--agency", opm, "--standing", *WHY)
    assert again.stdout == "1 recipients are held; so was what comes\n"
    released = await told("queue", "release", "--agency", opm, *WHY)
    assert released == {"changed": 1, "unchanged": 0, "busy": 0, "stands": True}
    assert await told("queue", "holds") == []
    narrow = await run("queue", "hold", "--standing", *HERE, "--from", CLERK, *WHY)
    assert (narrow.exit_code, "--domain or --agency, no more" in narrow.stderr) == (2, True)
