"""Rows of older versions of a model: they go when the newer ones have more, and nobody folds the older.

After an upgrade both lie side by side, so that a gateway of the older build may go on beside this one while
machines are upgraded in turn. Whoever reads rows has a projector that folds them: where the log went on and
the older checkpoint did not, there is no such gateway any more. Should one come back, it folds anew.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from gateway.ports import Position
from projections.readmodel import Pool, ReadModel, Rows, schema_of

LOCK_TIMEOUT: Final = "5s"  # somebody reads them: another time
_OURS: Final = re.compile(r"(?P<name>[a-z]+)_v(?P<version>[0-9]+)(?:_rebuild)?")


@dataclass(frozen=True, slots=True)
class Retired:
    """Rows that went. schema: theirs; newer: the schema that has them all."""

    schema: str
    newer: str


async def left_behind(pool: Pool, models: Iterable[type[ReadModel]]) -> dict[str, Position]:
    """Schemas of older versions of these models that are behind the newer ones, with how far they came.

    A schema that has no checkpoint was not made by a projector, and is not ours whatever it is called.
    """
    async with pool.rows() as rows:
        found = await rows.fetch(
            "SELECT schema, min(position), max(position) FROM checkpoints.checkpoint GROUP BY schema"
        )
    first, last = ({row["schema"]: Position(row[column]) for row in found} for column in (1, 2))
    newest = _newest(models)
    behind: dict[str, Position] = {}
    for schema, position in last.items():
        newer = _newer(schema, newest)
        if newer is not None and position < first.get(newer, 0):
            behind[schema] = position
    return behind


async def retire(
    pool: Pool, models: Iterable[type[ReadModel]], before: Mapping[str, Position]
) -> tuple[list[Retired], dict[str, Position]]:
    """Drop those that are as far behind as they were `before`: which went, and `before` of the next time."""
    models = tuple(models)
    newest = _newest(models)
    behind, gone = await left_behind(pool, models), list[Retired]()
    for schema, position in behind.items():
        if before.get(schema) == position and await _drop(pool, schema, position):
            newer = _newer(schema, newest)
            assert newer is not None, schema
            gone.append(Retired(schema, newer))
    return gone, behind


def _newest(models: Iterable[type[ReadModel]]) -> dict[str, type[ReadModel]]:
    """By name, and by the names of models that are folded into them now."""
    return {name: model for model in models for name in (model.name, *model.absorbed)}


def _newer(schema: str, newest: Mapping[str, type[ReadModel]]) -> str | None:
    """The schema that is read instead of this one; None: this one is no older one of ours."""
    named = _OURS.fullmatch(schema)
    model = newest.get(named["name"]) if named else None
    if named is None or model is None:
        return None
    if named["name"] == model.name and int(named["version"]) >= model.version:
        return None
    return schema_of(model)


async def _drop(pool: Pool, schema: str, position: Position) -> bool:
    """False when somebody has just folded into it, or reads it."""
    try:
        async with pool.transaction() as rows:
            await rows.execute("SELECT set_config('lock_timeout', $1, true)", LOCK_TIMEOUT)
            if not await _is_still_at(rows, schema, position):
                return False
            await rows.execute("DELETE FROM checkpoints.checkpoint WHERE schema = $1", schema)
            await rows.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            return True
    except asyncpg.LockNotAvailableError:
        return False


async def _is_still_at(rows: Rows, schema: str, position: Position) -> bool:
    found = await rows.fetch(
        "SELECT position FROM checkpoints.checkpoint WHERE schema = $1 ORDER BY slot FOR UPDATE", schema
    )
    return max((row["position"] for row in found), default=-1) == position
