"""A change that was begun is made whole, also when who asked for it waits no more."""

import asyncio
from typing import Any

import pytest

from gateway.domain.account import AccountSuspended
from gateway.ports import Deposed, Unavailable
from gateway.processes.web import api
from gateway.processes.web.under_way import UnderWay
from tests.processes.web.world import PEOPLE, World, quoted

SUSPEND = f"/accounts/{quoted(PEOPLE['clerk'][0])}/suspend"


class Gate:
    """Holds whatever the log is asked to append until it is opened."""

    def __init__(self, world: World) -> None:
        self.asked, self.opened, self.done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._append = world.log.append_guarded
        world.log.append_guarded = self._hold  # type: ignore[method-assign]

    async def _hold(self, *args: Any) -> Any:
        self.asked.set()
        await self.opened.wait()
        appended = await self._append(*args)
        self.done.set()
        return appended


async def test_an_append_under_way_is_finished_after_the_answer_that_it_was_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.token("admin")
    gate = Gate(world)
    monkeypatch.setattr(api, "TIMEOUT_S", 0.5)
    refused = await world.ask("admin", "POST", SUSPEND, {"reason": "test"})
    assert (refused.status, refused.detail) == (
        504,
        "the gateway did not answer in time and the change may still happen: look before you try again",
    )
    assert gate.asked.is_set()
    assert not gate.done.is_set()
    gate.opened.set()
    async with asyncio.timeout(30):
        await gate.done.wait()
    assert isinstance(await world.last_event(), AccountSuspended)


async def test_the_server_ends_after_the_changes_under_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.token("admin")
    gate = Gate(world)
    monkeypatch.setattr(api, "TIMEOUT_S", 0.5)
    assert (await world.ask("admin", "POST", SUSPEND, {"reason": "test"})).status == 504
    assert world.serving is not None
    world.serving.cancel()
    gate.opened.set()
    await asyncio.wait([world.serving])
    assert isinstance(await world.last_event(), AccountSuspended)


async def test_what_is_only_read_is_not_said_to_happen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.token("admin")

    async def never(subject: str, after: object = 0) -> None:
        await asyncio.Event().wait()

    world.log.history = never  # type: ignore[method-assign, assignment]
    monkeypatch.setattr(api, "TIMEOUT_S", 0.5)
    refused = await world.ask("admin", "GET", f"/agencies/{world.agencies['opm.go.th']}/limits")
    assert (refused.status, refused.detail) == (503, "the gateway did not answer in time: try again later")


@pytest.mark.parametrize(
    "error", [None, Unavailable("nats", "no answer"), Deposed("another web"), KeyError()]
)
async def test_who_waits_no_more_is_told_nothing_but_the_process_is(error: Exception | None) -> None:
    told: list[Deposed] = []
    opened = asyncio.Event()

    async def work() -> None:
        await opened.wait()
        if error is not None:
            raise error

    under_way = UnderWay(told.append)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await under_way.see_through(work())
    opened.set()
    await under_way.finish()
    await asyncio.sleep(0)  # what is told at the end of a task is told a turn later
    assert told == ([error] if isinstance(error, Deposed) else [])
