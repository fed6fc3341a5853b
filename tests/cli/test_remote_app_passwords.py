"""`saraban app-password` through the API, and what it does for whom."""

from tests.cli.remote import login, run, told
from tests.processes.web.world import PEOPLE, World

CLERK, MEMBER = PEOPLE["clerk"][0], PEOPLE["member"][0]


async def test_a_member_makes_sees_and_revokes_its_own(remote_world: World) -> None:
    await login(remote_world, "member")
    made = await told("app-password", "make", MEMBER, "--label", "โทรศัพท์", "--days", "30")
    assert made["password"]
    (shown,) = await told("app-password", "list", MEMBER)
    assert (shown["app_id"], shown["label"], "password" in shown) == (made["app_id"], "โทรศัพท์", False)
    other = await run("app-password", "list", CLERK)
    assert (other.exit_code, "a member sees" in other.stderr) == (1, True)
    await told("app-password", "revoke", made["app_id"], "--of", MEMBER, "--yes")
    none = await run("app-password", "list", MEMBER)
    assert (none.exit_code, none.stderr) == (3, f"saraban: {MEMBER} has no app password\n")


async def test_helpdesk_revokes_those_of_others_and_makes_none(remote_world: World) -> None:
    await login(remote_world, "operator")
    made = await told("app-password", "make", CLERK, "--label", "printer", "--network", "192.0.2.0/24")
    await login(remote_world, "helpdesk")
    refused = await run("app-password", "make", CLERK, "--label", "mine")
    assert (refused.exit_code, refused.stderr) == (1, "saraban: the role helpdesk does not allow this\n")
    await told("app-password", "revoke", made["app_id"], "--of", CLERK, "--yes")
    again = await run("app-password", "revoke", made["app_id"], "--of", CLERK, "--yes")
    assert again.exit_code == 3


async def test_what_is_no_network_is_told(remote_world: World) -> None:
    await login(remote_world, "member")
    refused = await run("app-password", "make", MEMBER, "--label", "x", "--network", "home")
    assert refused.exit_code == 1
    assert "a network is such as 192.0.2.0/24" in refused.stderr
