"""The watch: says once what the disk means, and starts again what is stuck only while there is room."""

from pathlib import Path

import pytest

from gateway.processes.up import disk as disks
from gateway.processes.up.disk import MIB, Disk, Space
from gateway.processes.up.watch import BACK_OFF_FIRST_S, BACK_OFF_MAX_S, Watch

RESERVE = 256 * MIB
EIO = "write error: input/output error"


class World:
    """A disk, a server and a clock, moved by hand."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 1024 * MIB
        monkeypatch.setattr(Disk, "free_octets", property(lambda _: self.free))
        self.error, self.now_s = "", 1000.0
        self.said: list[str] = []
        self.restarts: list[float] = []
        self.regained = 0
        self.heals = True  # a restart mends it
        self.watch = Watch(
            Disk(root, RESERVE),
            self,
            start_again=self._start_again,
            regained=self._regain,
            say=self.said.append,
            clock=lambda: self.now_s,
        )

    async def write_error(self) -> str:
        return self.error

    async def _start_again(self) -> None:
        self.restarts.append(self.now_s)
        if self.heals:
            self.error = ""

    def _regain(self) -> None:
        self.regained += 1


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


async def test_a_server_stuck_by_a_full_disk_is_started_again_when_there_is_room(
    world: World, tmp_path: Path
) -> None:
    world.free, world.error = 0, "write error: no space left on device"
    for _ in range(50):
        await world.watch.look()
        world.now_s += 2
    assert world.said == [
        f"the disk of {tmp_path} is full: mail is refused with 452/451 until there is room; "
        "make some there, everything goes on by itself"
    ]
    assert world.restarts == [], "restarted while the disk was full"

    world.free = 1024 * MIB
    await world.watch.look()
    assert len(world.restarts) == 1
    assert world.regained == 0, "it is not well yet"
    await world.watch.look()
    assert world.regained == 1
    assert world.said[-1] == f"the disk of {tmp_path} has room again (1024 MiB): mail is accepted"


async def test_a_server_that_stays_stuck_is_started_again_later_each_time(world: World) -> None:
    world.error, world.heals = EIO, False
    for _ in range(1000):
        await world.watch.look()
        world.now_s += 1
    pauses = [later - earlier for earlier, later in zip(world.restarts, world.restarts[1:], strict=False)]
    assert pauses[0] == BACK_OFF_FIRST_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == BACK_OFF_MAX_S
    assert EIO in world.said[1]


async def test_a_server_that_writes_or_hangs_is_left_alone(world: World) -> None:
    await world.watch.look()
    assert (world.said, world.restarts) == ([], [])


async def test_a_disk_at_its_reserve_is_said_once(world: World, tmp_path: Path) -> None:
    for free in (RESERVE - 1, RESERVE + 1, RESERVE - 1, RESERVE * 9 // 8):
        world.free = free
        await world.watch.look()
    assert world.said == [
        f"the disk of {tmp_path} is nearly full (255 MiB are free, 256 MiB are the reserve): mail is refused "
        "with 452 until there is room; make some there, everything goes on by itself",
        f"the disk of {tmp_path} has room again (288 MiB): mail is accepted",
    ]


def test_a_disk_without_a_reserve_is_full_only_when_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, free = Disk(tmp_path, 0), 2 * MIB
    monkeypatch.setattr(Disk, "free_octets", property(lambda _: free))
    assert disk.look(is_stuck=False) is None
    free = 0
    assert disk.look(is_stuck=False) is not None
    free = disks.ROOM_OCTETS - 1  # a little is no room for servers
    assert disk.look(is_stuck=False) is None
    assert disk.space is Space.FULL
    free = disks.ROOM_OCTETS
    assert disk.look(is_stuck=False) is not None


def test_the_free_space_is_that_of_the_folder(tmp_path: Path) -> None:
    assert Disk(tmp_path, 0).free_octets > 0
