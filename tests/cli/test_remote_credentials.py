"""`saraban account password`, `invite` and `totp` through the API."""

from pathlib import Path

from tests.cli.remote import login, run, told
from tests.processes.web.world import PASSWORD, PEOPLE, World

CLERK, MEMBER = PEOPLE["clerk"][0], PEOPLE["member"][0]


async def test_an_administrator_sets_a_password_and_invites(remote_world: World, tmp_path: Path) -> None:
    await login(remote_world, "admin")
    file = tmp_path / "password"
    file.write_text("quite another one\n")
    assert (await told("account", "password", CLERK, "--password-file", str(file)))["account_id"]
    assert (await told("account", "invite", CLERK))["code"]
    made = await told("account", "totp", CLERK)
    assert made["uri"].startswith("otpauth://totp/")
    await told("account", "totp", CLERK, "--remove", "--yes")
    none = await run("account", "totp", CLERK, "--remove", "--yes")
    assert (none.exit_code, none.stderr) == (3, f"saraban: {CLERK} has no authenticator\n")


async def test_who_was_invited_sets_the_password_from_anywhere(remote_world: World, tmp_path: Path) -> None:
    await login(remote_world, "admin")
    code = (await told("account", "invite", CLERK))["code"]
    await run("logout")
    file = tmp_path / "password"
    file.write_text("quite another one\n")
    words = ("account", "accept-invitation", CLERK, "--password-file", str(file), "--url", remote_world.http)
    wrong = await run(*words, "--code", "x")
    assert (wrong.exit_code, "has no invitation with this code" in wrong.stderr) == (1, True), wrong.output
    accepted = await told(*words, "--code", code)
    assert (accepted["address"], accepted["account_id"][:4]) == (CLERK, "acc_")
    clear = await run(*words[:-1], "http://mail.example.org", "--code", code)
    assert "would carry the password in the clear: use https" in clear.stderr


async def test_a_member_sets_its_own_password_with_the_current_one(
    remote_world: World, tmp_path: Path
) -> None:
    await login(remote_world, "member")
    file = tmp_path / "password"
    file.write_text("quite another one\n")
    lacking = await run("account", "password", MEMBER, "--password-file", str(file))
    assert "has no line 2: current password" in lacking.stderr
    file.write_text(f"quite another one\n{PASSWORD}\n")
    await told("account", "password", MEMBER, "--password-file", str(file))
    ended = await run("account", "password", MEMBER, "--password-file", str(file))
    assert "saraban login" in ended.stderr


async def test_one_begins_with_ones_own_authenticator(remote_world: World) -> None:
    """Without an address: an operator of `saraban init` has none."""
    await login(remote_world, "root")
    begun = await run("account", "totp")
    assert "otpauth://totp/" in begun.stdout
    assert "saraban account totp --code CODE" in begun.stderr
    wrong = await run("account", "totp", "--code", "x")
    assert wrong.stderr == "saraban: this is no code of the authenticator that holds now\n"
