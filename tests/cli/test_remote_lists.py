"""`saraban list` through the API."""

from pathlib import Path

from tests.cli.remote import login, run, told
from tests.processes.web.world import PEOPLE, World

CLERK, MALEE = PEOPLE["clerk"][0], PEOPLE["malee"][0]
ALL = "all@opm.go.th"


async def test_an_administrator_makes_a_list_fills_it_and_removes_it(
    remote_world: World, tmp_path: Path
) -> None:
    await login(remote_world, "admin")
    await told("list", "add", ALL, "--name", "ทุกคน")
    many = [f"u{number}@example.org" for number in range(250)]
    (tmp_path / "members.txt").write_text("\n".join(many))
    added = await told("list", "add-member", ALL, CLERK, MALEE, "--file", str(tmp_path / "members.txt"))
    assert added["added"] == 252
    await told("list", "remove-member", ALL, CLERK, "--yes")
    assert [row["member"] for row in await told("list", "members", ALL)] == [MALEE, *many]
    await told("list", "posting", ALL, "named", "--poster", MALEE, "--yes")
    none = await run("list", "posting", ALL, "named", "--yes")
    assert "name who may post" in none.stderr
    await told("list", "remove", ALL, "--reason", "ยุบกลุ่ม", "--yes")
    again = await run("list", "remove", ALL, "--reason", "test", "--yes")
    assert again.exit_code != 0


async def test_what_is_no_list_and_what_is_anothers_is_said(remote_world: World) -> None:
    await login(remote_world, "admin")
    person = await run("list", "members", CLERK)
    assert (person.exit_code, person.stderr) == (3, f"saraban: {CLERK} is no list\n")
    removed = await run("list", "remove", CLERK, "--reason", "test", "--yes")
    assert removed.stderr == f"saraban: {CLERK} is no list\n"
    foreign = await run("list", "add-member", MALEE, CLERK)
    assert foreign.stderr == f"saraban: {MALEE} is no account here\n"
    elsewhere = await run("list", "add", "all@opdc.go.th")
    assert elsewhere.stderr == "saraban: no agency has the domain opdc.go.th\n"
