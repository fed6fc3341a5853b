"""A process that folds a recorded history into the rows of mailboxes, a few events a transaction.

    python -m tests.projections.folding DSN HISTORY

HISTORY: a file as tests/golden/uids/history.jsonl. Every key counts as destroyed.
"""

import asyncio
import sys
from pathlib import Path

from gateway.adapters.memory.log import MemoryLog
from gateway.domain.group import encode_group
from gateway.ports import Fact
from projections.checkpoint import Projection
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.readmodel import open_pool
from tests.projections.recorded import Forgotten, recorded

BATCH = 2


async def fold(dsn: str, file: Path) -> None:
    """From the checkpoint on, to the end of the history."""
    history, log = recorded(file), MemoryLog()
    for event in history:
        log.store(encode_group([Fact(event.subject.removeprefix("ev."), event.event)]))
    async with open_pool(dsn) as pool:
        projection = Projection(MailboxModel(Keyring(Forgotten())), pool)
        at = (await projection.load(log)).position
        while at < len(history):
            await projection.take(history[at : at + BATCH])
            at += BATCH


if __name__ == "__main__":
    asyncio.run(fold(sys.argv[1], Path(sys.argv[2])))
