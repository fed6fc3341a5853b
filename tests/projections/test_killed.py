"""SIGKILL in the middle of a fold, again and again: the rows are those of a fold that nobody killed."""

import asyncio
import signal
import sys
from pathlib import Path

from projections.checkpoint import Projection, create, drop, position_of
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.readmodel import Pool, open_pool
from tests.projections.recorded import Forgotten, record
from tests.projections.rows import tables
from tests.projections.test_changing import small_world
from tests.sizes import size

KILLS = size(3, 12)


async def position_past(pool: Pool, goal: int) -> int:
    """How far the rows are, once they are so far."""
    async with pool.rows() as rows:
        while (at := await position_of(rows, MailboxModel)) < goal:
            pass  # to ask takes as long as the fold of a few events
    return at


async def test_a_fold_that_is_killed_goes_on_from_its_last_transaction(
    postgres_dsn: str, tmp_path: Path
) -> None:
    world = small_world(73, 60 * KILLS)
    file = tmp_path / "history.jsonl"
    record(file, world.log)
    command = (sys.executable, "-m", "tests.projections.folding", postgres_dsn, str(file))
    async with open_pool(postgres_dsn) as pool:
        model = MailboxModel(Keyring(Forgotten()))
        await create(pool, [model])
        at, last, hits = 0, len(world.log), 0
        for nth in range(KILLS):
            process = await asyncio.create_subprocess_exec(*command)
            at = await position_past(pool, min(last, at + (last - at) // (KILLS - nth + 1)))
            process.send_signal(signal.SIGKILL)
            hits += await process.wait() == -signal.SIGKILL and at < last
        assert hits > 0
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0
        kept = await tables(pool, model.schema)
        await drop(pool, model.schema)
        await create(pool, [model])
        await Projection(model, pool).take(world.log)
        assert await tables(pool, model.schema) == kept
