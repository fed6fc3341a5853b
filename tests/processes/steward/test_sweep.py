"""The sweep: only what no event names goes, and only after it lay in the trash for a grace time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.adapters.memory.content import MemoryPlaces
from gateway.adapters.memory.leases import MemoryLeases
from gateway.domain.events import Fact
from gateway.ports import StoredContent, Unavailable
from gateway.processes.steward.sweep import run, sweep
from tests.contracts.content_world import ContentWorld, Kept, fact_of, mail, memory_world, noise, opened

GRACE = timedelta(hours=24)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ContentWorld]:
    async with memory_world(tmp_path) as world:
        yield world


async def sweep_later(world: ContentWorld) -> int:
    """A sweep when all there is has grown older than the grace time."""
    world.clock.move(GRACE.total_seconds() + 1)
    return await sweep(world.objects, world.places, world.log, older_than=world.clock.now() - GRACE)


async def put_without_event(world: ContentWorld, seed: int) -> tuple[Kept, list[Fact]]:
    """What an edge leaves behind that dies before its append, and what it would have appended."""
    append, told = world.lane.append, list[Fact]()

    async def forget(facts: list[Fact]) -> int:
        told.extend(facts)
        return 0

    world.lane.append = forget  # type: ignore[method-assign, assignment]
    kept, _ = await world.put(mail(noise(70_000, seed), *(noise(40_000, n) for n in range(60))))
    world.lane.append = append  # type: ignore[method-assign]
    return kept, told


def names(stored: StoredContent) -> set[str]:
    return {stored.name for stored in stored.objects}


async def test_what_events_name_stays(world: ContentWorld) -> None:
    kept, stored = await world.put(mail(noise(70_000), *(noise(40_000, n) for n in range(60))))
    await world.put(mail(b"small"))
    await world.pack()
    before = [await world.names(prefix) for prefix in ("attachments/", "large/", "packs/")]
    assert [len(found) for found in before] == [1, 1, 1]
    for _ in range(3):
        assert await sweep_later(world) == 0
    assert [await world.names(prefix) for prefix in ("attachments/", "large/", "packs/")] == before
    assert names(stored) == {*before[0], *before[1]}
    assert await opened(world, [kept])


async def test_what_no_event_names_goes_through_the_trash(world: ContentWorld) -> None:
    await put_without_event(world, 1)
    await world.objects.put("packs/2026/11/23/pack_lost", lambda: [b"nobody recorded it"])
    assert await sweep_later(world) == 0
    trash = await world.names("trash/")
    assert len(trash) == 3
    assert [await world.names(prefix) for prefix in ("attachments/", "large/", "packs/")] == [[], [], []]
    assert await sweep_later(world) == 3
    assert await world.names("trash/") == []


async def test_what_is_young_is_left_alone(world: ContentWorld) -> None:
    await put_without_event(world, 1)
    assert await sweep(world.objects, world.places, world.log, older_than=world.clock.now() - GRACE) == 0
    assert await world.names("trash/") == []


async def test_an_object_that_is_named_late_can_be_read_and_comes_back(world: ContentWorld) -> None:
    """A second mail found the part there, the sweep took it, and then the mail's event came."""
    kept, told = await put_without_event(world, 1)
    await sweep_later(world)
    await world.lane.append(told)
    assert await opened(world, [kept])
    assert await sweep_later(world) == 0
    assert await world.names("trash/") == []
    assert await world.names("attachments/") == list(kept.content.attachments)
    assert await world.names("large/") == [kept.content.large]
    assert await opened(world, [kept])


async def test_a_part_that_was_swept_is_stored_again_by_the_next_mail(world: ContentWorld) -> None:
    await put_without_event(world, 1)
    await sweep_later(world)
    kept, stored = await world.put(mail(noise(70_000, 1)))
    assert len(stored.objects) == 1
    assert await sweep_later(world) == 1  # the old large one; the part is named now
    assert await opened(world, [kept])


async def test_rows_that_are_behind_decide_nothing(world: ContentWorld) -> None:
    places = world.places
    assert isinstance(places, MemoryPlaces)
    kept, _ = await world.put(mail(noise(70_000)))
    places.lag = 1
    with pytest.raises(Unavailable, match="content rows"):
        await sweep_later(world)
    assert await opened(world, [kept])


async def test_a_content_stored_event_names_its_object(world: ContentWorld) -> None:
    await world.objects.put("attachments/aa/named", lambda: [b"x"])
    await world.lane.append([fact_of("attachments/aa/named", 1, "0" * 64)])
    assert await sweep_later(world) == 0
    assert await world.names("attachments/") == ["attachments/aa/named"]


async def test_the_steward_sweeps_again_and_again(world: ContentWorld) -> None:
    await put_without_event(world, 1)
    task = asyncio.create_task(
        run(
            world.objects,
            world.places,
            world.log,
            world.clock,
            MemoryLeases(),
            grace=GRACE,
            every=timedelta(hours=6),
        )
    )
    async with asyncio.timeout(30):
        while [n for prefix in ("attachments/", "large/", "trash/") for n in await world.names(prefix)]:  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert world.clock.monotonic() >= 2 * GRACE.total_seconds()
