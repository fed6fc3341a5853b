"""Held mails (RFC 4865) are released when their time has come: once, whoever dies in between."""

from collections.abc import Sequence
from datetime import datetime

import pytest

from gateway.adapters.memory.log import open_lane
from gateway.domain.events import Actor, MailReleased
from gateway.mail.ids import MailId
from gateway.ports import Deposed, Position, Unavailable
from gateway.processes.steward.release import release
from tests.processes.world import AT, BY, World

ACTOR = Actor("system", "steward")


class HeldInMemory:
    """The port Held on the log itself. lag: how many of the last events the rows do not know."""

    def __init__(self, world: World, mails: dict[int, datetime]) -> None:
        self.world, self.mails, self.lag = world, mails, 0
        self.is_away = False

    async def reach(self, position: Position) -> bool:
        self.lag = self.lag if self.is_away else 0
        return not self.lag

    async def due(self, at: datetime) -> Sequence[tuple[int, MailId]]:
        known = (await self.world.events())[: -self.lag or None]
        gone = {event.event.accepted for event in known if isinstance(event.event, MailReleased)}
        return [(p, MailId(f"mail_{p}")) for p, when in self.mails.items() if when <= at and p not in gone]


@pytest.fixture
def world() -> World:
    return World()


async def test_what_has_fallen_due_is_released_once(world: World) -> None:
    held = HeldInMemory(world, {1: AT, 2: AT.replace(year=2030), 3: AT})
    async with open_lane(world.log, "steward-active-0", clock=world.clock, actor=ACTOR, by=BY) as lane:
        assert await release(held, world.log, world.clock, BY, lane) == 2
        held.lag = 2  # the rows do not know yet
        assert await release(held, world.log, world.clock, BY, lane) == 0
    released = [event for event in await world.of(MailReleased.TOPIC) if isinstance(event, MailReleased)]
    assert [(event.accepted, event.mail_id, event.cause) for event in released] == [
        (1, "mail_1", "1"),
        (3, "mail_3", "3"),
    ]


async def test_rows_that_are_behind_release_nothing(world: World) -> None:
    held = HeldInMemory(world, {1: AT})
    held.lag, held.is_away = 1, True
    async with open_lane(world.log, "steward-active-0", clock=world.clock, actor=ACTOR, by=BY) as lane:
        with pytest.raises(Unavailable):
            await release(held, world.log, world.clock, BY, lane)
    assert await world.of(MailReleased.TOPIC) == []


async def test_a_steward_that_was_paused_releases_nothing_any_more(world: World) -> None:
    held = HeldInMemory(world, {1: AT})
    name = "steward-active-0"
    async with (
        open_lane(world.log, name, clock=world.clock, actor=ACTOR, by=BY) as old,
        open_lane(world.log, name, clock=world.clock, actor=ACTOR, by=BY),
    ):
        with pytest.raises(Deposed):
            await release(held, world.log, world.clock, BY, old)
    assert await world.of(MailReleased.TOPIC) == []
