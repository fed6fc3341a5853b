"""What every EventLog does."""

import asyncio

import pytest

from gateway.domain.codec import EVENT_OCTETS_MAX
from gateway.ports import START, Checkpoint, Conflict, EventLog, LogCorrupt, Position
from tests.contracts.facts import checkpoint, everything, fact, numbers, take
from tests.sizes import size


class EventLogContract:
    async def test_an_empty_log_ends_at_0(self, log: EventLog) -> None:
        assert await log.last() == 0
        assert await log.history("route.0") == []
        with pytest.raises(IndexError):
            await log.read(Position(1))

    async def test_append_gives_the_position_of_the_last_fact(self, log: EventLog) -> None:
        assert await log.append_guarded([fact(1, "route.0")], {"route.0": Position(0)}) == 1
        group = [fact(2, "route.0"), fact(3), fact(4)]
        assert await log.append_guarded(group, {"route.0": Position(1)}) == 4
        assert numbers([await log.read(Position(position)) for position in (1, 2, 3, 4)]) == [1, 2, 3, 4]
        assert await log.last() == 4

    async def test_what_is_read_is_what_was_appended(self, log: EventLog) -> None:
        await log.append_guarded([fact(7, "agency.ag_1")], {"agency.ag_1": Position(0)}, {"agency.ag_1": 3})
        event = await log.read(Position(1))
        assert (event.subject, event.topic, event.version) == ("ev.agency.ag_1", "router.decided/1", 3)
        assert event.event == fact(7).event

    async def test_append_refuses_to_rewrite_history(self, log: EventLog) -> None:
        await log.append_guarded([fact(1, "route.0")], {"route.0": Position(0)})
        for expected in (0, 2):
            with pytest.raises(Conflict):
                await log.append_guarded([fact(2, "route.0")], {"route.0": Position(expected)})
        assert await log.last() == 1

    async def test_a_group_with_one_stale_guard_is_refused_whole(self, log: EventLog) -> None:
        await log.append_guarded([fact(1, "route.0")], {"route.0": Position(0)})
        with pytest.raises(Conflict):
            await log.append_guarded(
                [fact(2), fact(3, "route.1"), fact(4, "route.0")],
                {"route.1": Position(0), "route.0": Position(0)},
            )
        assert await log.last() == 1

    async def test_a_history_that_is_only_read_is_guarded_too(self, log: EventLog) -> None:
        await log.append_guarded([fact(1, "hold.h1")], {"hold.h1": Position(0)})
        group = [fact(2, "route.0"), fact(3)]
        with pytest.raises(Conflict):
            await log.append_guarded(group, {"route.0": Position(0), "hold.h1": Position(0)})
        assert await log.append_guarded(group, {"route.0": Position(0), "hold.h1": Position(1)}) == 3

    async def test_guards_that_could_not_hold_are_refused(self, log: EventLog) -> None:
        with pytest.raises(ValueError, match="writes to one of the histories"):
            await log.append_guarded([fact(1)], {"hold.h1": Position(0)})
        with pytest.raises(ValueError, match=r"carry the guard of hold\.h1"):
            await log.append_guarded([fact(1)], {"mail.00": Position(0), "hold.h1": Position(0)})

    async def test_what_is_too_large_is_refused(self, log: EventLog) -> None:
        guard = {"mail.00": Position(0)}
        for facts in (
            [],
            [fact(n) for n in range(501)],
            [fact(1, padding=EVENT_OCTETS_MAX)],
            [fact(n, padding=EVENT_OCTETS_MAX - 1000) for n in range(4)],
        ):
            with pytest.raises(ValueError, match=r"nothing|octets"):
                await log.append_guarded(facts, guard)
        assert await log.append_guarded([fact(n, padding=1000) for n in range(500)], guard) == 500

    async def test_versions_count_up_within_a_history(self, log: EventLog) -> None:
        group = [fact(1, "agency.a"), fact(2, "mail.00"), fact(3, "agency.a"), fact(4, "account.b")]
        guards = {"agency.a": Position(0), "account.b": Position(0)}
        await log.append_guarded(group, guards, {"agency.a": 1, "account.b": 1})
        assert [event.version for event in await everything(log, START)] == [1, 0, 2, 1]

    async def test_a_history_is_that_subject_alone(self, log: EventLog) -> None:
        group = [fact(n, f"route.{n % 3}") for n in range(30)]
        await log.append_guarded(group, {"route.0": Position(0)})
        assert numbers(await log.history("route.1")) == list(range(1, 30, 3))
        assert numbers(await log.history("route.1", Position(20))) == [22, 25, 28]
        assert await log.history("route.1", Position(29)) == []

    async def test_the_latest_event_of_a_history(self, log: EventLog) -> None:
        assert await log.latest("route.0") is None
        await log.append_guarded([fact(1, "route.0"), fact(2), fact(3, "route.0")], {"route.0": Position(0)})
        latest = await log.latest("route.0")
        assert latest == await log.read(Position(3))

    async def test_a_long_history_is_read_whole(self, log: EventLog) -> None:
        after = Position(0)
        for start in range(0, 2500, 500):
            group = [fact(n, "route.0") for n in range(start, start + 500)]
            after = await log.append_guarded(group, {"route.0": after})
        assert numbers(await log.history("route.0")) == list(range(2500))

    async def test_follow_gives_events_in_the_order_they_were_appended(self, log: EventLog) -> None:
        count, after = size(2000, 20_000), Position(0)
        for start in range(0, count, 500):
            group = [fact(n, "route.0") for n in range(start, start + 500)]
            after = await log.append_guarded(group, {"route.0": after})
        events = await everything(log, START)
        assert numbers(events) == list(range(count))
        assert [event.position for event in events] == list(range(1, count + 1))

    async def test_follow_gives_at_most_1000_at_a_time(self, log: EventLog) -> None:
        after = Position(0)
        for _ in range(3):
            after = await log.append_guarded([fact(n, "route.0") for n in range(500)], {"route.0": after})
        sizes = []
        async for batch in log.follow(START):
            sizes.append(len(batch))
            if sum(sizes) == 1500:
                break
        assert max(sizes) <= 1000

    async def test_follow_goes_on_with_what_comes(self, log: EventLog) -> None:
        following = log.follow(START)
        coming = asyncio.ensure_future(take(following, 2))
        await log.append_guarded([fact(1, "route.0")], {"route.0": Position(0)})
        await log.append_guarded([fact(2, "route.0")], {"route.0": Position(1)})
        assert numbers(await coming) == [1, 2]
        await log.append_guarded([fact(3, "route.0")], {"route.0": Position(2)})
        assert numbers(await take(following, 1)) == [3]

    async def test_follow_begins_after_the_checkpoint(self, log: EventLog) -> None:
        await log.append_guarded([fact(n, "route.0") for n in range(1, 6)], {"route.0": Position(0)})
        third = await log.read(Position(3))
        assert numbers(await everything(log, checkpoint(third))) == [4, 5]

    async def test_several_follow_at_once(self, log: EventLog) -> None:
        readers = [log.follow(START) for _ in range(3)]
        coming = [asyncio.ensure_future(take(reader, 100)) for reader in readers]
        await log.append_guarded([fact(n, "route.0") for n in range(100)], {"route.0": Position(0)})
        for events in await asyncio.gather(*coming):
            assert numbers(events) == list(range(100))

    async def test_follow_stops_at_another_event_than_the_one_read_before(self, log: EventLog) -> None:
        await log.append_guarded([fact(n, "route.0") for n in range(1, 6)], {"route.0": Position(0)})
        with pytest.raises(LogCorrupt) as raised:
            await anext(log.follow(Checkpoint(Position(3), b"another")))
        assert raised.value.position == 3

    async def test_follow_stops_at_a_log_shorter_than_the_checkpoint(self, log: EventLog) -> None:
        await log.append_guarded([fact(1, "route.0")], {"route.0": Position(0)})
        with pytest.raises(LogCorrupt) as raised:
            await anext(log.follow(Checkpoint(Position(2), b"gone")))
        assert raised.value.position == 2

    async def test_of_many_who_append_at_once_one_gets_in(self, log: EventLog) -> None:
        async def attempt(number: int) -> bool:
            try:
                await log.append_guarded([fact(number, "route.0"), fact(number)], {"route.0": Position(0)})
            except Conflict:
                return False
            return True

        outcomes = await asyncio.gather(*(attempt(number) for number in range(20)))
        assert outcomes.count(True) == 1
        assert numbers(await everything(log, START)) == [outcomes.index(True)] * 2
