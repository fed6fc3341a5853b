"""A whole disk of its own runs full below a supervisor, and gets space again; a server hangs for a while."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gateway.adapters import jetstream
from gateway.adapters.jetstream.wire import Outgoing, Unanswered
from gateway.ports import Unavailable
from tests.disks import BALLAST, fill, small_disk
from tests.processes.up.test_supervisor import Up

DISK_OCTETS = 320 * 1024 * 1024
NEW_FILES = 8  # more than PostgreSQL has made in advance


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", DISK_OCTETS) as folder:
        yield folder


@pytest.fixture
def up(disk: Path, tmp_path: Path) -> Iterator[Up]:
    gateway = Up(disk / "data", SARABAN_DISK_RESERVE_OCTETS="0")
    gateway.output = tmp_path / "up.out"
    yield gateway
    if gateway.process is not None and gateway.process.poll() is None:
        gateway.stop()


def test_servers_work_again_by_themselves_when_a_full_disk_has_room(up: Up, disk: Path) -> None:
    up.start()
    up.wait_until_ready()
    prepared = json.loads((up.data / "prepared.json").read_bytes())
    url = prepared["SARABAN_NATS_URL"]
    asyncio.run(prepare(url))
    asyncio.run(write(url))
    before = up.pids()

    asyncio.run(fill_and_panic(disk, prepared["SARABAN_POSTGRES_DSN"]))
    with pytest.raises((Unanswered, Unavailable)):
        asyncio.run(write(url))
    os.kill(before["edge"], signal.SIGKILL)  # nobody can be told its new pid
    up.wait_for(lambda: "is full: mail is refused with 452/451 until there is room" in up.said)
    up.wait_for(lambda: up.said.count("postgres") >= 4)
    assert "nats is stuck" not in up.said, "it was started again while the disk was full"

    (disk / BALLAST).unlink()
    up.wait_for(lambda: "has room again" in up.said)
    up.wait_for(lambda: all(up.pids().get(name, pid) != pid for name, pid in before.items() if name in ENDED))
    assert up.said.count("nats is stuck and there is room on the disk: starting it again") == 1
    assert up.pids()["router"] == before["router"]
    asyncio.run(write(url))
    assert up.stop() == 0


ENDED = ("nats", "postgres", "edge")


def test_a_server_that_hangs_is_left_alone(up: Up) -> None:
    up.start()
    up.wait_until_ready()
    url = json.loads((up.data / "prepared.json").read_bytes())["SARABAN_NATS_URL"]
    asyncio.run(prepare(url))
    nats = up.pids()["nats"]
    os.kill(nats, signal.SIGSTOP)
    stopped_at = time.monotonic()
    try:
        up.wait_for(lambda: time.monotonic() - stopped_at > 7)  # longer than a look and its patience
    finally:
        os.kill(nats, signal.SIGCONT)
    asyncio.run(write(url))
    assert up.pids()["nats"] == nats
    assert up.stop() == 0
    assert "nats is stuck" not in up.said


async def fill_and_panic(disk: Path, dsn: str) -> None:
    """Fill the disk and have PostgreSQL begin new files of its log: it ends, and cannot start again."""
    rows = await asyncpg.connect(dsn)  # on a full disk there are no new connections
    fill(disk)
    begin = "SELECT pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal() WHERE $1::int > 0"
    with pytest.raises(asyncpg.PostgresConnectionError, match="No space left"):
        await rows.executemany(begin, [(number,) for number in range(1, NEW_FILES)])


async def prepare(url: str) -> None:
    async with jetstream.connect(url, name="test") as link:
        await jetstream.prepare(link, 1 << 30)


async def write(url: str) -> Any:
    """Store something that takes more than the last page of a file."""
    async with jetstream.connect(url, name="test") as link:
        return await link.publish(Outgoing("ct.test", os.urandom(64 * 1024), {}))
