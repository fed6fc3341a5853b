"""Everything around a content store, in memory or real, for tests of the store, the packer and the sweep."""

import base64
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from gateway.adapters.content import KeptContents
from gateway.adapters.memory.content import MemoryObjects, MemoryPlaces, MemoryWriteAhead
from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.adapters.spool import DiskSpool
from gateway.domain.events import Content, ContentStored, Fact
from gateway.mail import carving
from gateway.ports import EventLog, KeyStore, Lane, ObjectStore, Places, StoredContent, WriteAhead
from gateway.processes.packer.packing import Packer, World
from tests.contracts.facts import ACTOR, BY, NOW
from tests.mail.messages import scan
from tests.processes.world import MovedClock

AGENCY = "ag_opm"
MARKER = b"MARKER-7f3a"


def mail(*attachments: bytes, text: bytes = b"Hello.", subject: str = "hello") -> bytes:
    """A message with files attached, as mail programs make it."""
    lines = [
        b"Subject: " + subject.encode(),
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/mixed; boundary="b"',
        b"",
        b"--b",
        b"Content-Type: text/plain; charset=utf-8",
        b"",
        text,
    ]
    for number, attachment in enumerate(attachments):
        encoded = base64.b64encode(attachment)
        lines += [
            b"--b",
            b"Content-Type: application/octet-stream",
            b"Content-Transfer-Encoding: base64",
            f"Content-Disposition: attachment; filename=หนังสือ-{number}.pdf".encode(),
            b"X-Number: %d" % number,
            b"",
            *(encoded[at : at + 76] for at in range(0, len(encoded), 76)),
        ]
    return b"\r\n".join([*lines, b"--b--", b""])


def noise(octets: int, seed: int = 1) -> bytes:
    """What cannot be compressed."""
    return random.Random(seed).randbytes(octets)


@dataclass(frozen=True)
class Kept:
    """A message that was put, and what is needed to open it."""

    message: bytes
    content: Content
    data_key: bytes
    salt: bytes


@dataclass
class ContentWorld:
    write_ahead: WriteAhead
    objects: ObjectStore
    places: Places
    log: EventLog
    lane: Lane
    keys: KeyStore
    folder: Path  # of spools
    clock: MovedClock = field(default_factory=MovedClock)
    keep_s: float = 60.0

    def __post_init__(self) -> None:
        self.contents = KeptContents(
            write_ahead=self.write_ahead,
            objects=self.objects,
            places=self.places,
            keys=self.keys,
            log=self.log,
        )
        self.packer = self.new_packer()

    def new_packer(self) -> Packer:
        world = World(
            write_ahead=self.write_ahead,
            objects=self.objects,
            places=self.places,
            log=self.log,
            clock=self.clock,
            entropy=os.urandom,
            by=BY,
            keep_s=self.keep_s,
        )
        return Packer(world, self.lane)

    async def put(self, message: bytes, agency_id: str = AGENCY) -> tuple[Kept, StoredContent]:
        """As an edge does: spool, carve, store; the objects' events are appended."""
        spool = DiskSpool(self.folder)
        spool.write(message)
        data_key, salt = os.urandom(32), os.urandom(16)
        stored = await self.contents.put(
            spool,
            skeleton=carving.carve(scan(message), spool.read),
            data_key=data_key,
            salt=salt,
            agency_id=agency_id,
        )
        spool.close()
        if stored.objects:
            await self.lane.append([fact_of(o.name, o.octets, o.digest) for o in stored.objects])
        return Kept(message, stored.content, data_key, salt), stored

    async def get(self, kept: Kept, start: int = 0, end: int | None = None) -> bytes:
        given = bytearray()
        await self.gather(kept, given, start, end)
        return bytes(given)

    async def gather(self, kept: Kept, into: bytearray, start: int = 0, end: int | None = None) -> None:
        """Read into what the caller keeps, also when reading fails on the way."""
        async for octets in self.open(kept, start, end):
            into += octets

    def open(self, kept: Kept, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        return self.contents.open(kept.content, data_key=kept.data_key, salt=kept.salt, start=start, end=end)

    async def pack(self) -> None:
        """Everything that waits into packs, and the rows know."""
        while not await self.packer.step():
            pass
        self.clock.move(2.0)
        await self.packer.step()
        assert await self.places.reach(await self.log.last(), 30.0)

    async def purge(self) -> None:
        """Long after."""
        self.clock.move(timedelta(hours=1).total_seconds())
        await self.packer.step()

    async def names(self, prefix: str) -> list[str]:
        return [found.name async for batch in self.objects.list(prefix) for found in batch]

    async def damage(self, name: str, place: int) -> None:
        """Flip a bit of an object."""
        octets = bytearray(await self.objects.get(name))
        octets[place] ^= 0x10
        await self.objects.put(name, lambda: [bytes(octets)])


def fact_of(name: str, octets: int, digest: str) -> Fact:
    return Fact("content", ContentStored(at=NOW, actor=ACTOR, by=BY, name=name, octets=octets, digest=digest))


@asynccontextmanager
async def memory_world(folder: Path) -> AsyncIterator[ContentWorld]:
    log, clock = MemoryLog(), MovedClock()
    async with open_lane(log, "packer-test-0", clock=clock, actor=ACTOR, by=BY) as lane:
        yield ContentWorld(
            write_ahead=MemoryWriteAhead(),
            objects=MemoryObjects(clock),
            places=MemoryPlaces(log),
            log=log,
            lane=lane,
            keys=MemoryKeyStore(os.urandom),
            folder=folder,
            clock=clock,
        )


async def opened(world: ContentWorld, kept: Sequence[Kept]) -> bool:
    """True when every one of them comes back octet for octet."""
    return all([await world.get(one) == one.message for one in kept])
