"""The command line through the API: `login`, and the commands about agencies and their people after it."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.cli.session import session_file
from projections.readmodel import Pool
from tests.processes.web.world import PASSWORD, PEOPLE, World, running

CLERK, MALEE = PEOPLE["clerk"][0], PEOPLE["malee"][0]
WHY = ("--reason", "test")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SARABAN_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def world(emptied_pool: Pool, cheap_hashes: None) -> AsyncIterator[World]:
    async with running(emptied_pool) as world:
        yield world


async def run(*words: str, typed: str = "") -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, words, input=typed)


async def login(world: World, who: str) -> None:
    done = await run("login", world.http, "--user", PEOPLE[who][0], typed=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output


async def told(*words: str) -> Any:
    done = await run("--json", *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def test_an_administrator_works_through_the_api(world: World) -> None:
    await login(world, "admin")
    assert stat.S_IMODE(session_file().stat().st_mode) == 0o600
    assert PASSWORD not in session_file().read_text()
    (opm,) = await told("agency", "list")
    assert opm["name"] == "OPM"
    made = await told("account", "add", "new@opm.go.th", "--name", "คนใหม่")
    assert (made["agency_id"], bool(made["password"])) == (opm["agency_id"], True)
    assert [row["address"] for row in await told("account", "search", "คนใหม่")] == ["new@opm.go.th"]
    assert len(await told("account", "list", "--agency", opm["agency_id"])) == opm["accounts"] + 1
    for command, status in (("suspend", "suspended"), ("activate", "active"), ("close", "closed")):
        yes = () if command == "activate" else ("--yes",)
        assert (await told("account", command, "new@opm.go.th", *WHY, *yes))["status"] == status
    await told("alias", "add", "office@opm.go.th", "--of", CLERK)
    assert [row["alias"] for row in await told("alias", "list", "--of", CLERK)] == ["office@opm.go.th"]
    await told("alias", "remove", "office@opm.go.th", "--yes")
    limits = await told("agency", "limits", opm["agency_id"], "--recipients", "200")
    assert (limits["recipients_max"], (await told("agency", "limits", opm["agency_id"]))) == (200, limits)
    servers = ("--relay-connections", "5", "--relay-mails", "600")
    limits = await told("agency", "limits", opm["agency_id"], *servers)
    assert (limits["relay_connections_max"], limits["relay_mails_a_minute"]) == (5, 600)
    shown = await told("agency", "show", opm["agency_id"])
    assert (shown["relay_connections_max"], shown["relay_mails_a_minute"]) == (5, 600)
    await told("agency", "contact", opm["agency_id"], "--account", CLERK)
    assert (await told("agency", "catch-all", opm["agency_id"], CLERK))["account_id"].startswith("acc_")
    assert (await told("agency", "catch-all", opm["agency_id"], "none", "--yes"))["account_id"] is None
    assert not (await told("agency", "plus-addressing", opm["agency_id"], "off", "--yes"))["is_on"]
    assert [row["domain"] for row in await told("agency", "domain", "list", opm["agency_id"])] == [
        "opm.go.th"
    ]
    await told("account", "grant", CLERK, "helpdesk", *WHY)
    assert CLERK in {row["address"] for row in await told("account", "roles")}
    await told("account", "revoke-role", CLERK, "helpdesk", *WHY, "--yes")


async def test_mail_is_forwarded_as_the_agency_allows(world: World) -> None:
    await login(world, "admin")
    opm = world.agencies["opm.go.th"]
    refused = await run("account", "forward", CLERK, "--to", "clerk@example.org")
    assert refused.exit_code == 1
    assert "its policy is inside, to agencies of this gateway alone" in refused.stderr
    assert (await told("agency", "forwarding", opm, "anywhere"))["policy"] == "anywhere"
    await told("account", "forward", CLERK, "--to", "clerk@example.org", "--to", MALEE, "--no-copy")
    await told("agency", "forwarding", opm, "inside", "--yes")
    assert (await told("agency", "forwarding", opm))["policy"] == "inside"
    shown = (await told("account", "show", CLERK))["forwarding"]
    assert [(target["address"], target["refusal"]) for target in shown["targets"]] == [
        ("clerk@example.org", "policy"),
        (MALEE, None),
    ]
    said = (await run("account", "show", CLERK)).stdout
    assert "clerk@example.org: not allowed by its agency" in said
    await told("account", "forward", "remove", CLERK, "--yes")
    assert (await told("account", "show", CLERK))["forwarding"]["targets"] == []


async def test_a_member_forwards_its_own_mail_and_nobody_elses(world: World) -> None:
    own = PEOPLE["member"][0]
    await login(world, "member")
    made = await told("account", "forward", own, "--to", MALEE)
    assert (await told("account", "forward", "show", own))["set_by"] == made["account_id"]
    other = await run("account", "forward", CLERK, "--to", MALEE)
    assert other.stderr == "saraban: a member sees /api/v1/me and nothing else\n"
    await told("account", "forward", "remove", own, "--yes")
    none = await run("account", "forward", "remove", own, "--yes")
    assert (none.exit_code, none.stderr) == (3, "saraban: the account forwards its mail to nobody\n")


async def test_an_operator_adds_an_agency_and_suspends_it(world: World) -> None:
    await login(world, "operator")
    made = await told("agency", "add", "DLD", "--domain", "dld.go.th", "--relay-to", "mx.example.org:25")
    assert {row["next_hop"] for row in await told("agency", "list")} == {None, "mx.example.org:25"}
    domain = ("agency", "domain")
    assert (await told(*domain, "add", made["agency_id"], "ปศุสัตว์.ไทย"))["domain"].startswith("xn--")
    await told(*domain, "remove", made["agency_id"], "ปศุสัตว์.ไทย", "--yes")
    opm = next(row["agency_id"] for row in await told("agency", "list") if row["name"] == "OPM")
    await told(*domain, "replace", opm, "opm.go.th", "cabinet.go.th", "--yes")
    assert (await told("agency", "rename", made["agency_id"], "กรมปศุสัตว์"))["name"] == "กรมปศุสัตว์"
    for command in ("suspend", "activate"):
        yes = ("--yes",) if command == "suspend" else ()
        await told("agency", command, made["agency_id"], *WHY, *yes)


async def test_an_operator_adds_a_trial_lets_it_end_later_and_lets_it_stay(world: World) -> None:
    await login(world, "operator")
    dld = (await told("agency", "add", "DLD", "--domain", "dld.go.th", "--trial"))["agency_id"]
    shown = await told("agency", "show", dld)
    assert (shown["status"], shown["domains"]) == ("trial", ["dld.go.th"])
    extended = await told("agency", "trial", dld, "--days", "60", *WHY)
    assert extended["trial_ends_at"] > shown["trial_ends_at"]
    assert f"{'status:':<23}trial\n" in (await run("agency", "show", dld)).stdout
    assert (await told("agency", "activate", dld, *WHY))["status"] == "active"
    assert (await told("agency", "show", dld))["trial_ends_at"] is None
    absent = await run("agency", "show", "ag_" + "0" * 26)
    assert (absent.exit_code, absent.stderr) == (3, f"saraban: there is no agency ag_{'0' * 26}\n")
    wrong = await run("agency", "add", "DOF", "--domain", "dof.example", "--days", "3")
    assert (wrong.exit_code, "--days is of a trial" in wrong.stderr) == (2, True)


async def test_a_refusal_is_one_sentence_and_what_is_not_there_has_its_exit_code(world: World) -> None:
    await login(world, "admin")
    absent = await run("account", "suspend", MALEE, *WHY, "--yes")
    assert (absent.exit_code, absent.stderr) == (3, f"saraban: {MALEE} is no account here\n")
    await login(world, "member")
    refused = await run("account", "list")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "saraban: a member sees /api/v1/me and nothing else\n",
    )


async def test_logout_ends_the_token(world: World) -> None:
    await login(world, "admin")
    kept = session_file().read_text()
    assert (await run("logout")).exit_code == 0
    assert not session_file().exists()
    session_file().write_text(kept)
    refused = await run("agency", "list")
    assert refused.stderr == f"saraban: the token does not hold any more: saraban login {world.http}\n"
    assert (await run("logout")).exit_code == 0
    again = await run("logout")
    assert (again.exit_code, again.stderr) == (1, "saraban: nobody is logged in\n")


async def test_a_wrong_password_is_refused_and_nothing_is_kept(world: World) -> None:
    refused = await run("login", world.http, "--user", CLERK, typed="wrong\n")
    assert (refused.exit_code, refused.stderr) == (1, "saraban: user name or password is wrong\n")
    assert not session_file().exists()


async def test_a_data_folder_that_is_named_is_asked_and_no_api(world: World, tmp_path: Path) -> None:
    await login(world, "admin")
    local = await run("agency", "list", "--data", str(tmp_path / "nothing"))
    assert "no gateway runs on the data folder" in local.stderr
    both = await run("agency", "list", "--api", "--data", str(tmp_path))
    assert both.exit_code == 2
    assert "exclude each other" in both.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://mail.example.org:8025", "in the clear: use https"),
        ("ftp://mail.example.org", "is no https://host:port"),
        ("https://", "is no https://host:port"),
    ],
)
async def test_a_password_goes_nowhere_in_the_clear(url: str, said: str) -> None:
    refused = await run("login", url, "--user", CLERK, typed="secret\n")
    assert refused.exit_code == 1
    assert said in refused.stderr


async def test_what_the_api_does_not_do_is_not_done_elsewhere_instead() -> None:
    for words in (("--api", "queue", "check"), ("queue", "check", "--api")):
        refused = await run(*words)
        assert refused.exit_code == 2
        assert "on the data folder alone" in refused.stderr


async def test_the_api_is_asked_only_by_who_is_logged_in() -> None:
    refused = await run("agency", "list", "--api")
    assert refused.stderr == "saraban: nobody is logged in: saraban login URL\n"
    away = await run("login", "http://127.0.0.1:1", "--user", CLERK, typed="x\n")
    assert away.exit_code == 1
    assert "http://127.0.0.1:1 cannot answer" in away.stderr
