"""Aggregates by asyncio: guarded by their versions, decided again on a conflict, all or none."""

import asyncio
from datetime import UTC, datetime
from typing import ClassVar, Self

import pytest

from gateway.adapters.aggregates import LoggedAggregates
from gateway.adapters.memory.log import MemoryLog
from gateway.domain.aggregate import Aggregate, AggregateEvent, CreatedEvent
from gateway.domain.events import EVENT_TYPES, Actor, By, Stamp
from gateway.ports import Aggregates, Conflict, Position
from tests.contracts.facts import fact

STAMP = Stamp(datetime(2026, 11, 23, tzinfo=UTC), Actor("system", "test"), By("test", "0", "0"))


class CounterCreated(CreatedEvent, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "test.counter-created/1"


class Counted(AggregateEvent, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "test.counted/1"

    by_how_much: int

    def apply(self, aggregate: "Counter") -> None:
        aggregate.count += self.by_how_much


del EVENT_TYPES["test.counter-created/1"], EVENT_TYPES["test.counted/1"]  # no topics of the gateway's


class Counter(Aggregate):
    TOPIC: ClassVar[str] = "test.counter"

    def __init__(self) -> None:
        self.count = 0

    @classmethod
    def create(cls, identifier: str) -> Self:
        return cls.create_as(CounterCreated, identifier, STAMP)

    def add(self, by_how_much: int) -> None:
        self.trigger(Counted, STAMP, by_how_much=by_how_much)


@pytest.fixture(autouse=True)
def topics(monkeypatch: pytest.MonkeyPatch) -> None:
    for event_type in (CounterCreated, Counted):
        monkeypatch.setitem(EVENT_TYPES, event_type.TOPIC, event_type)


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def aggregates(log: MemoryLog) -> Aggregates:
    return LoggedAggregates(log)


async def test_what_was_saved_is_read_again(aggregates: Aggregates) -> None:
    counter = Counter.create("ag_1")
    counter.add(2)
    assert await aggregates.save(counter) == 2
    assert (await aggregates.get(Counter, "ag_1")).count == 2
    assert await aggregates.command(Counter, "ag_1", lambda c: c.add(3)) == 3
    assert (await aggregates.get(Counter, "ag_1")).count == 5


async def test_what_never_was_is_a_key_error(aggregates: Aggregates) -> None:
    with pytest.raises(KeyError):
        await aggregates.get(Counter, "ag_1")


async def test_two_who_decide_on_the_same_version_do_not_both_save(aggregates: Aggregates) -> None:
    await aggregates.save(Counter.create("ag_1"))
    first, second = [await aggregates.get(Counter, "ag_1") for _ in range(2)]
    first.add(1)
    second.add(10)
    await aggregates.save(first)
    with pytest.raises(Conflict):
        await aggregates.save(second)
    with pytest.raises(Conflict):
        await aggregates.save(Counter.create("ag_1"))
    assert (await aggregates.get(Counter, "ag_1")).count == 1


async def test_a_conflict_is_decided_again(log: MemoryLog, aggregates: Aggregates) -> None:
    await aggregates.save(Counter.create("ag_1"))
    await asyncio.gather(*(aggregates.command(Counter, "ag_1", lambda c: c.add(1)) for _ in range(5)))
    assert (await aggregates.get(Counter, "ag_1")).count == 5
    assert [event.version for event in await log.history("agency.ag_1")] == [1, 2, 3, 4, 5, 6]


async def test_several_aggregates_and_facts_are_saved_all_or_none(
    log: MemoryLog, aggregates: Aggregates
) -> None:
    guard = {"domain.opm%2Ego%2Eth": Position(0)}
    claimed = fact(1, "domain.opm%2Ego%2Eth")
    assert await aggregates.save(Counter.create("ag_1"), facts=[claimed], expected=guard) == 2
    with pytest.raises(Conflict):
        await aggregates.save(
            Counter.create("ag_2"), Counter.create("acc_1"), facts=[claimed], expected=guard
        )
    assert await log.last() == 2
