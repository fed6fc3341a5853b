"""Lost acks, killed servers, deposed owners: what was acknowledged is there once, what was refused is not."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial

import pytest

from gateway.adapters.jetstream import JetStreamLog, Link, connect, open_lane, open_log, prepare
from gateway.adapters.system import SystemClock
from gateway.domain.events import LaneClosed
from gateway.ports import START, Conflict, Deposed, Lane, Position, Recorded, Unavailable
from tests.adapters.jetstream.proxy import CuttingProxy, cutting_proxy
from tests.conftest import RunningNats
from tests.contracts.facts import ACTOR, BY, everything, fact, numbers, take, until
from tests.sizes import size

CLOCK = SystemClock()
ACK = b'"seq":'


class Tally:
    """What the log said of each group, and whether that is so."""

    def __init__(self, length: int = 1) -> None:
        self.length = length  # facts of a group
        self.stored: dict[int, int] = {}  # position by number
        self.refused: set[int] = set()

    async def append(self, lane: Lane, number: int) -> None:
        group = [fact(number, f"mail.{(number + i) % 64:02d}") for i in range(self.length)]
        try:
            self.stored[number] = await lane.append(group)
        except (Unavailable, Deposed):
            self.refused.add(number)

    def has(self, enough: int) -> bool:
        return len(self.stored) >= enough

    def check(self, events: Sequence[Recorded]) -> None:
        found = numbers(events)
        assert sorted(found) == sorted(n for n in self.stored for _ in range(self.length))
        for number, position in self.stored.items():
            assert numbers(events[position - self.length : position]) == [number] * self.length


@pytest.fixture
async def cut_log(
    log: JetStreamLog, nats_server: RunningNats
) -> AsyncIterator[tuple[CuttingProxy, JetStreamLog]]:
    """The log as seen through a line that can be cut."""
    async with cutting_proxy(nats_server.url()) as (proxy, url), connect(url, name="cut") as link:
        yield proxy, await open_log(link, log.stream)


@pytest.mark.parametrize(("length", "at_once"), [(1, 1), (1, 5), (1, 40), (3, 1), (3, 40)])
async def test_a_lost_ack_doubles_nothing_and_loses_nothing(
    log: JetStreamLog, cut_log: tuple[CuttingProxy, JetStreamLog], length: int, at_once: int
) -> None:
    proxy, through_proxy = cut_log
    tally, cuts, chance = Tally(length), size(8, 200), random.Random(at_once)
    async with open_lane(through_proxy, "edge-h-0", clock=CLOCK, actor=ACTOR, by=BY) as lane:
        number = 0
        while proxy.cuts < cuts:
            number += at_once + 1
            await tally.append(lane, number + at_once)  # now the lane is open: the next ack is an append's
            if chance.random() < 0.7:
                proxy.cut_at_answer(ACK)
            else:
                proxy.cut_at_request(b"HPUB in.")
            async with asyncio.TaskGroup() as group:
                for n in range(number, number + at_once):
                    group.create_task(tally.append(lane, n))
            await until(lambda: through_proxy.link.client.is_connected)
    events = await everything(log, START)
    tally.check(events)
    assert [event.topic for event in events].count(LaneClosed.TOPIC) == proxy.cuts
    assert len(tally.stored) > cuts > 0 < len(tally.refused)
    print(f"{proxy.cuts} cuts, {len(tally.stored)} stored, {len(tally.refused)} refused")


async def test_a_lost_ack_of_a_guarded_append_is_no_conflict(
    log: JetStreamLog, cut_log: tuple[CuttingProxy, JetStreamLog]
) -> None:
    proxy, through_proxy = cut_log
    position = Position(0)
    for number in range(size(10, 100)):
        proxy.cut_at_answer(ACK)
        group = [fact(number), fact(number, "route.0")][number % 2 :]
        while True:
            try:
                position = await through_proxy.append_guarded(group, {"route.0": position})
                break
            except Unavailable:  # the line is not back yet: nothing was sent
                continue
        assert position == await log.last()
    assert numbers(await everything(log, START)) == [
        n for n in range(size(10, 100)) for _ in range(2 - n % 2)
    ]
    with pytest.raises(Conflict):
        await log.append_guarded([fact(0, "route.0")], {"route.0": Position(0)})


async def test_who_is_deposed_while_an_ack_is_lost_learns_what_was_stored(
    log: JetStreamLog, cut_log: tuple[CuttingProxy, JetStreamLog]
) -> None:
    proxy, through_proxy = cut_log
    stored, lost = Tally(), Tally()
    for cuts, (tally, cut) in enumerate(((stored, proxy.cut_at_answer), (lost, proxy.cut_at_request))):
        async with AsyncExitStack() as stack:
            old = await stack.enter_async_context(
                open_lane(through_proxy, "relay-h-0", clock=CLOCK, actor=ACTOR, by=BY)
            )
            cut(ACK if tally is stored else b"HPUB in.")
            appending = asyncio.create_task(tally.append(old, 1 if tally is stored else 2))
            await until(partial(proxy.has_cut, cuts + 1))
            await stack.enter_async_context(open_lane(log, "relay-h-0", clock=CLOCK, actor=ACTOR, by=BY))
            await appending
            with pytest.raises(Deposed):
                await old.append([fact(3)])
    assert list(stored.stored) == [1]
    assert lost.refused == {2}
    assert numbers(await everything(log, START)) == [1]


@pytest.fixture
async def own_link(own_nats_server: RunningNats) -> AsyncIterator[Link]:
    async with connect(own_nats_server.url(), name="own") as link:
        await prepare(link, 1024 * 1024)
        yield link


async def test_a_killed_server_loses_nothing_it_acknowledged(
    own_nats_server: RunningNats, own_link: Link
) -> None:
    log = await open_log(own_link)
    tally, numbers_to_come, wanted = Tally(), iter(range(10**9)), size(1500, 15_000)
    following = asyncio.create_task(_follow(log, tally, wanted))
    kills = size(3, 12)

    async def appends(lane: Lane) -> None:
        while len(tally.stored) < wanted:
            await tally.append(lane, next(numbers_to_come))

    async with (
        open_lane(log, "edge-h-0", clock=CLOCK, actor=ACTOR, by=BY) as lane,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(50):
            group.create_task(appends(lane))
        for number in range(1, kills + 1):  # something is left to be stored after the last
            await until(partial(tally.has, wanted * number // (kills + 1)))
            own_nats_server.kill()
            await asyncio.to_thread(own_nats_server.start)
    followed = await following  # which waits until the line is back after the last kill
    events = await everything(log, START)
    tally.check(events)
    assert [event.position for event in followed] == list(range(1, len(followed) + 1))
    assert followed == events[: len(followed)]
    print(f"{kills} kills, {len(tally.stored)} stored, {len(tally.refused)} refused")


async def _follow(log: JetStreamLog, tally: Tally, wanted: int) -> list[Recorded]:
    """Read along until all that is wanted has been seen."""
    events: list[Recorded] = []
    async for batch in log.follow(START):
        events += batch
        if len(numbers(events)) >= wanted:
            break
    return events


async def test_follow_goes_on_after_a_restart(own_nats_server: RunningNats, own_link: Link) -> None:
    log = await open_log(own_link)
    following = log.follow(START)
    await log.append_guarded([fact(1, "route.0")], {"route.0": Position(0)})
    assert numbers(await take(following, 1)) == [1]
    coming = asyncio.create_task(take(following, 1))
    await asyncio.to_thread(own_nats_server.restart)
    async with connect(own_nats_server.url(), name="another") as another:
        again = await open_log(another)
        await again.append_guarded([fact(2, "route.0")], {"route.0": Position(1)})
        began = CLOCK.monotonic()
        assert numbers(await coming) == [2]
        print(f"{CLOCK.monotonic() - began:.2f} s after the append")


async def test_while_the_line_is_down_appends_are_refused_and_not_stored_later(
    log: JetStreamLog, cut_log: tuple[CuttingProxy, JetStreamLog]
) -> None:
    proxy, through_proxy = cut_log
    async with open_lane(through_proxy, "edge-h-0", clock=CLOCK, actor=ACTOR, by=BY) as lane:
        proxy.cut()
        await until(lambda: not through_proxy.link.client.is_connected)
        with pytest.raises(Unavailable):
            await lane.append([fact(1)])
        await until(lambda: through_proxy.link.client.is_connected)
        await lane.append([fact(2)])
    assert numbers(await everything(log, START)) == [2]
