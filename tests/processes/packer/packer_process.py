"""A packer in a process of its own, for the test that kills it: python -m ... <JSON of where things are>.

It cuts and purges early, so that a kill meets every part of its work.
"""

import asyncio
import contextlib
import json
import sys
from typing import Any

from gateway.adapters import s3
from gateway.adapters.jetstream import connect, open_lane, open_log
from gateway.adapters.system import SystemClock, entropy
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.processes.packer.packing import Packer, World
from projections.content.query import ContentRows
from projections.readmodel import open_pool
from tests.contracts.facts import ACTOR, BY


async def main(
    nats_url: str, stream: str, dsn: str, endpoint: str, access: str, secret: str, bucket: str
) -> None:
    clock = SystemClock()
    async with (
        connect(nats_url, name="packer") as link,
        open_pool(dsn) as pool,
        s3.connect(endpoint, access, secret, secure=False, bucket=bucket) as objects,
    ):
        log = await open_log(link, stream)
        async with open_lane(log, "packer-test-0", clock=clock, actor=ACTOR, by=BY) as lane:
            world = World(
                write_ahead=JetStreamWriteAhead(link),
                objects=objects,
                places=ContentRows(pool),
                log=log,
                clock=clock,
                entropy=entropy,
                by=BY,
                cut_after_s=0.05,
                keep_s=0.1,
            )
            print("ready", flush=True)
            await Packer(world, lane).run()


def arguments() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(**arguments()))
