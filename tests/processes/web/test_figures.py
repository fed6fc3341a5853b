"""The figures of a gauge, from real rows and a log in memory: who is how far behind, and what waits."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.adapters.memory.content import MemoryWriteAhead
from gateway.adapters.memory.log import MemoryLog
from gateway.domain.events import MailBounced, RouterDecided
from gateway.domain.group import encode_group
from gateway.domain.histories import route_history
from gateway.ports import Fact, Unavailable
from gateway.processes.web.figures import STUCK_AFTER_S, Gauge
from projections import checkpoint, texts
from projections.checkpoint import Projection
from projections.directory.project import DirectoryModel
from projections.keyring import Keyring
from projections.queue import leases
from projections.queue.project import QueueModel
from projections.readmodel import Pool, open_pool
from projections.trace.project import TraceModel
from tests.processes.world import MovedClock
from tests.projections.world import World, stored

MODELS = (QueueModel, TraceModel)


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    async with open_pool(postgres_dsn) as pool:
        yield pool


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def gauge_of(pool: Pool, tmp_path: Path, clock: MovedClock) -> Callable[[MemoryLog], Gauge]:
    def gauge(log: MemoryLog) -> Gauge:
        return Gauge(
            log=log,
            pool=pool,
            write_ahead=MemoryWriteAhead(),
            models=MODELS,
            shares=2,
            data=tmp_path,
            clock=clock,
        )

    return gauge


async def test_lags_count_events_and_routers_count_undecided_mails(
    pool: Pool, gauge_of: Callable[[MemoryLog], Gauge]
) -> None:
    world = World(3)
    opm = world.agency("OPM", "opm.go.th")
    mails = [world.accept(opm, "ann@example.org", ["vet@dld.go.th"]) for _ in range(8)]
    world.queue(mails[0], None, [0])
    for mail in mails[1:3]:
        world.queue(mail, None, [0])
        world.attempt(MailBounced, mail, [0])
        world.attempt(MailBounced, mail, [0])  # told twice, counted once
    world.queue(mails[3], None, [0])
    log = stored(world)
    ring = Keyring(world.keys)
    trace, queue = TraceModel(ring), QueueModel(ring)
    await checkpoint.create(pool, [queue, trace, DirectoryModel(ring)])
    await leases.create(pool)
    await texts.create(pool)
    await Projection(trace, pool).take(world.log)
    await Projection(queue, pool).take(world.log[:-1])

    found = await gauge_of(log).read()
    assert found.position == len(world.log)
    assert (found.lags["queue"], found.lags["trace"]) == (1, 0)
    assert found.lags["router-0"] + found.lags["router-1"] == 8
    assert found.waiting == 1
    assert (found.bounced, found.bounced_at) == ({"mailbox": 2}, {"dld.go.th": {"mailbox": 2}})
    assert found.waiting_at == {"dld.go.th": 1}
    projection = Projection(queue, pool)
    await projection.load(log)
    await projection.take(world.log[-1:])
    assert (await gauge_of(log).read()).waiting == 2
    assert found.is_well
    assert 0 < found.disk_free_octets <= found.disk_octets

    for share in range(2):
        decided = RouterDecided(up_to=len(world.log), **world.stamp().fields())
        log.store(encode_group([Fact(route_history(share), decided)]))
    later = await gauge_of(log).read()
    assert (later.lags["router-0"], later.lags["router-1"]) == (0, 0)
    assert later.lags["trace"] == 2


async def test_who_is_behind_and_does_not_move_is_stuck(
    pool: Pool, gauge_of: Callable[[MemoryLog], Gauge], clock: MovedClock
) -> None:
    world = World(4)
    opm = world.agency("OPM", "opm.go.th")
    for _ in range(4):
        world.accept(opm, "ann@example.org", ["vet@dld.go.th"])
    ring = Keyring(world.keys)
    trace, queue = TraceModel(ring), QueueModel(ring)
    await checkpoint.create(pool, [queue, trace, DirectoryModel(ring)])
    await leases.create(pool)
    await texts.create(pool)
    projections = {model.name: Projection(model, pool) for model in (trace, queue)}
    await projections["queue"].take(world.log[:-2])
    gauge = gauge_of(stored(world))
    assert (await gauge.read()).is_well
    clock.move(STUCK_AFTER_S - 1)
    await projections["queue"].take(world.log[-2:-1])
    assert (await gauge.read()).stuck == ()
    clock.move(2)
    found = await gauge.read()
    assert found.stuck == ("trace",), "the queue is behind as well, and has moved"
    assert not found.is_well
    assert 'saraban_consumer_stuck{consumer="trace"} 1' in found.metrics()
    await projections["trace"].take(world.log)
    await projections["queue"].take(world.log)
    later = await gauge.read()
    assert later.is_well
    assert later.steps == {"mail.accepted/1": 4}, "what has come since the first look"
    assert 'saraban_mail_events_total{topic="mail.accepted/1"} 4' in later.metrics()


async def test_rows_that_were_not_made_are_unavailable(gauge_of: Callable[[MemoryLog], Gauge]) -> None:
    with pytest.raises(Unavailable, match="postgres"):
        await gauge_of(MemoryLog()).read()
