"""A guarded batch runs into a full disk: half of it is to be seen until the server is started again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.jetstream import Link, connect, open_log, prepare
from gateway.ports import START, Position
from gateway.processes.up.credentials import Credentials
from gateway.processes.up.servers import Servers
from tests.conftest import RunningNats
from tests.contracts.facts import everything, fact, numbers, until
from tests.disks import BALLAST, fill, small_disk

DISK_OCTETS = 64 * 1024 * 1024
FACTS, FACT_OCTETS = 100, 1000
# The server writes a batch twice, beside the stream and then into it: the second time ends in between.
LEFT_OCTETS = FACTS * FACT_OCTETS * 3 // 2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", DISK_OCTETS) as folder:
        yield folder


@pytest.fixture
def server(disk: Path) -> Iterator[RunningNats]:
    running = RunningNats(Servers.in_folder(disk, Credentials.random()).nats)
    yield running
    running.kill()


async def test_half_a_batch_is_waited_for_and_is_no_damage(
    disk: Path, server: RunningNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.jetstream.link.ACK_TIMEOUT_S", 0.5)
    sent = 0

    async def publish_batch(link: Link, *arguments: Any) -> int:
        nonlocal sent
        sent += 1
        return await plainly(link, *arguments)

    plainly = Link.publish_batch
    monkeypatch.setattr(Link, "publish_batch", publish_batch)
    async with connect(server.url(), name="half") as link:
        await prepare(link, 1024 * 1024)
        log = await open_log(link)
        fill(disk, LEFT_OCTETS)
        group = [fact(number, "route.0", padding=FACT_OCTETS) for number in range(FACTS)]
        appending = asyncio.create_task(log.append_guarded(group, {"route.0": Position(0)}))
        await until(lambda: sent >= 3 or appending.done())
        assert not appending.done(), appending.result()
        assert 0 < await log.last() < FACTS
        (disk / BALLAST).unlink()
        await until(lambda: sent >= 6 or appending.done())
        assert not appending.done(), appending.result()
        await asyncio.to_thread(server.restart)
        assert await appending == FACTS
        assert numbers(await everything(log, START)) == list(range(FACTS))
