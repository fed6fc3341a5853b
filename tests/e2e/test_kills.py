"""Acceptance 4: whatever is killed, whenever: nothing acknowledged is lost, nothing is doubled."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.e2e.gateway import SARABAN, Gateway
from tests.e2e.storm import HOSTED, SOME, storm
from tests.sizes import size

VICTIMS = ("relay", "edge", "router", "packer", "projector", "nats", "s3", "postgres")
ACKNOWLEDGED = size(400, 10_000)
STOPPED_FOR_S = size(4, 30)


async def test_whatever_is_killed_under_load_nothing_is_lost(own_gateway: Gateway, tmp_path: Path) -> None:
    """Each process in turn, then the supervisor alone, then all at once, and started again."""
    async with storm(own_gateway, tmp_path) as at:
        for role in VICTIMS:
            before = await asyncio.to_thread(own_gateway.pid, role)
            await at.harm(partial(os.kill, before, signal.SIGKILL))
            await at.until(partial(_has_another, own_gateway, role, before), f"{role} is back")
            print(f"{role} killed: works again after {await at.recovered():.1f} s")
        for who, kill in (("supervisor", _kill_supervisor), ("all", Gateway.kill_everything)):
            await at.harm(partial(kill, own_gateway))
            await asyncio.to_thread(own_gateway.start)
            print(f"{who} killed: started and works again after {await at.recovered():.1f} s")
        await at.acknowledged(max(0, ACKNOWLEDGED - at.load.acknowledged))
        books = await at.settled()
    assert books.acknowledged >= ACKNOWLEDGED


def _has_another(gateway: Gateway, role: str, before: int) -> bool:
    return any(pid != before for pid in gateway.pids(role))


def _kill_supervisor(gateway: Gateway) -> None:
    gateway.kill("supervisor")


async def test_a_stopped_router_that_wakes_is_refused(own_gateway: Gateway, tmp_path: Path) -> None:
    async with storm(own_gateway, tmp_path) as at:
        paused = await asyncio.to_thread(own_gateway.pid, "router")
        os.kill(paused, signal.SIGSTOP)
        stopped_at = time.monotonic()
        delivered = len(await asyncio.to_thread(own_gateway.mailbox, HOSTED[0]))

        def twin_has_taken_over() -> bool:
            is_time = time.monotonic() - stopped_at >= STOPPED_FOR_S
            return is_time and len(own_gateway.mailbox(HOSTED[0])) > delivered + SOME

        command = (*SARABAN, "--data", str(own_gateway.data), "router")
        twin = await asyncio.create_subprocess_exec(*command, env=own_gateway.environment())
        try:
            await at.until(twin_has_taken_over, "the twin delivers")
            os.kill(paused, signal.SIGCONT)
            await at.until(partial(_is_gone, own_gateway, paused), "the woken one is refused and ends")
            await at.acknowledged()
            await at.settled()
        finally:
            with suppress(ProcessLookupError):
                twin.kill()
            await twin.wait()
    assert "deposed" in own_gateway.log_of("router").lower()


def _is_gone(gateway: Gateway, pid: int) -> bool:
    return pid not in gateway.pids("router")
