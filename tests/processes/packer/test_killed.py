"""SIGKILL of a packer at random moments, on real servers: nothing lost, nothing doubled."""

import asyncio
import json
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.adapters.jetstream import JetStreamLog, connect, streams
from gateway.domain.events import ContentPacked
from tests.conftest import RunningNats, RunningS3
from tests.contracts.content_servers import real_world
from tests.contracts.content_world import ContentWorld, Kept, mail, noise, opened
from tests.sizes import size


@pytest.fixture
async def world(
    nats_server: RunningNats, s3_server: RunningS3, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[ContentWorld]:
    async with connect(nats_server.url(), name="test") as link:
        await streams.prepare(link, 64 * 1024 * 1024)
        await link.api(f"STREAM.PURGE.{streams.CONTENT}")
        async with real_world(link, s3_server, postgres_dsn, tmp_path) as world:
            yield world


@asynccontextmanager
async def packer(where: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.processes.packer.packer_process", where, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.communicate()


async def test_a_packer_killed_again_and_again_loses_and_doubles_nothing(
    world: ContentWorld, nats_server: RunningNats, s3_server: RunningS3, postgres_dsn: str
) -> None:
    log = world.log
    assert isinstance(log, JetStreamLog)
    where = json.dumps(
        {
            "nats_url": nats_server.url(),
            "stream": log.stream,
            "dsn": postgres_dsn,
            "endpoint": s3_server.endpoint,
            "access": s3_server.access_key,
            "secret": s3_server.secret_key,
            "bucket": s3_server.bucket,
        }
    )
    chance, kept = random.Random(7), list[Kept]()
    for _ in range(size(8, 60)):
        async with packer(where):
            for _ in range(chance.randrange(40)):
                kept.append((await world.put(mail(noise(400, len(kept)))))[0])
    async with packer(where):
        while await world.write_ahead.waiting():  # noqa: ASYNC110  (it is another process that works)
            await asyncio.sleep(0.05)
    assert await world.places.reach(await log.last(), 30.0)
    digests = {one.content.digest for one in kept}
    assert (await world.places.places(digests)).keys() == digests
    events = [recorded.event for recorded in await log.history("content")]
    told = [entry.digest for event in events if isinstance(event, ContentPacked) for entry in event.entries]
    assert sorted(told) == sorted(digests)
    assert len(kept) > 100, "too few for packs to be cut in the middle"
    assert await opened(world, kept)
