"""What every Lane does."""

import asyncio

import pytest

from gateway.domain.events import LaneOpened
from gateway.ports import START, Deposed, EventLog
from tests.contracts.facts import OpenLane, everything, fact, numbers
from tests.sizes import size


class LaneContract:
    async def test_append_gives_the_position_of_the_last_fact(
        self, log: EventLog, open_lane: OpenLane
    ) -> None:
        async with open_lane("edge-h-0") as lane:
            position = await lane.append([fact(1), fact(2)])
            assert position == await log.last()
            assert await lane.append([fact(3)]) == position + 1
        assert numbers(await everything(log, START)) == [1, 2, 3]

    async def test_a_group_is_never_split(self, log: EventLog, open_lane: OpenLane) -> None:
        count, length = size(200, 2000), 7
        async with open_lane("edge-h-0") as lane, open_lane("edge-h-1") as other:
            groups = [[fact(n)] * length for n in range(count)]
            positions = await asyncio.gather(
                *((lane if n % 2 else other).append(group) for n, group in enumerate(groups))
            )
        events = await everything(log, START)
        for number, position in enumerate(positions):
            assert numbers(events[position - length : position]) == [number] * length

    async def test_what_many_append_at_once_is_all_there_once(
        self, log: EventLog, open_lane: OpenLane
    ) -> None:
        count = size(1000, 20_000)
        async with open_lane("edge-h-0") as lane:
            positions = await asyncio.gather(*(lane.append([fact(n)]) for n in range(count)))
        events = await everything(log, START)
        assert sorted(numbers(events)) == list(range(count))
        for number, position in enumerate(positions):
            assert numbers([events[position - 1]]) == [number]

    async def test_one_writer_after_another_keeps_its_order(self, log: EventLog, open_lane: OpenLane) -> None:
        async with open_lane("edge-h-0") as lane:
            for number in range(50):
                await lane.append([fact(number)])
        assert numbers(await everything(log, START)) == list(range(50))

    async def test_a_paused_twin_is_deposed(self, log: EventLog, open_lane: OpenLane) -> None:
        async with open_lane("relay-h-0") as paused:
            await paused.append([fact(1)])
            async with open_lane("relay-h-0") as lane:
                for group in ([fact(2)], [fact(3), fact(4)]):
                    with pytest.raises(Deposed):
                        await paused.append(group)
                await lane.append([fact(5)])
        assert numbers(await everything(log, START)) == [1, 5]

    async def test_lanes_side_by_side_do_not_depose_each_other(
        self, log: EventLog, open_lane: OpenLane
    ) -> None:
        async with open_lane("edge-h-0") as first, open_lane("edge-h-1") as second:
            await first.append([fact(1)])
            await second.append([fact(2)])
            await first.append([fact(3)])
        opened = [event for event in await everything(log, START) if event.topic == LaneOpened.TOPIC]
        assert [event.subject for event in opened] == ["ev.lane.edge-h-0", "ev.lane.edge-h-1"]

    async def test_a_group_that_is_too_large_is_refused_and_the_lane_goes_on(
        self, log: EventLog, open_lane: OpenLane
    ) -> None:
        async with open_lane("edge-h-0") as lane:
            for facts in ([], [fact(n) for n in range(501)]):
                with pytest.raises(ValueError, match=r"nothing|facts"):
                    await lane.append(facts)
            await lane.append([fact(1)])
        assert numbers(await everything(log, START)) == [1]
