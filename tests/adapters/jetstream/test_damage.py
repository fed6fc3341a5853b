"""A log whose files were altered: readers stop and name the position.

JetStream starts on damaged files without a word (facts-nats §1), so this is for readers to notice.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.adapters.jetstream import JetStreamLog, connect, open_log, prepare
from gateway.ports import START, Checkpoint, LogCorrupt, Position
from tests.conftest import RunningNats
from tests.contracts.facts import checkpoint, fact, numbers, take

EVENTS = 3000


async def write(log: JetStreamLog) -> None:
    for start in range(0, EVENTS, 500):
        group = [fact(n, "route.0") for n in range(start + 1, start + 501)]
        await log.append_guarded(group, {"route.0": Position(start)})


async def damaged(server: RunningNats, alter: Callable[[Path], None]) -> Checkpoint:
    """Write a log, read to its end, stop the server, alter its last block; the checkpoint at the end."""
    async with connect(server.url(), name="before") as link:
        await prepare(link, 1024 * 1024)
        log = await open_log(link)
        await write(log)
        end = checkpoint(await log.read(Position(EVENTS)))
    server.stop()
    blocks = sorted(server.folder.rglob("EV_1/msgs/*.blk"))
    alter(blocks[-1])
    server.start()
    return end


def flip_a_bit(block: Path) -> None:
    octets = bytearray(block.read_bytes())
    place = octets.index(b'"up_to":1500')
    octets[place] ^= 1
    block.write_bytes(octets)


def flip_a_bit_and_lose_the_index(block: Path) -> None:
    flip_a_bit(block)
    (block.parent / "index.db").unlink()


def cut_the_end_off(block: Path) -> None:
    block.write_bytes(block.read_bytes()[:-500])


def cut_the_end_off_and_lose_the_index(block: Path) -> None:
    cut_the_end_off(block)
    (block.parent / "index.db").unlink()


async def test_a_flipped_bit_stops_who_reads_everything(own_nats_server: RunningNats) -> None:
    await damaged(own_nats_server, flip_a_bit)
    async with connect(own_nats_server.url(), name="after") as link:
        log = await open_log(link)
        following = log.follow(START)
        with pytest.raises(LogCorrupt) as raised:
            await take(following, EVENTS)
        assert raised.value.position == 1500
        with pytest.raises(LogCorrupt):
            await log.read(Position(1500))


async def test_an_event_that_is_gone_is_not_read_as_nothing(own_nats_server: RunningNats) -> None:
    await damaged(own_nats_server, flip_a_bit)
    async with connect(own_nats_server.url(), name="after") as link:
        log = await open_log(link)
        before = checkpoint(await log.read(Position(1499)))
        with pytest.raises(LogCorrupt) as raised:
            await take(log.follow(before), 1)
        assert raised.value.position == 1500


@pytest.mark.parametrize("alter", [cut_the_end_off_and_lose_the_index, flip_a_bit_and_lose_the_index])
async def test_a_log_that_lost_its_end_stops_who_has_read_it(
    own_nats_server: RunningNats, alter: Callable[[Path], None]
) -> None:
    end = await damaged(own_nats_server, alter)
    async with connect(own_nats_server.url(), name="after") as link:
        log = await open_log(link)
        assert await log.last() < EVENTS
        with pytest.raises(LogCorrupt) as raised:
            await take(log.follow(end), 1)
        assert raised.value.position == EVENTS


async def test_a_position_that_was_given_twice_stops_who_has_read_the_first(
    own_nats_server: RunningNats,
) -> None:
    end = await damaged(own_nats_server, cut_the_end_off_and_lose_the_index)
    async with connect(own_nats_server.url(), name="after") as link:
        log = await open_log(link)
        while (last := await log.last()) <= EVENTS:
            await log.append_guarded([fact(last, "route.0")], {"route.0": last})
        with pytest.raises(LogCorrupt) as raised:
            await take(log.follow(end), 1)
        assert raised.value.position == EVENTS


async def test_a_log_shorter_than_its_index_stops_who_opens_it(own_nats_server: RunningNats) -> None:
    await damaged(own_nats_server, cut_the_end_off)
    async with connect(own_nats_server.url(), name="after") as link:
        with pytest.raises(LogCorrupt) as raised:
            await open_log(link)
        assert EVENTS - 10 < raised.value.position <= EVENTS


async def test_damage_under_a_running_reader_stops_it(own_nats_server: RunningNats) -> None:
    async with connect(own_nats_server.url(), name="reader") as link:
        await prepare(link, 1024 * 1024)
        log = await open_log(link)
        await write(log)
        following = log.follow(START)
        assert numbers(await take(following, EVENTS)) == list(range(1, EVENTS + 1))
        own_nats_server.stop()
        cut_the_end_off_and_lose_the_index(max(own_nats_server.folder.rglob("EV_1/msgs/*.blk")))
        own_nats_server.start()
        with pytest.raises(LogCorrupt) as raised:
            await take(following, 1)
        assert raised.value.position == EVENTS
