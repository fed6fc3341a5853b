"""Folding a read model from nothing beside the live one, and comparing the two at the same position.

Source: architecture §6 (rebuilt, not migrated; dropping and rebuilding gives the same rows).
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from gateway.ports import EventLog, Position, Unavailable
from projections.checkpoint import Projection, create_tables, drop
from projections.readmodel import Pool, ReadModel, Rows

# Slots of a sharded model are at different positions only between the commits of its workers.
LOOKS_MAX: Final = 200
LOOK_AGAIN_AFTER_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class TableDigest:
    """A table by its number of rows and a sum over the hashes of all rows, 128 bits, in whatever order."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Live and rebuilt tables at one position."""

    model: str
    position: Position
    live: dict[str, TableDigest]
    rebuilt: dict[str, TableDigest]

    @property
    def is_equal(self) -> bool:
        return self.live == self.rebuilt

    @property
    def different(self) -> tuple[str, ...]:
        """The tables that differ."""
        names = sorted(self.live.keys() | self.rebuilt.keys())
        return tuple(name for name in names if self.live.get(name) != self.rebuilt.get(name))


async def rebuild(model: ReadModel, log: EventLog, pool: Pool) -> Comparison:
    """Fold the whole log into tables of their own, compare them with the live ones, and remove them.

    The live model goes on meanwhile: it is read in one snapshot, and the log is folded up to that position.
    Two rebuilds of one model at once: one is Deposed. Raises Poison, LogCorrupt, Unavailable.
    """
    schema = f"{model.schema}_rebuild"
    await drop(pool, schema)
    async with pool.transaction() as rows:
        await create_tables(rows, model, schema)
    beside = Projection(model, pool, schema=schema)
    try:
        async with pool.rows() as rows:
            first, _ = await _live_positions(rows, model)
        await _fold_up_to(first, beside, log)  # most of it, before the snapshot keeps old rows alive
        return await _compare(model, beside, log, pool)
    finally:
        await drop(pool, schema)


async def _compare(model: ReadModel, beside: Projection, log: EventLog, pool: Pool) -> Comparison:
    for _ in range(LOOKS_MAX):
        async with pool.snapshot() as live:
            first, last = await _live_positions(live, model)
            if first == last:
                await _fold_up_to(first, beside, log)
                async with pool.rows() as rebuilt:
                    return Comparison(
                        model.name,
                        first,
                        await _digests(live, model.schema),
                        await _digests(rebuilt, beside.schema),
                    )
        await asyncio.sleep(LOOK_AGAIN_AFTER_S)
    raise Unavailable("projector", f"some slots of {model.name} stay behind the others")


async def _live_positions(rows: Rows, model: ReadModel) -> tuple[Position, Position]:
    """Of the slot that is furthest behind, and of the one furthest ahead."""
    row = await rows.fetchrow(
        """SELECT coalesce(min(position), 0), coalesce(max(position), 0)
        FROM checkpoints.checkpoint WHERE schema = $1""",
        model.schema,
    )
    assert row is not None
    return Position(row[0]), Position(row[1])


async def _fold_up_to(position: Position, beside: Projection, log: EventLog) -> None:
    after = await beside.load(log)
    if after.position >= position:
        return
    batches = log.follow(after)
    try:
        async for batch in batches:
            await beside.take([event for event in batch if event.position <= position])
            if beside.position >= position:
                return
    finally:
        if isinstance(batches, AsyncGenerator):
            await batches.aclose()


async def _digests(rows: Rows, schema: str) -> dict[str, TableDigest]:
    found = await rows.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY tablename", schema
    )
    return {row["tablename"]: await _digest(rows, f"{schema}.{row['tablename']}") for row in found}


async def _digest(rows: Rows, table: str) -> TableDigest:
    row = await rows.fetchrow(
        f"""SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text,
            coalesce(sum(hashtextextended(t::text, 1)::numeric), 0)::text FROM {table} AS t"""
    )
    assert row is not None
    return TableDigest(row[0], f"{row[1]} {row[2]}")
