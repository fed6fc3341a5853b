"""Whole tables, to compare."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from gateway.ports import Recorded
from projections.bans.project import BansModel
from projections.checkpoint import Projection
from projections.directory.project import DirectoryModel
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.queue import query
from projections.queue.project import QueueModel
from projections.queue.turns import of_whom_waits
from projections.readmodel import Pool, ReadModel, Rows
from projections.trace.project import TraceModel
from tests.projections.world import Safe

ENOUGH = 1_000

Table = list[tuple[object, ...]]


def all_models(keys: Safe) -> list[ReadModel]:
    ring = Keyring(keys)
    return [
        DirectoryModel(ring),
        MailboxModel(ring),
        QueueModel(ring),
        TraceModel(ring),
        BansModel(ring),
    ]


async def fold(projections: Iterable[Projection], log: Sequence[Recorded], batch: int = 1_000) -> None:
    for projection in projections:
        for start in range(0, len(log), batch):
            await projection.take(log[start : start + batch])


async def tables(pool: Pool, *schemas: str) -> dict[str, Table]:
    """Every row of every table of these schemas, by table, sorted."""
    async with pool.snapshot() as rows:
        found = await rows.fetch(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY($1) ORDER BY 1, 2",
            list(schemas),
        )
        return {
            f"{schema}.{table}": sorted(
                (tuple(row.values()) for row in await rows.fetch(f"SELECT * FROM {schema}.{table}")), key=repr
            )
            for schema, table in found
        }


async def due(rows: Rows, at: datetime, *, limit: int = ENOUGH, leased_too: bool = False) -> list[query.Due]:
    """Whoever is due, as if there were one relay with room for all."""
    waiting, _ = await of_whom_waits(rows, at)
    return await query.due(rows, at, dict.fromkeys(waiting, ENOUGH), limit=limit, leased_too=leased_too)
