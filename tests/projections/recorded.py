"""Recorded histories: files of one event a line, position, stored subject, topic, payload."""

from collections.abc import Sequence
from pathlib import Path

import orjson

from gateway.ports import KeyForgotten, Position, Recorded
from tests.projections.world import Safe


class Forgotten(Safe):
    """Every key was destroyed: numbers never depend on what is sealed."""

    def __init__(self) -> None:
        return

    async def get(self, name: str) -> bytes:
        raise KeyForgotten(name)


def recorded(file: Path) -> list[Recorded]:
    return [
        Recorded(Position(position), subject, topic, state.encode())
        for position, subject, topic, state in map(orjson.loads, file.read_bytes().splitlines())
    ]


def told(row: Sequence[object]) -> str:
    """A row as a line of a golden file."""
    return "\t".join(map(str, row)) + "\n"


def record(file: Path, history: Sequence[Recorded]) -> None:
    lines = (
        orjson.dumps([event.position, event.subject, event.topic, event.state.decode()]) for event in history
    )
    file.write_bytes(b"".join(line + b"\n" for line in lines))
