"""`saraban ban` through the API."""

from tests.cli.remote import login, run, told
from tests.processes.web.world import PEOPLE, World

CLERK = PEOPLE["clerk"][0]
WHY = ("--reason", "เดารหัสผ่าน")


async def test_an_operator_bans_exports_and_lifts(remote_world: World) -> None:
    await login(remote_world, "operator")
    network = await told("ban", "add", "--network", "192.0.2.0/24", "--for", "1h", *WHY)
    account = await told("ban", "add", "--account", CLERK, "--for", "7d", *WHY)
    listed = await told("ban", "list")
    assert [(row["whom"], row["why"]) for row in listed] == [(CLERK, WHY[1]), ("192.0.2.0/24", WHY[1])]
    exported = await run("ban", "export", "--nftables")
    assert "192.0.2.0/24 timeout" in exported.stdout
    assert "dport { 2525, 2587 }" in exported.stdout, "the gateway's own"
    chosen = await run("ban", "export", "--nftables", "--port", "25")
    assert "dport { 25 }" in chosen.stdout
    assert [row["network"] for row in await told("ban", "export")] == ["192.0.2.0/24"]
    lifted = await told("ban", "lift", network["ban_id"], *WHY, "--yes")
    assert lifted["whom"] == "192.0.2.0/24"
    again = await run("ban", "lift", network["ban_id"], *WHY, "--yes")
    assert again.stderr == f"saraban: {network['ban_id']} has been lifted already\n"
    states = {row["ban_id"]: row["state"] for row in await told("ban", "list", "--all")}
    assert states == {network["ban_id"]: "lifted", account["ban_id"]: "banned"}
    assert (await run("ban", "lift", "ban_x", *WHY, "--yes")).exit_code == 3


async def test_an_agencys_administrator_neither_sees_nor_bans(remote_world: World) -> None:
    await login(remote_world, "admin")
    for words in (("list",), ("add", "--account", CLERK, "--for", "1h", *WHY)):
        refused = await run("ban", *words)
        assert refused.stderr == "saraban: the role agency-admin does not allow this\n"
