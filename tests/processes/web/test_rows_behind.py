"""A change that is made is answered as made, also when log or rows are away before they know of it."""

from typing import Any

import pytest

from gateway.domain.account import AccountSuspended
from gateway.domain.app_passwords import AppPasswordMade
from gateway.ports import Unavailable
from tests.processes.web.test_under_way import SUSPEND
from tests.processes.web.world import World


@pytest.fixture
def away_after(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The log appends once more and is away then."""
    append, appended = world.log.append_guarded, list[Any]()

    async def last() -> Any:
        raise Unavailable("nats", "away")

    async def once(*args: Any) -> Any:
        appended.append(await append(*args))
        monkeypatch.setattr(world.log, "last", last)
        return appended[-1]

    monkeypatch.setattr(world.log, "append_guarded", once)
    return appended


async def test_a_change_whose_rows_are_behind_is_made(
    world: World, monkeypatch: pytest.MonkeyPatch, away_after: list[Any]
) -> None:
    await world.token("admin")
    made = await world.ask("admin", "POST", SUSPEND, {"reason": "test"})
    assert (made.status, made.headers.get("saraban-rows"), len(away_after)) == (200, "behind", 1)
    monkeypatch.undo()
    assert isinstance(await world.last_event(), AccountSuspended)


async def test_an_app_password_that_is_made_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, away_after: list[Any]
) -> None:
    await world.token("clerk")
    made = await world.ask("clerk", "POST", "/me/app-passwords", {"label": "phone"})
    assert (made.status, bool(made.body["password"])) == (201, True)
    assert len(away_after) == 1
    monkeypatch.undo()
    assert isinstance(await world.last_event(), AppPasswordMade)
