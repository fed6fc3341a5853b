"""After an upgrade the rows of the older version go, and none that somebody folds, reads or made himself."""

import asyncio
from typing import Final

import pytest

from gateway.adapters.memory.leases import MemoryLeases
from gateway.ports import Position
from gateway.processes import maillog
from gateway.processes.steward import retiring
from projections.checkpoint import Projection, create
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.readmodel import Pool, ReadModel, schema_of
from projections.retiring import Retired, left_behind, retire
from projections.trace.project import TraceModel
from tests.processes.world import MovedClock
from tests.projections.busy import busy_world
from tests.projections.world import World, stored


class OlderMailbox(MailboxModel):
    version = MailboxModel.version - 1


class LaterTrace(TraceModel):
    version = TraceModel.version + 1


OLDER, NEWER = schema_of(OlderMailbox), schema_of(MailboxModel)
MODELS: Final[tuple[type[ReadModel], ...]] = (MailboxModel, TraceModel)
AT: Final = Position(100)  # where the older one stopped


@pytest.fixture
def pool(untouched_pool: Pool) -> Pool:
    return untouched_pool


@pytest.fixture
async def world(pool: Pool) -> World:
    """An older mailbox that stopped, a newer one that went on, and a trace of a build that is yet to come."""
    world = busy_world(61, 60)
    ring = Keyring(world.keys)
    await create(
        pool,
        [
            OlderMailbox(ring),
            MailboxModel(ring),
            TraceModel(ring),
            LaterTrace(ring),
        ],
    )
    await Projection(OlderMailbox(ring), pool).take(world.log[:AT])
    await Projection(MailboxModel(ring), pool).take(world.log[: AT + 1])
    return world


async def schemas(pool: Pool) -> set[str]:
    async with pool.rows() as rows:
        found = await rows.fetch("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'")
    return {row["nspname"] for row in found}


@pytest.mark.usefixtures("world")
async def test_the_older_goes_at_the_second_look_and_nothing_else(pool: Pool) -> None:
    async with pool.rows() as rows:
        for foreign in (
            "mailbox_v0",
            "mailbox",
            "quota_v1",
            "bans_v0",
            "accounting_v1",
        ):  # without a checkpoint, or not ours
            await rows.execute(f"CREATE SCHEMA {foreign}")
        await rows.execute("INSERT INTO checkpoints.checkpoint VALUES ('accounting_v1', 0, 5, '')")
    before = await schemas(pool)
    gone, behind = await retire(pool, MODELS, {})
    assert (gone, behind, await schemas(pool)) == ([], {OLDER: AT}, before)
    gone, behind = await retire(pool, MODELS, behind)
    assert gone == [Retired(OLDER, NEWER)]
    assert await schemas(pool) == before - {OLDER}
    assert await left_behind(pool, MODELS) == {}
    async with pool.rows() as rows:
        known = {row["schema"] for row in await rows.fetch("SELECT schema FROM checkpoints.checkpoint")}
    assert OLDER not in known
    assert {NEWER, LaterTrace(None).schema, "accounting_v1"} <= known  # type: ignore[arg-type]


async def test_what_a_gateway_of_the_older_build_folds_stays(pool: Pool, world: World) -> None:
    ring = Keyring(world.keys)
    older, newer = (
        Projection(OlderMailbox(ring), pool),
        Projection(MailboxModel(ring), pool),
    )
    await older.load(stored(world))
    await newer.load(stored(world))
    _, behind = await retire(pool, MODELS, {})
    await older.take(world.log[: AT + 1])
    assert await left_behind(pool, MODELS) == {}, "it is not behind"
    await newer.take(world.log[: AT + 9])
    gone, _ = await retire(pool, MODELS, behind)
    assert gone == [], "it is behind, and has moved"
    assert OLDER in await schemas(pool)


@pytest.mark.usefixtures("world")
async def test_the_steward_looks_again_and_puts_it_on_record(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(maillog, "rows_retired", lambda **fields: recorded.set_result(fields))
    looking = asyncio.create_task(retiring.run(pool, MODELS, MovedClock(), MemoryLeases()))
    assert await recorded == {"schema": OLDER, "newer": NEWER}
    looking.cancel()
    await asyncio.wait([looking])
    assert OLDER not in await schemas(pool)


@pytest.mark.usefixtures("world")
async def test_what_somebody_reads_stays_for_now(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.retiring.LOCK_TIMEOUT", "50ms")
    _, behind = await retire(pool, MODELS, {})
    async with pool.transaction() as reading:
        await reading.fetch(f"SELECT * FROM {OLDER}.usage")
        gone, behind = await retire(pool, MODELS, behind)
        assert (gone, behind) == ([], {OLDER: AT})
    gone, _ = await retire(pool, MODELS, behind)
    assert gone == [Retired(OLDER, NEWER)]


@pytest.mark.usefixtures("world")
async def test_a_gateway_of_the_older_build_that_comes_back_folds_anew(pool: Pool, world: World) -> None:
    await retire(pool, MODELS, {OLDER: AT})
    assert OLDER not in await schemas(pool)
    ring = Keyring(world.keys)
    await create(pool, [OlderMailbox(ring)])
    older = Projection(OlderMailbox(ring), pool)
    await older.take(world.log[:AT])
    assert older.position == AT


@pytest.mark.usefixtures("world")
async def test_the_rows_of_a_model_that_another_has_absorbed_go_too(pool: Pool) -> None:
    async with pool.rows() as rows:
        await rows.execute("CREATE SCHEMA quota_v9")
        await rows.execute("INSERT INTO checkpoints.checkpoint VALUES ('quota_v9', 0, $1, '')", AT)
    _, behind = await retire(pool, MODELS, {})
    assert behind["quota_v9"] == AT
    gone, _ = await retire(pool, MODELS, behind)
    assert Retired("quota_v9", NEWER) in gone
