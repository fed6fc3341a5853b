"""From the write-ahead into packs: put, prove, record, and only much later forget.

    read CT ─ cut ─ PUT pack ─ read it back ─ append content.packed ─ (rows have it, 60 s) ─ purge CT

A packer that dies anywhere in between loses nothing and repeats nothing that shows: the next one reads CT
from its start and passes over what the rows say is packed; a pack nobody recorded is garbage for the sweep.

Source: architecture §2.6, §5; ADR 0005.
"""

import hashlib
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.histories import CONTENT
from gateway.domain.packs import PACK_CONTENTS_MAX, PACK_OCTETS_MAX, Pack, pack, pack_name
from gateway.mail.ids import ID_ENTROPY_OCTETS
from gateway.ports import (
    Clock,
    ContentMissing,
    Deposed,
    Entropy,
    EventLog,
    Lane,
    Leases,
    ObjectStore,
    Places,
    Position,
    Unavailable,
    Unpacked,
    WriteAhead,
)
from gateway.processes import maillog

ACTOR: Final = Actor("system", "packer")
LEASE: Final = "packer"
LOOK_EVERY_S: Final = 0.25
TRY_AGAIN_AFTER_S: Final = 1.0
REACH_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class World:
    """What the packer works on. keep_s: how long CT keeps what a pack has."""

    write_ahead: WriteAhead
    objects: ObjectStore
    places: Places
    log: EventLog
    clock: Clock
    entropy: Entropy
    by: By
    cut_after_s: float = 2.0  # both as architecture §5 has them
    keep_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Packed:
    """What may be purged once the rows have reached `position` and some time has passed."""

    up_to: int  # sequence in CT
    position: Position
    at_s: float  # monotonic


async def run(
    world: World, leases: Leases, open_lane: Callable[[], AbstractAsyncContextManager[Lane]]
) -> None:
    """Be the packer whenever the lease is ours, until cancelled."""
    while True:
        try:
            async with leases.hold(LEASE), open_lane() as lane:
                await Packer(world, lane).run()
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="pack")
            await world.clock.sleep(TRY_AGAIN_AFTER_S)
        except Deposed:
            maillog.service_unavailable(service="lease", reason="another packer is active", doing="pack")


@dataclass(slots=True)
class Cutting:
    """What the next pack will hold."""

    contents: list[Unpacked] = field(default_factory=list)
    octets: int = 0
    since_s: float = 0.0

    def add(self, content: Unpacked, now_s: float) -> None:
        if not self.contents:
            self.since_s = now_s
        self.contents.append(content)
        self.octets += len(content.octets)

    def is_due(self, now_s: float, after_s: float) -> bool:
        return bool(self.contents) and (
            len(self.contents) == PACK_CONTENTS_MAX or now_s - self.since_s >= after_s
        )

    def has_room_for(self, content: Unpacked) -> bool:
        return len(self.contents) < PACK_CONTENTS_MAX and self.octets + len(content.octets) <= PACK_OCTETS_MAX


class Packer:
    """One active at a time; its lane was opened after the lease was had."""

    def __init__(self, world: World, lane: Lane) -> None:
        self._world, self._lane = world, lane
        self._read_up_to = 0
        self._cutting = Cutting()
        self._packed: deque[Packed] = deque()

    async def run(self) -> None:
        """Pack until cancelled. Raises Unavailable at the start, Deposed."""
        await self._catch_up()
        while True:
            try:
                is_idle = await self.step()
            except Unavailable as error:
                maillog.service_unavailable(service=error.service, reason=error.reason, doing="pack")
                await self._world.clock.sleep(TRY_AGAIN_AFTER_S)
                continue
            if is_idle:
                await self._world.clock.sleep(LOOK_EVERY_S)

    async def step(self) -> bool:
        """Cut what is due, read once, purge what is due; True when nothing was read. Raises Unavailable."""
        if self._cutting.is_due(self._world.clock.monotonic(), self._world.cut_after_s):
            await self._cut()
        before = self._read_up_to
        unread = await self._world.write_ahead.read(before)
        known = await self._world.places.places({content.digest for content in unread.contents})
        for content in unread.contents:
            if content.digest not in known:
                if not self._cutting.has_room_for(content):
                    await self._cut()
                self._cutting.add(content, self._world.clock.monotonic())
            self._read_up_to = content.sequence
        self._read_up_to = unread.up_to
        if known and not self._cutting.contents:  # all of it by a packer before us
            self._note_packed(await self._world.log.last())
        await self._purge_due()
        return unread.up_to == before

    async def _catch_up(self) -> None:
        """What a packer before us recorded is in the rows from here on."""
        position = await self._world.log.last()
        while not await self._world.places.reach(position, REACH_TIMEOUT_S):
            maillog.service_unavailable(
                service="content rows", reason=f"not at position {position} yet", doing="pack"
            )

    async def _cut(self) -> None:
        world = self._world
        name = pack_name(world.clock.now(), world.entropy(ID_ENTROPY_OCTETS))
        made = pack(name, [(c.digest, c.octets, c.sequence) for c in self._cutting.contents])
        await self._put_proven(made)
        stamp = Stamp(world.clock.now(), ACTOR, world.by)
        position = await self._lane.append([Fact(CONTENT, event) for event in made.facts(stamp)])
        self._cutting = Cutting()
        self._note_packed(position)
        maillog.pack_written(pack=name, contents=len(made.entries), octets=len(made.octets))

    async def _put_proven(self, made: Pack) -> None:
        """Store the pack and read it back: what is recorded is there, octet for octet."""
        await self._world.objects.put(made.name, lambda: [made.octets], len(made.octets))
        try:
            found = await self._world.objects.get(made.name)
        except ContentMissing as error:
            raise Unavailable("s3", f"{made.name} is not there after it was stored") from error
        if hashlib.sha256(found).digest() != hashlib.sha256(made.octets).digest():
            raise Unavailable("s3", f"{made.name} is not what was stored")

    def _note_packed(self, position: Position) -> None:
        self._packed.append(Packed(self._read_up_to, position, self._world.clock.monotonic()))

    async def _purge_due(self) -> None:
        """Forget in CT what the rows know is in packs, some time after."""
        world, due = self._world, None
        while self._packed and world.clock.monotonic() - self._packed[0].at_s >= world.keep_s:
            if not await world.places.reach(self._packed[0].position, LOOK_EVERY_S):
                break
            due = self._packed.popleft()
        if due is not None:
            await world.write_ahead.purge(due.up_to)
            maillog.write_ahead_purged(below=due.up_to + 1)
