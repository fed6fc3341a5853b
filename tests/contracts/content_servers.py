"""A content world on real servers: CT, KEYS and an own log on NATS, rows in PostgreSQL, objects in S3."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.adapters import s3
from gateway.adapters.jetstream import JetStreamLog, Link, open_content_lane, open_lane, open_log, streams
from gateway.adapters.keys import JetStreamKeyStore
from gateway.adapters.s3 import S3Store
from gateway.adapters.system import SystemClock
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.ports import EventLog
from projections.checkpoint import Projection, create
from projections.content.project import ContentModel
from projections.content.query import ContentRows
from projections.readmodel import Pool, open_pool
from tests.conftest import RunningS3
from tests.contracts.content_world import ContentWorld
from tests.contracts.facts import ACTOR, BY
from tests.processes.world import MovedClock

_epochs = itertools.count(5000)


@asynccontextmanager
async def object_store(server: RunningS3) -> AsyncIterator[S3Store]:
    async with s3.connect(
        server.endpoint, server.access_key, server.secret_key, secure=server.secure, bucket=server.bucket
    ) as store:
        await store.make_bucket()
        yield store


@asynccontextmanager
async def keeping_up(log: EventLog, pool: Pool) -> AsyncIterator[None]:
    """The content rows follow the log."""
    projection = Projection(ContentModel(), pool)
    after = await projection.load(log)

    async def fold() -> None:
        async for batch in log.follow(after):
            await projection.take(batch)

    folding = asyncio.create_task(fold())
    try:
        yield
    finally:
        folding.cancel()
        await asyncio.gather(folding, return_exceptions=True)


async def new_log(link: Link) -> JetStreamLog:
    """A log nobody else uses; its stream goes with `drop_log`."""
    epoch = next(_epochs)
    await streams.change(link, "CREATE", streams.log_configuration(epoch, f"EV_C{epoch}"))
    return await open_log(link, f"EV_C{epoch}")


async def drop_log(log: JetStreamLog) -> None:
    await log.link.api(f"STREAM.DELETE.{log.stream}")


@asynccontextmanager
async def real_world(link: Link, server: RunningS3, dsn: str, folder: Path) -> AsyncIterator[ContentWorld]:
    """link: to a server with the streams of a site."""
    clock, log = SystemClock(), await new_log(link)
    async with (
        object_store(server) as objects,
        open_pool(dsn) as pool,
        open_content_lane(link, "edge-test-0", clock=clock, actor=ACTOR, by=BY) as content_lane,
        open_lane(log, "packer-test-0", clock=clock, actor=ACTOR, by=BY) as lane,
    ):
        await create(pool, [ContentModel()])
        async with keeping_up(log, pool):
            yield ContentWorld(
                write_ahead=JetStreamWriteAhead(link, content_lane, "edge-test-0"),
                objects=objects,
                places=ContentRows(pool),
                log=log,
                lane=lane,
                keys=JetStreamKeyStore(link, bytes(32), clock=clock, entropy=os.urandom),
                folder=folder,
                clock=MovedClock(),
            )
    await drop_log(log)
