"""The projector on a real database and a log in memory."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.adapters.system import SystemClock
from gateway.domain.events import MailDelivered
from gateway.domain.group import encode_group
from gateway.mail.ids import AccountId
from gateway.ports import Clock, EventLog, Fact, Position, Unavailable
from gateway.processes.projector.following import run
from projections.checkpoint import Poison, Projection, create, drop, reached
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.mailbox.query import list_mailboxes
from projections.readmodel import Pool, ReadModel, open_pool
from projections.rebuild import rebuild
from tests.conftest import RunningPostgres
from tests.projections.busy import busy_world
from tests.projections.rows import all_models
from tests.projections.world import World, stored


class Ears:
    """A Notifier that remembers what it was told and what the rows said then."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.messages_when_told: dict[AccountId, int] = {}
        self.fault: Unavailable | None = None
        self._told = asyncio.Condition()

    async def hears(self, account_id: AccountId, messages: int) -> None:
        """Wait until it was told of an account with so many messages."""
        async with self._told:
            await self._told.wait_for(lambda: self.messages_when_told.get(account_id) == messages)

    async def changed(self, accounts: Collection[AccountId]) -> None:
        if self.fault:
            raise self.fault
        for account_id in accounts:
            async with self._pool.rows() as rows:
                mailboxes = await list_mailboxes(rows, account_id)
            self.messages_when_told[account_id] = sum(mailbox.messages for mailbox in mailboxes)
        async with self._told:
            self._told.notify_all()


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    async with open_pool(postgres_dsn) as pool:
        yield pool


@asynccontextmanager
async def projecting(
    log: EventLog, models: Sequence[ReadModel], pool: Pool, ears: Ears, clock: Clock | None = None
) -> AsyncIterator[None]:
    """The projector at work while the body runs; when it fails, the body ends too."""
    projections = [Projection(model, pool) for model in models]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(log, projections, ears, clock or SystemClock()))
        yield
        task.cancel()


async def all_reached(pool: Pool, models: list[ReadModel], position: Position) -> bool:
    waits = (reached(pool, type(model), position, 60) for model in models)
    return all(await asyncio.gather(*waits))


async def test_all_models_are_kept_up_to_date_and_readers_are_told_after_the_commit(pool: Pool) -> None:
    world = busy_world(41, 200)
    models, ears = all_models(world.keys), Ears(pool)
    await create(pool, models)
    log = stored(world)
    async with projecting(log, models, pool, ears):
        assert await all_reached(pool, models, world.log[-1].position)
        mail = world.accept(world.accounts[0].agency_id, None, ["x@opm.go.th"])
        owner = world.accounts[0]
        world.deliver(mail, owner, [0])
        before = ears.messages_when_told[owner.account_id]
        mail_facts = [Fact(e.subject.removeprefix("ev."), e.event) for e in world.log[-2:]]
        log.store(encode_group(mail_facts))
        await ears.hears(owner.account_id, before + 1)
    delivered_to = {e.event.account_id for e in world.log if isinstance(e.event, MailDelivered)}
    assert delivered_to <= ears.messages_when_told.keys()
    assert ears.messages_when_told[owner.account_id] == before + 1


async def test_what_somebody_waits_for_is_folded_at_once(pool: Pool) -> None:
    class Awaited(MailboxModel):
        awaited = frozenset({MailDelivered.TOPIC})

    class Stopped(SystemClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.Event().wait()

    world = busy_world(47, 30)
    model = Awaited(Keyring(world.keys))
    await create(pool, [model])
    last = next(event for event in reversed(world.log) if isinstance(event.event, MailDelivered))
    async with projecting(stored(world), [model], pool, Ears(pool), Stopped()):
        assert await reached(pool, MailboxModel, last.position, 60)


async def test_models_at_different_places_are_led_on_from_their_own(pool: Pool) -> None:
    world = busy_world(42, 150)
    models = all_models(world.keys)
    await create(pool, models)
    for number, model in enumerate(models):
        await Projection(model, pool).take(world.log[: 50 * number + 1])
    log = stored(world)
    async with projecting(log, models, pool, Ears(pool)):
        assert await all_reached(pool, models, world.log[-1].position)
    for model in models:
        assert (await rebuild(model, log, pool)).is_equal


async def test_a_hint_nobody_could_be_given_stops_nothing(pool: Pool) -> None:
    world = busy_world(43, 30)
    models, ears = all_models(world.keys), Ears(pool)
    ears.fault = Unavailable("nats", "gone")
    await create(pool, models)
    async with projecting(stored(world), models, pool, ears):
        assert await all_reached(pool, models, world.log[-1].position)


async def test_a_killed_database_costs_no_event_and_doubles_none(
    pool: Pool, postgres_server: RunningPostgres
) -> None:
    world = busy_world(44, 1_500)
    models = all_models(world.keys)
    await create(pool, models)
    log = stored(world)
    async with projecting(log, models, pool, Ears(pool)):
        assert await all_reached(pool, models, Position(500))
        postgres_server.kill()
        await asyncio.to_thread(postgres_server.restart)
        assert await all_reached(pool, models, world.log[-1].position)
    for model in models:
        assert (await rebuild(model, log, pool)).is_equal


async def test_a_poison_event_ends_the_process_naming_itself(pool: Pool) -> None:
    world = World(45)
    opm = world.agency("OPM", "opm.go.th")
    world.account(opm, "a@opm.go.th")
    mail = world.accept(opm, None, ["a@opm.go.th"])
    stranger = busy_world(46, 0, accounts=1).accounts[0]
    world.keys.key(f"account.{stranger.account_id}")
    world.deliver(mail, stranger, [0])  # to an account that has no INBOX
    models = all_models(world.keys)
    await create(pool, models)
    with pytest.raises(ExceptionGroup) as caught:
        await run(stored(world), [Projection(model, pool) for model in models], Ears(pool), SystemClock())
    (poison,) = caught.value.exceptions
    assert isinstance(poison, Poison)
    assert (poison.model, poison.position) == ("mailbox", world.log[-1].position)
    assert "has no INBOX" in str(poison)


async def test_everything_dropped_comes_back_the_same(pool: Pool) -> None:
    world = busy_world(47, 100)
    models = all_models(world.keys)
    await create(pool, models)
    log = stored(world)
    for _ in range(2):
        async with projecting(log, models, pool, Ears(pool)):
            assert await all_reached(pool, models, world.log[-1].position)
        for model in models:
            assert (await rebuild(model, log, pool)).is_equal
            await drop(pool, model.schema)
        await create(pool, models)
