"""Many large messages put at once, in a process of its own whose memory can be told: prints octets grown.

python -m tests.adapters.content_load <JSON of where things are>
"""

import asyncio
import base64
import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from gateway.adapters import s3
from gateway.adapters.content import KeptContents
from gateway.adapters.jetstream import connect, open_content_lane
from gateway.adapters.keys import JetStreamKeyStore
from gateway.adapters.memory.content import MemoryPlaces
from gateway.adapters.memory.log import MemoryLog
from gateway.adapters.spool import DiskSpool
from gateway.adapters.system import SystemClock, entropy
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.mail import carving
from gateway.mail.mime import StructureScanner
from tests.contracts.content_world import mail
from tests.contracts.facts import ACTOR, BY


def lines(octets: int) -> Iterator[bytes]:
    """A message with one file that cannot be compressed, some lines at a time, never held as a whole."""
    head, tail = mail(b"FILE").split(b"RklMRQ==", 1)
    yield head
    for _ in range(octets // 78_000):
        encoded = base64.b64encode(os.urandom(57_000))
        yield b"".join(encoded[at : at + 76] + b"\r\n" for at in range(0, len(encoded), 76))
    yield tail


async def put(contents: KeptContents, folder: Path, octets: int) -> None:
    spool, scanner = DiskSpool(folder), StructureScanner()
    for piece in lines(octets):
        spool.write(piece)
        scanner.feed(piece)
        await asyncio.sleep(0)
    skeleton = await asyncio.to_thread(carving.carve, scanner.finish(), spool.read)
    stored = await contents.put(
        spool, skeleton=skeleton, data_key=os.urandom(32), salt=os.urandom(16), agency_id="ag_load"
    )
    assert len(stored.objects) == 1, "each file is another one"
    spool.close()


def resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def main(
    nats_url: str,
    endpoint: str,
    access: str,
    secret: str,
    bucket: str,
    folder: str,
    messages: int,
    octets: int,
) -> None:
    log, clock = MemoryLog(), SystemClock()
    async with (
        connect(nats_url, name="load") as link,
        open_content_lane(link, "edge-load-0", clock=clock, actor=ACTOR, by=BY) as lane,
        s3.connect(endpoint, access, secret, secure=False, bucket=bucket) as objects,
    ):
        contents = KeptContents(
            write_ahead=JetStreamWriteAhead(link, lane, "edge-load-0"),
            objects=objects,
            places=MemoryPlaces(log),
            keys=JetStreamKeyStore(link, bytes(32), clock=clock, entropy=entropy),
            log=log,
        )
        await put(contents, Path(folder), 100_000)
        before = resident()
        async with asyncio.TaskGroup() as group:
            for _ in range(messages):
                group.create_task(put(contents, Path(folder), octets))
        print(resident() - before, flush=True)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
