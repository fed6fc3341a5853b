"""`saraban status` through the API."""

from tests.cli.remote import login, run, told
from tests.processes.web.world import World


async def test_an_operator_sees_the_figures(remote_world: World) -> None:
    await login(remote_world, "operator")
    figures = await told("status")
    assert (figures["api"], figures["position"], figures["is_well"]) == (remote_world.http, 42, True)
    assert figures["lags"] == {"mailbox": 0, "router-0": 7}
    shown = (await run("status")).stdout
    assert shown.startswith(f"{remote_world.http} is well\n")
    assert "queue: 3 recipients wait" in shown


async def test_nobody_else_does(remote_world: World) -> None:
    await login(remote_world, "auditor")
    refused = await run("status")
    assert (refused.exit_code, refused.stderr) == (1, "saraban: the role auditor does not allow this\n")
