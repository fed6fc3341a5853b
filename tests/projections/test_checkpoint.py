"""Position and digest move with the rows, or nothing moves."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import asyncpg
import pytest

from gateway.domain.events import ConsumerHeld, ConsumerReleased, LaneOpened, MailDelivered
from gateway.ports import START, Deposed, Fact, LogCorrupt, Position, Recorded, Unavailable
from projections.checkpoint import Poison, Projection, create, drop, position_of, reached
from projections.keyring import Keyring, Keys
from projections.mailbox.project import MailboxModel
from projections.mailbox.query import SCHEMA
from projections.queue.project import QueueModel
from projections.readmodel import Pool, Rows, open_pool
from projections.trace.project import TraceModel
from projections.trace.query import story_of
from tests.projections.busy import busy_world
from tests.projections.rows import fold, tables
from tests.projections.world import World, stored

NAMES = f"SELECT tablename FROM pg_tables WHERE schemaname = '{SCHEMA}'"


@pytest.fixture
def pool(untouched_pool: Pool) -> Pool:
    return untouched_pool


def mailbox_model(world: World) -> MailboxModel:
    return MailboxModel(Keyring(world.keys))


class Fragile(MailboxModel):
    """A fold that fails in the middle of its transaction, after it has written."""

    fails_at: int | None = None

    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        await super().apply(batch, rows, keys)
        if any(event.position == self.fails_at for event in batch):
            raise ValueError("cannot be folded")


async def test_a_checkpoint_is_loaded_where_the_last_transaction_left_it(pool: Pool) -> None:
    world = busy_world(11, 20)
    log = stored(world)
    await create(pool, [mailbox_model(world)])
    projection = Projection(mailbox_model(world), pool)
    assert await projection.load(log) == START
    await projection.take(world.log[:17])
    again = Projection(mailbox_model(world), pool)
    checkpoint = await again.load(log)
    assert (checkpoint.position, checkpoint.digest) == (17, world.log[16].digest)
    async with pool.rows() as rows:
        assert await position_of(rows, MailboxModel) == 17
        assert await position_of(rows, MailboxModel, slot=5) == 17


async def test_of_two_projectors_on_the_same_slots_one_is_refused(pool: Pool) -> None:
    world = busy_world(12, 40)
    await create(pool, [mailbox_model(world)])
    twins = [Projection(mailbox_model(world), pool), Projection(mailbox_model(world), pool)]
    outcomes = await asyncio.gather(
        *(fold([twin], world.log, batch=10) for twin in twins), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes if outcome] == [Deposed]
    kept = await tables(pool, SCHEMA)
    fresh = Projection(mailbox_model(world), pool)
    await fresh.load(stored(world))
    assert fresh.position == world.log[-1].position
    delivered = {
        (e.event.account_id, e.event.mail_id) for e in world.log if isinstance(e.event, MailDelivered)
    }
    assert sum(row[2] for row in kept[f"{SCHEMA}.usage"]) == len(delivered)  # type: ignore[misc]


async def test_workers_share_the_slots_and_their_number_may_change(pool: Pool) -> None:
    world = busy_world(13, 60)
    model = MailboxModel(Keyring(world.keys))
    await create(pool, [model])
    log = stored(world)
    low, high = Projection(model, pool, range(20)), Projection(model, pool, range(20, 64))
    half = len(world.log) // 2
    await fold([low], world.log[:half])
    await fold([high], world.log)
    alone = Projection(model, pool)
    assert (await alone.load(log)).position == half
    await fold([alone], world.log, batch=50)
    parted = await tables(pool, SCHEMA)

    await drop(pool, SCHEMA)
    await create(pool, [model])
    await fold([Projection(model, pool)], world.log)
    assert await tables(pool, SCHEMA) == parted


async def test_a_log_that_is_shorter_or_other_than_what_was_folded_stops(pool: Pool) -> None:
    world = busy_world(14, 30)
    await create(pool, [mailbox_model(world)])
    await fold([Projection(mailbox_model(world), pool)], world.log)
    last = world.log.pop()
    with pytest.raises(LogCorrupt, match=f"position {last.position}: the log is shorter"):
        await Projection(mailbox_model(world), pool).load(stored(world))
    world.noise()
    with pytest.raises(LogCorrupt, match=f"position {last.position}: another event"):
        await Projection(mailbox_model(world), pool).load(stored(world))


async def test_an_altered_event_is_noticed_when_it_comes_by_again(pool: Pool) -> None:
    world = busy_world(15, 30)
    await create(pool, [mailbox_model(world)])
    projection = Projection(mailbox_model(world), pool)
    await projection.take(world.log[:20])
    altered = replace(world.log[19], state=world.log[19].state + b" ")
    with pytest.raises(LogCorrupt, match="position 20"):
        await projection.take([*world.log[:19], altered, *world.log[20:25]])


async def test_a_poison_event_stops_there_and_everything_before_it_is_kept(pool: Pool) -> None:
    world = busy_world(16, 40)
    model = Fragile(Keyring(world.keys))
    delivered = [(e.position, e.event) for e in world.log if isinstance(e.event, MailDelivered)]
    model.fails_at = delivered[9][0]
    before = {(event.account_id, event.mail_id) for _, event in delivered[:9]}
    await create(pool, [model])
    projection = Projection(model, pool)
    with pytest.raises(
        Poison,
        match=rf"mailbox cannot fold position {model.fails_at} \(mail.delivered/1\).*"
        rf"saraban log hold {model.fails_at} --consumer mailbox --reason TEXT",
    ):
        await projection.take(world.log)
    async with pool.rows() as rows:
        assert await position_of(rows, MailboxModel) == model.fails_at - 1
        assert await rows.fetchval(f"SELECT count(*) FROM {SCHEMA}.delivery") == len(before)


async def test_a_topic_nobody_knows_stops_the_fold(pool: Pool) -> None:
    world = World(22)
    await create(pool, [mailbox_model(world)])
    stranger = Recorded(Position(1), "ev.mail.00", "mail.teleported/1", b"{}")
    with pytest.raises(Poison, match=r"does not know mail\.teleported/1"):
        await Projection(mailbox_model(world), pool).take([stranger])


async def test_a_held_position_is_passed_over_by_that_consumer_alone(pool: Pool) -> None:
    world = busy_world(17, 40)
    poison = next(e for e in world.log if isinstance(e.event, MailDelivered))
    fields = world.stamp().fields()
    held = ConsumerHeld(consumer="mailbox", position=poison.position, reason="test", **fields)
    world.hold("mailbox", held)
    log = stored(world)
    models = [mailbox_model(world), TraceModel(Keyring(world.keys))]
    await create(pool, models)
    for model in models:
        projection = Projection(model, pool)
        await projection.load(log)
        await projection.take(world.log)
    rows = await tables(pool, SCHEMA)
    assert isinstance(poison.event, MailDelivered)
    mail = (poison.event.account_id, poison.event.mail_id)
    again = any(
        isinstance(e.event, MailDelivered) and (e.event.account_id, e.event.mail_id) == mail
        for e in world.log[poison.position :]
    )
    assert (mail in rows[f"{SCHEMA}.delivery"]) == again
    async with pool.rows() as found:
        story = await story_of(found, [poison.event.mail_id])
    assert poison.position in {step.position for step in story}


async def test_a_hold_that_comes_by_counts_until_it_is_released(pool: Pool) -> None:
    world = World(18)
    fields = world.stamp().fields()
    opm = world.agency("OPM", "opm.go.th")
    owner = world.account(opm, "a@opm.go.th")
    mails = [world.accept(opm, None, ["a@opm.go.th"]) for _ in range(2)]
    ahead = Position(len(world.log) + 3 + 1)
    held = [ConsumerHeld(consumer="mailbox", position=ahead + n, reason="test", **fields) for n in range(2)]
    world.hold("mailbox", held[0])
    world.hold("mailbox", held[1])
    world.hold("mailbox", ConsumerReleased(consumer="mailbox", position=ahead + 1, **fields))
    for mail in mails:
        world.deliver(mail, owner, [0])
    await create(pool, [mailbox_model(world)])
    projection = Projection(mailbox_model(world), pool)
    await projection.take(world.log)
    rows = await tables(pool, SCHEMA)
    assert [row[:2] for row in rows[f"{SCHEMA}.delivery"]] == [(owner.account_id, mails[1].mail_id)]
    assert projection.held == {ahead}


async def test_waiting_ends_when_the_rows_are_there_or_the_time_is_over(pool: Pool) -> None:
    world = busy_world(19, 10)
    await create(pool, [mailbox_model(world)])
    last = world.log[-1].position
    assert not await reached(pool, MailboxModel, last, 0.02)
    waiter = asyncio.create_task(reached(pool, MailboxModel, last, 60))
    await Projection(mailbox_model(world), pool).take(world.log)
    assert await waiter
    assert await reached(pool, MailboxModel, last, 0.02, hint=asyncio.Event())


async def test_rows_that_are_away_are_unavailable() -> None:
    with pytest.raises(Unavailable, match="postgres"):
        async with open_pool("postgresql://nobody:x@127.0.0.1:1/none"):
            pass


async def test_tables_nobody_made_are_unavailable(pool: Pool) -> None:
    with pytest.raises(Unavailable, match="have not been made"):
        await reached(pool, QueueModel, Position(1), 1)


async def test_a_wrong_value_of_ours_is_no_outage(pool: Pool) -> None:
    with pytest.raises(asyncpg.DataError):
        async with pool.rows() as rows:
            await rows.fetchval("SELECT $1::int", 2**40)


async def test_what_nobody_folds_still_moves_the_checkpoint(pool: Pool) -> None:
    world = World(20)
    world.add(Fact("lane.edge-host-0", LaneOpened(**world.stamp().fields())))
    await create(pool, [mailbox_model(world)])
    await Projection(mailbox_model(world), pool).take(world.log)
    assert await reached(pool, MailboxModel, Position(1), 1)


async def test_a_database_that_lost_its_last_transactions_is_folded_again_from_there(pool: Pool) -> None:
    world = busy_world(21, 60)
    await create(pool, [mailbox_model(world)])
    projection, log = Projection(mailbox_model(world), pool), stored(world)
    await projection.take(world.log[:50])
    async with pool.rows() as rows:  # what a crash takes: commits that were answered, not yet on disk
        before = [tuple(row) for row in await rows.fetch("SELECT * FROM checkpoints.checkpoint")]
        names = [row[0] for row in await rows.fetch(NAMES)]
        kept = {
            name: [tuple(row) for row in await rows.fetch(f"SELECT * FROM {SCHEMA}.{name}")] for name in names
        }
    await projection.take(world.log[50:100])
    async with pool.transaction() as rows:
        await rows.execute(f"TRUNCATE checkpoints.checkpoint, {SCHEMA}.{f', {SCHEMA}.'.join(names)}")
        await rows.copy_records_to_table("checkpoint", records=before, schema_name="checkpoints")
        for name, records in kept.items():
            await rows.copy_records_to_table(name, records=records, schema_name=SCHEMA)
    with pytest.raises(Unavailable, match="lost the last transactions"):
        await projection.take(world.log[100:150])
    assert (await projection.load(log)).position == 50
    with pytest.raises(AssertionError, match="is at 50, not before 101"):
        await projection.take(world.log[100:150])
    await projection.take(world.log[50:])
    mended = await tables(pool, SCHEMA)
    await drop(pool, SCHEMA)
    await create(pool, [mailbox_model(world)])
    await Projection(mailbox_model(world), pool).take(world.log)
    assert await tables(pool, SCHEMA) == mended


async def test_a_connection_that_was_lost_and_is_used_again_is_unavailable(pool: Pool) -> None:
    """By then the driver has taken it back, and would not even end it."""

    async def use_again() -> None:
        async with pool.rows() as rows:
            with pytest.raises(asyncpg.AdminShutdownError):
                await rows.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            while True:
                await rows.execute("SELECT 1")

    with pytest.raises(Unavailable):
        await use_again()
