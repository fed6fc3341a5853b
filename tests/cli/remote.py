"""Commands through the API, for the tests of each family of them."""

import asyncio
import json
from typing import Any

from click.testing import CliRunner, Result

from gateway.cli import main
from tests.processes.web.world import PASSWORD, PEOPLE, World


async def run(*words: str, typed: str | bytes = "") -> Result:
    """In a thread: the server needs the loop."""
    return await asyncio.to_thread(CliRunner().invoke, main, words, input=typed)


async def login(world: World, who: str) -> None:
    user = PEOPLE[who][0] if who in PEOPLE else who
    done = await run("login", world.http, "--user", user, typed=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output


async def told(*words: str) -> Any:
    """What it says as JSON."""
    done = await run("--json", *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)
