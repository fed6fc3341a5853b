"""`saraban trace` through the API."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.ports import Unavailable
from tests.cli.remote import login, run, told
from tests.processes.web.mails import Mails
from tests.processes.web.world import PEOPLE, World

CLERK, MALEE = PEOPLE["clerk"][0], PEOPLE["malee"][0]


async def test_an_auditor_traces_the_mails_of_their_own_agency(remote_world: World) -> None:
    mails = Mails(remote_world)
    mail_id = await mails.accept("opm.go.th", "boss@example.org", CLERK)
    await mails.deliver(mail_id, CLERK, 0)
    await mails.accept("opdc.go.th", "boss@example.org", MALEE)
    await mails.refuse("opm.go.th", "boss@example.org", CLERK)
    await login(remote_world, "auditor")
    mail, refused = await told("trace", "--from", "BOSS@example.org")
    assert [step["topic"] for step in mail["steps"]] == ["mail.accepted/1", "mail.delivered/1"]
    assert (mail["mail_id"], refused["topic"], refused["rcpt_to"]) == (mail_id, "recipient.refused/1", CLERK)
    shown = (await run("trace", "--mail-id", mail_id)).stdout.splitlines()
    assert shown[0] == f"{mail_id}  boss@example.org  ประชุม  300 octets"
    assert [line.split()[3:] for line in shown[1:]] == [
        ["mail.accepted/1", CLERK],
        ["mail.delivered/1", CLERK],
    ]
    nothing = await run("trace", "--to", MALEE)
    assert (nothing.exit_code, nothing.stderr) == (3, "saraban: no mail matches\n")
    much = await run("trace", "--to", CLERK, "--limit", "1001")
    assert much.stderr == "saraban: the API tells of 1000 mails at most: --limit 1000\n"


async def test_a_member_traces_nothing(remote_world: World) -> None:
    await login(remote_world, "member")
    refused = await run("trace", "--from", "boss@example.org")
    assert refused.stderr == "saraban: a member sees /api/v1/me and nothing else\n"


SPAN = ("--since", "2000-01-01", "--until", "2100-01-01", "--format", "jsonl", "--output", "traffic.jsonl")


async def test_an_auditor_takes_out_the_log_of_their_own_agency(remote_world: World, tmp_path: Path) -> None:
    mails, file = Mails(remote_world), tmp_path / "traffic.jsonl"
    mail_id = await mails.accept("opm.go.th", "boss@example.org", CLERK)
    await mails.accept("opdc.go.th", "boss@example.org", MALEE)
    await login(remote_world, "auditor")
    done = await told("trace", "export", *SPAN)
    rows = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert [row["mail_id"] for row in rows if row["kind"] == "mail"] == [mail_id]
    assert done == {"octets": file.stat().st_size, "output": "traffic.jsonl"}
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    other = remote_world.agencies["opdc.go.th"]
    refused = await run("trace", "export", *SPAN, "--agency", other)
    assert (refused.exit_code, refused.stderr) == (3, f"saraban: there is no agency {other}\n")
    assert file.read_bytes() == before


async def test_a_log_that_breaks_off_is_said_to(
    remote_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> AsyncIterator[bytes]:
        yield b"{}\n" * 50_000
        raise Unavailable("postgres", "gone")

    monkeypatch.setattr("gateway.processes.web.exporting.octets_of", broken)
    await login(remote_world, "operator")
    cut = await run("trace", "export", *SPAN)
    assert cut.exit_code == 1
    assert "the answer broke off: ask again" in cut.stderr


async def test_a_member_takes_nothing_out(remote_world: World, tmp_path: Path) -> None:
    await login(remote_world, "member")
    refused = await run("trace", "export", *SPAN)
    assert refused.stderr == "saraban: a member sees /api/v1/me and nothing else\n"
    assert not (tmp_path / "traffic.jsonl").exists()
