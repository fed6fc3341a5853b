"""The packer: what goes into a pack, what is recorded, when CT forgets, and what a crash anywhere does."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.memory.content import MemoryObjects, MemoryPlaces
from gateway.domain.events import ContentPacked
from gateway.domain.packs import PACK_OCTETS_MAX, read_index
from gateway.ports import Deposed, Unavailable
from tests.contracts.content_world import ContentWorld, Kept, mail, memory_world, noise, opened


class Died(BaseException):
    """What SIGKILL is to the code it hits: nothing after it runs."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ContentWorld]:
    async with memory_world(tmp_path) as world:
        yield world


async def put(world: ContentWorld, count: int, octets: int = 500) -> list[Kept]:
    return [(await world.put(mail(noise(octets, seed))))[0] for seed in range(count)]


async def told(world: ContentWorld) -> list[ContentPacked]:
    events = [recorded.event for recorded in await world.log.history("content")]
    return [event for event in events if isinstance(event, ContentPacked)]


async def test_a_pack_is_cut_two_seconds_after_its_first_content(world: ContentWorld) -> None:
    kept = await put(world, 5)
    await world.packer.step()
    world.clock.move(1.9)
    await world.packer.step()
    assert await told(world) == []
    world.clock.move(0.1)
    await world.packer.step()
    (event,) = await told(world)
    assert [entry.digest for entry in event.entries] == [one.content.digest for one in kept]
    assert [entry.hint for entry in event.entries] == [one.content.hint for one in kept]
    octets = await world.objects.get(event.pack)
    assert (len(octets), read_index(octets)) == (event.octets, event.entries)


async def test_a_pack_holds_1000_contents_at_most(world: ContentWorld) -> None:
    await put(world, 1200, octets=10)
    await world.pack()
    events = await told(world)
    assert [len(event.entries) for event in events] == [400, 400, 200, 200]
    assert len({event.pack for event in events}) == 2


async def test_a_pack_holds_8_mib_at_most(world: ContentWorld) -> None:
    for seed in range(130):
        await world.put(mail(noise(45_000, seed), noise(45_000, 1000 + seed)))
    await world.pack()
    sizes = [len(await world.objects.get(event.pack)) for event in await told(world)]
    assert len(sizes) == 2
    assert all(size <= PACK_OCTETS_MAX + 60 * 130 for size in sizes)  # and the index
    assert max(sizes) > PACK_OCTETS_MAX - 128 * 1024


async def test_ct_forgets_a_minute_after_the_rows_know(world: ContentWorld) -> None:
    places = world.places
    assert isinstance(places, MemoryPlaces)
    kept = await put(world, 3)
    await world.packer.step()
    world.clock.move(2)
    await world.packer.step()
    world.clock.move(59)
    await world.packer.step()
    assert await world.write_ahead.waiting() == 3
    world.clock.move(1)
    await world.packer.step()
    assert await world.write_ahead.waiting() == 0
    assert await opened(world, kept)


async def test_ct_keeps_what_the_rows_do_not_know(world: ContentWorld) -> None:
    places = world.places
    assert isinstance(places, MemoryPlaces)
    places.lag = 1
    kept = await put(world, 3)
    await world.packer.step()
    world.clock.move(2)
    for _ in range(5):
        await world.packer.step()
        world.clock.move(100)
    assert await world.write_ahead.waiting() == 3
    assert await opened(world, kept)
    places.lag = 0
    await world.packer.step()
    assert await world.write_ahead.waiting() == 0


async def test_while_the_objects_are_away_ct_keeps_and_later_all_is_packed(world: ContentWorld) -> None:
    objects = world.objects
    assert isinstance(objects, MemoryObjects)
    kept = await put(world, 20)
    objects.fault = Unavailable("s3", "is away")
    await world.packer.step()
    world.clock.move(2)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await world.packer.step()
    assert await told(world) == []
    assert await opened(world, kept)
    objects.fault = None
    await world.pack()
    await world.purge()
    assert sum(len(event.entries) for event in await told(world)) == 20
    assert await opened(world, kept)


async def test_a_pack_that_was_not_stored_as_sent_is_not_recorded(
    world: ContentWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = world.objects
    assert isinstance(objects, MemoryObjects)
    kept = await put(world, 3)
    await world.packer.step()
    world.clock.move(2)
    put_whole = objects.put

    async def put_damaged(name: str, octets: Any, size: int = -1) -> Any:
        stored = await put_whole(name, octets, size)
        kept_as = objects.objects[name]
        objects.objects[name] = bytes([kept_as[0] ^ 1]) + kept_as[1:]
        return stored

    monkeypatch.setattr(objects, "put", put_damaged)
    with pytest.raises(Unavailable, match="is not what was stored"):
        await world.packer.step()
    assert await told(world) == []
    monkeypatch.undo()
    await world.pack()
    assert await opened(world, kept)


async def test_a_second_packer_records_nothing_twice(world: ContentWorld) -> None:
    kept = await put(world, 30)
    await world.pack()
    world.packer = world.new_packer()
    kept += await put(world, 5)
    await world.pack()
    assert [len(event.entries) for event in await told(world)] == [30, 5]
    await world.purge()
    assert await world.write_ahead.waiting() == 0
    assert await opened(world, kept)


async def test_a_packer_that_finds_all_packed_still_purges(world: ContentWorld) -> None:
    kept = await put(world, 3)
    await world.pack()
    world.packer = world.new_packer()
    await world.packer.step()
    await world.purge()
    assert await world.write_ahead.waiting() == 0
    assert await opened(world, kept)


async def test_a_deposed_packer_records_nothing(world: ContentWorld, tmp_path: Path) -> None:
    await put(world, 3)

    class Elsewhere:
        async def append(self, facts: object) -> int:
            raise Deposed("another owner")

    world.lane = Elsewhere()  # type: ignore[assignment]
    packer = world.new_packer()
    await packer.step()
    world.clock.move(2)
    with pytest.raises(Deposed):
        await packer.step()
    assert await told(world) == []


async def work(world: ContentWorld) -> None:
    """Pack all there is, and purge it."""
    for _ in range(4):
        await world.packer.step()
        world.clock.move(40)


@pytest.mark.parametrize("crash", range(24))
async def test_a_crash_at_any_call_loses_and_doubles_nothing(world: ContentWorld, crash: int) -> None:
    """The packer dies before or after its n-th call outside; another one takes over and finishes."""
    kept = await put(world, 30)
    with _dying(world, crash), pytest.raises(Died):
        await work(world)
    world.packer = world.new_packer()
    kept += await put(world, 3)
    await world.pack()
    await world.purge()
    assert await world.write_ahead.waiting() == 0
    digests = [entry.digest for event in await told(world) for entry in event.entries]
    assert sorted(digests) == sorted(one.content.digest for one in kept)
    assert await opened(world, kept)


class _dying:  # noqa: N801  (a context manager, used as one)
    """Every call of the packer to the outside is counted; at the given one it dies, before or after it."""

    def __init__(self, world: ContentWorld, crash: int) -> None:
        self._world, self._crash, self._calls = world, crash, itertools.count()
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> None:
        for port, name in [
            (self._world.write_ahead, "read"),
            (self._world.write_ahead, "purge"),
            (self._world.objects, "put"),
            (self._world.objects, "get"),
            (self._world.places, "places"),
            (self._world.lane, "append"),
        ]:
            self._patch.setattr(port, name, self._counted(getattr(port, name)))

    def _counted(self, call: Any) -> Any:
        async def counted(*arguments: Any) -> Any:
            if next(self._calls) == self._crash:
                raise Died
            answer = await call(*arguments)
            if next(self._calls) == self._crash:
                raise Died
            return answer

        return counted

    def __exit__(self, *error: object) -> None:
        self._patch.undo()
