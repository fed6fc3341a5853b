"""`saraban agency close` through the API."""

from tests.cli.remote import login, run, told
from tests.processes.web.test_trials import LOST, WHY, lacking
from tests.processes.web.world import World


async def test_the_command_says_how_much_is_lacking_and_asks_first(remote_world: World) -> None:
    dld = await lacking(remote_world)
    await login(remote_world, "operator")
    shown = await run("agency", "show", dld)
    assert ["lacking_named:", LOST.named[0]] in [line.split() for line in shown.stdout.splitlines()]
    words = ("agency", "close", dld, "--reason", WHY["reason"])
    asked = await run(*words)
    assert (asked.exit_code, "say --yes" in asked.stderr) == (2, True), asked.output
    assert await told(*words, "--yes") == {"agency_id": dld, "status": "closing", "lacking": 1}
