"""Children that outlived their supervisor: found by pid and start time, and ended before a new start.

Source: proc(5): field 22 of /proc/<pid>/stat is when a process started; a pid given out again has another.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from gateway.processes.up.credentials import write_secret

PATIENCE_MAX_S = 20.0  # somebody waits for the start


@dataclass(frozen=True, slots=True)
class Mark:
    """One process, beyond doubt."""

    name: str
    pid: int
    started: str  # clock ticks since boot
    stop_signal: int
    stop_patience_s: float  # how long it may take to end in its own way

    @classmethod
    def of(cls, name: str, pid: int, stop_signal: signal.Signals, stop_patience_s: float) -> Self:
        return cls(name, pid, _started(pid) or "", int(stop_signal), stop_patience_s)

    @property
    def is_alive(self) -> bool:
        return bool(self.started) and _started(self.pid) == self.started


def remember(file: Path, marks: Iterable[Mark]) -> None:
    """Write down who is running now."""
    write_secret(file, json.dumps([asdict(mark) for mark in marks]).encode())


def remembered(file: Path) -> list[Mark]:
    """Who was running when it was last written down."""
    try:
        return [Mark(**written) for written in json.loads(file.read_bytes())]
    except (FileNotFoundError, ValueError, TypeError):  # TypeError: another build wrote other fields
        return []


async def end(file: Path) -> list[str]:
    """End what a former supervisor left running, as it would have. Gives the names once all are gone."""
    alive = [mark for mark in remembered(file) if mark.is_alive]
    for mark in alive:
        _signal(mark, mark.stop_signal)
    asked_at = time.monotonic()
    while any(mark.is_alive for mark in alive):
        waited_s = time.monotonic() - asked_at
        for mark in alive:
            if waited_s > min(mark.stop_patience_s, PATIENCE_MAX_S):
                _signal(mark, signal.SIGKILL)
        await asyncio.sleep(0.02)
    remember(file, ())
    return [mark.name for mark in alive]


def _signal(mark: Mark, number: int) -> None:
    if mark.is_alive:
        try:
            os.kill(mark.pid, number)
        except ProcessLookupError:
            return


def _started(pid: int) -> str | None:
    """None when there is no such process, or only its exit code is left."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name in brackets may hold anything
    return None if fields[0] in "ZX" else fields[19]
