"""The disk of the data folder: how much room it has, and what that means for mail.

Measured: on a full disk nats-server keeps its write error until it is started again, PostgreSQL refuses or
ends and comes back, the S3 server takes writes again as soon as there is room (ADR 0008).
"""

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
# Servers that failed are started again when there is this much: PostgreSQL fills its log 16 MiB at a time.
ROOM_OCTETS: Final = 32 * MIB
FULL_OCTETS: Final = MIB


class Space(Enum):
    """What the servers and the edge can do with what is free."""

    ENOUGH = "enough"
    SHORT = "short"  # below the reserve: the edge refuses mail, all else goes on
    FULL = "full"  # writes fail


@dataclass(slots=True)
class Disk:
    """Look again with `look`; `space` is what it found. A disk that comes back must have room to spare."""

    root: Path
    reserve_octets: int
    space: Space = Space.ENOUGH

    @property
    def free_octets(self) -> int:
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    @property
    def has_room(self) -> bool:
        return self.free_octets >= ROOM_OCTETS

    def look(self, *, is_stuck: bool) -> str | None:
        """One sentence when something has changed. is_stuck: a server could not write."""
        free = self.free_octets
        found = self._found(free, is_stuck)
        if found is self.space:
            return None
        self.space = found
        match found:
            case Space.FULL:
                return (
                    f"the disk of {self.root} is full: mail is refused with 452/451 until there is room; "
                    "make some there, everything goes on by itself"
                )
            case Space.SHORT:
                return (
                    f"the disk of {self.root} is nearly full ({free // MIB} MiB are free, "
                    f"{self.reserve_octets // MIB} MiB are the reserve): mail is refused with 452 "
                    "until there is room; make some there, everything goes on by itself"
                )
            case Space.ENOUGH:
                return f"the disk of {self.root} has room again ({free // MIB} MiB): mail is accepted"

    def _found(self, free: int, is_stuck: bool) -> Space:
        was_full = self.space is Space.FULL
        if free < (ROOM_OCTETS if was_full else FULL_OCTETS) or is_stuck:
            return Space.FULL
        # An eighth more to come back, so that a load at the edge of the reserve is not told in every line.
        enough = self.reserve_octets if self.space is Space.ENOUGH else self.reserve_octets * 9 // 8
        return Space.SHORT if free < enough else Space.ENOUGH
