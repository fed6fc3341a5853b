"""A file of accounts through the API: an agency's administrator, killed on the way, and other agencies."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import remote_import
from gateway.cli.remote import Remote
from gateway.ports import Unavailable
from tests.cli.test_remote import home, login, run, told, world
from tests.processes.web.world import World

__all__ = ["home", "world"]


def accounts(*lines: str) -> Path:
    file = Path("accounts.csv")
    file.write_text("address,credential,display_name\n" + "".join(f"{line}\n" for line in lines))
    return file


def codes() -> list[str]:
    """Who has a code."""
    return [line.partition(",")[0] for line in Path("codes.csv").read_text().splitlines()[1:]]


async def imported(*options: str) -> tuple[int, Any]:
    done = await run("--json", "import", "accounts.csv", *options)
    return done.exit_code, json.loads(done.stdout) if done.stdout else done.output


async def test_an_administrator_imports_the_accounts_of_their_own_agency(world: World) -> None:
    await login(world, "admin")
    accounts(
        "a@opm.go.th,invite,ก",
        "b@opdc.go.th,invite,Bee",
        "c@opm.go.th,openid,ค",
        "a@opm.go.th,openid,again",
        "d@opm.go.th,secret,D",
    )
    assert (await imported())[0] == 1  # where are the codes to go?
    code, done = await imported("--check")
    assert (code, done["added"]) == (1, 2)
    code, done = await imported("--invitations", "codes.csv")
    assert (code, done["added"], done["already"]) == (1, 2, 0)
    assert [row["line"] for row in done["refused"]] == [3, 5, 6]
    assert done["refused"][0]["reason"] == "no agency has the domain opdc.go.th"
    assert codes() == ["a@opm.go.th"]
    assert [row["address"] for row in await told("account", "search", "ค")] == ["c@opm.go.th"]
    code, done = await imported("--invitations", "codes.csv")
    assert (code, done["added"], done["already"]) == (1, 0, 2)


async def test_codes_of_an_answer_that_was_lost_come_with_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await login(world, "admin")
    accounts(*(f"u{number}@opm.go.th,invite," for number in range(7)))
    monkeypatch.setattr(remote_import, "LINES_AT_ONCE", 3)
    ask, asked = Remote.ask, list[str]()

    async def lose_the_second(self: Remote, method: str, path: str, body: Any = None) -> Any:
        answer = await ask(self, method, path, body)
        if path.endswith("/import"):
            asked.append(path)
            if len(asked) == 2:
                raise Unavailable("the API", "the connection is gone")
        return answer

    monkeypatch.setattr(Remote, "ask", lose_the_second)
    assert (await imported("--invitations", "codes.csv"))[0] == 1
    code, done = await imported("--invitations", "codes.csv")
    assert (code, done["added"], done["already"]) == (0, 1, 6)
    assert sorted(codes()) == [f"u{number}@opm.go.th" for number in range(7)]


async def test_an_operator_without_an_agency_has_to_name_one(world: World) -> None:
    done = await run("login", world.http, "--user", "root", typed="correct horse battery\n")
    assert done.exit_code == 0, done.output
    accounts("a@opm.go.th,openid,")
    failed = await run("import", "accounts.csv")
    assert failed.exit_code == 1
    assert "say with --agency" in failed.output
    code, done_ = await imported("--agency", world.agencies["opm.go.th"])
    assert (code, done_["added"]) == (0, 1)


@pytest.mark.parametrize("who", ["member", "helpdesk", "stranger"])
async def test_who_may_not_add_accounts_imports_none(world: World, who: str) -> None:
    await login(world, who)
    accounts("a@opm.go.th,openid,")
    done = await run("import", "accounts.csv", "--agency", world.agencies["opm.go.th"])
    assert done.exit_code in (1, 3)
    assert "account.created/1" not in (await world.topics())[-3:]
