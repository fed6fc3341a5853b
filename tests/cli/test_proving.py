"""`saraban queue check` on rows of a real PostgreSQL: what it says when log and rows are not one, or late."""

from datetime import timedelta

import pytest

from gateway.cli import checking
from gateway.cli.checking import prove_queue
from gateway.domain.books import BOOKED, LATE, Books
from gateway.domain.events import MailDeferred
from projections.queue.project import QueueModel
from projections.readmodel import Pool, schema_of
from tests.processes.relay.host import Host
from tests.processes.relay.test_work import Rows

RECIPIENT = f"{schema_of(QueueModel)}.recipient"


@pytest.fixture
async def setting(emptied_pool: Pool) -> Rows:
    """Three mails that wait, and rows that know it."""
    setting = Rows(emptied_pool)
    await setting.make_tables()
    await setting.queued(mails=3)
    await setting.fold()
    return setting


async def proved(setting: Rows) -> tuple[int, list[str]]:
    """How many wait, and every fault."""
    books = Books()
    waiting = await prove_queue(setting.world.log, setting.pool, setting.clock, books, BOOKED)
    assert books.events == await setting.world.log.last()
    return waiting, books.faults


async def execute(setting: Rows, statement: str, *values: object) -> None:
    async with setting.pool.rows() as rows:
        await rows.execute(statement, *values)


async def test_what_waits_and_is_due_is_no_fault(setting: Rows) -> None:
    assert await proved(setting) == (3, [])


async def test_rows_that_differ_are_told_by_mail(setting: Rows) -> None:
    first, second, third = sorted(job.queued.mail_id for job in await setting.rows().take(10))
    await execute(setting, f"UPDATE {RECIPIENT} SET outcome = 'relayed' WHERE mail_id = $1", first)
    moved = f"UPDATE {RECIPIENT} SET next_attempt_at = next_attempt_at + '1 s' WHERE mail_id = $1"
    await execute(setting, moved, second)
    added = f"UPDATE {RECIPIENT} SET recipient = 7 WHERE mail_id = $1"
    await execute(setting, added, third)
    waiting, faults = await proved(setting)
    assert waiting == 3  # by the log
    assert sorted(faults) == sorted(
        [
            f"{first}: waits by the log, and the queue has no rows of it",
            f"{second}: the queue's rows differ from the log",
            f"{third}: the queue's rows differ from the log",
        ]
    )


async def test_who_was_due_long_ago_is_late_unless_somebody_is_trying(setting: Rows) -> None:
    jobs = await setting.rows().take(2)  # under lease for a minute
    setting.clock.move((2 * LATE).total_seconds())
    trying = {job.queued.mail_id for job in jobs}
    waiting, faults = await proved(setting)
    assert waiting == 3
    (fault,) = faults
    assert "its next attempt was due at" in fault
    assert not any(mail_id in fault for mail_id in trying)


async def test_who_waits_beyond_their_time_is_told(setting: Rows) -> None:
    setting.clock.move(timedelta(days=6).total_seconds())
    moved = f"UPDATE {RECIPIENT} SET next_attempt_at = expires_at"
    await execute(setting, moved)
    _, faults = await proved(setting)
    assert len([fault for fault in faults if "its time was over at" in fault]) == 3


async def test_rows_that_are_behind_are_told_and_not_compared(
    setting: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "SETTLE_S", 0.01)
    async with Host(greeting="451 4.3.2 later").listening() as host, setting.relay(host):
        await setting.world.until(MailDeferred.TOPIC, 3)
    waiting, faults = await proved(setting)
    assert waiting == 3
    (fault,) = faults
    assert fault.startswith("the rows of queue are ")
    assert "is the projector at work?" in fault
