"""Leases and rows on a real PostgreSQL: who may try what, and that nobody tries twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from gateway.adapters.memory.log import open_lane
from gateway.domain.delivery import Attempt, Tried, outcome_facts
from gateway.domain.events import Actor, MailDelivered, MailRelayed, Stamp
from gateway.domain.group import encode_group
from gateway.domain.retries import RetrySchedule
from gateway.mail.address import parse_address
from gateway.mail.reply import reply
from gateway.ports import Position, Unavailable
from gateway.processes.registry.counting import count_accounts
from gateway.processes.registry.registry import Registry
from gateway.processes.relay import work
from gateway.processes.relay.opening import open_mail
from gateway.processes.relay.paces import PaceRows
from gateway.processes.relay.relay import Relay
from gateway.processes.relay.work import Job, QueueRows
from gateway.processes.router.directory import DirectoryRows
from projections import checkpoint
from projections.checkpoint import Projection
from projections.directory.project import DirectoryModel
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.queue import leases
from projections.queue.project import QueueModel
from projections.readmodel import Pool, open_pool
from tests.processes.relay.host import Host
from tests.processes.relay.queue import AtDotInMemory
from tests.processes.relay.setting import Setting
from tests.processes.router.test_router import router, running
from tests.processes.world import BY

ACTOR = Actor("system", "test")


class Rows(Setting):
    """The same setting, its queue and directory in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool, self.at_dot = pool, AtDotInMemory()
        ring = Keyring(self.world.keys)
        self.models = [QueueModel(ring), DirectoryModel(ring)]
        self.tables = [*self.models, MailboxModel(ring)]  # who looks an address up sees its room
        self.projections = [Projection(model, pool) for model in self.models]

    def rows(self) -> QueueRows:
        return QueueRows(self.pool, self.world.log, self.clock, self.world.entropy, self.at_dot)

    def paces(self) -> PaceRows:
        bounds, holder = self.means.bounds, self.at_dot.token
        return PaceRows(self.pool, self.clock, self.world.entropy, bounds=bounds, holder=holder)

    async def make_tables(self) -> None:
        await checkpoint.create(self.pool, self.tables)
        await leases.create(self.pool)

    async def fold(self) -> None:
        """Bring the rows up to the end of the log."""
        events = await self.world.events()
        for projection in self.projections:
            await projection.load(self.world.log)
            await projection.take(events)

    @asynccontextmanager
    async def folding(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._keep_folding())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep_folding(self) -> None:
        starts = [await projection.load(self.world.log) for projection in self.projections]
        async for batch in self.world.log.follow(min(starts, key=lambda start: start.position)):
            for projection in self.projections:
                await projection.take(batch)

    async def leased(self) -> int:
        async with self.pool.rows() as rows:
            count: int = await rows.fetchval("SELECT count(*) FROM leases.relay_lease")
            return count


@pytest.fixture
async def setting(postgres_dsn: str) -> AsyncIterator[Rows]:
    async with open_pool(postgres_dsn) as pool:
        setting = Rows(pool)
        await setting.make_tables()
        yield setting


async def relayed(setting: Rows, job: Job) -> Position:
    """Put into the log that a job's recipients were relayed."""
    opened = await open_mail(job.queued, job.recipients, setting.world.keys, job.queued.at)
    attempts = tuple(Attempt(r, 1, reply(250, "2.0.0", "taken")) for r in job.recipients)
    facts = outcome_facts(
        Tried(job.queued, job.position, attempts, "192.0.2.25:25"),
        stamp=Stamp(setting.clock.now(), ACTOR, BY),
        schedule=RetrySchedule(),
        chance=0.5,
        data_key=opened.data_key,
        nonce=lambda: setting.world.entropy(12),
    )
    return setting.world.log.store(encode_group(facts))


def recipients(jobs: object) -> list[tuple[int, int]]:
    assert isinstance(jobs, list)
    return sorted((job.position, recipient) for job in jobs for recipient in job.recipients)


async def test_two_relays_that_take_at_once_share_the_work(setting: Rows) -> None:
    await setting.queued("a@dld.go.th", "b@dld.go.th", "c@example.net", mails=20)
    await setting.fold()
    one, other = await asyncio.gather(setting.rows().take(1_000), setting.rows().take(1_000))
    both = recipients(one) + recipients(other)
    assert len(both) == len(set(both)) == 60
    assert await setting.rows().take(1_000) == []


async def test_what_was_concluded_meanwhile_is_not_tried_again(setting: Rows) -> None:
    await setting.queued(mails=2)
    await setting.fold()
    first, second = await setting.rows().take(10)
    await relayed(setting, first)  # the rows do not know yet, and the lease ends
    async with setting.pool.rows() as rows:
        await rows.execute("DELETE FROM leases.relay_lease")
    taking = asyncio.create_task(setting.rows().take(10))
    while await setting.leased() < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert not taking.done()
    await setting.fold()
    assert recipients(await taking) == [(second.position, 0)]
    assert await setting.leased() == 1


async def test_while_the_log_is_away_nothing_stays_under_lease(setting: Rows) -> None:
    await setting.queued(mails=3)
    await setting.fold()
    setting.world.log.fault = Unavailable("nats", "no leader")
    with pytest.raises(Unavailable):
        await setting.rows().take(10)
    assert await setting.leased() == 0


async def test_the_lease_of_a_dead_relay_runs_out_and_is_counted(
    setting: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    await setting.queued("a@dld.go.th", "b@dld.go.th")
    await setting.fold()
    monkeypatch.setattr(work, "LEASE_S", 0.2)
    (job,) = await setting.rows().take(10)
    again = list[Job]()
    while not again:
        again += await setting.rows().take(10)
    assert recipients(again) == recipients([job])
    async with setting.pool.rows() as rows:
        assert await leases.ran_out(rows) == 2
    job.is_doubtful = True
    await setting.rows().renew([job])
    assert job.lease is None
    async with setting.pool.rows() as rows:
        assert await leases.ran_out(rows) == 2
    assert not job.may_end(setting.clock.monotonic())


async def test_the_leases_of_a_relay_that_is_known_to_be_dead_end_at_once(setting: Rows) -> None:
    """And only what a host may have of them, and the rows do not know, is a possible double."""
    await setting.queued(mails=3)
    await setting.fold()
    dead = setting.rows()
    first, second, third = await dead.take(10)
    dead.begin(first)
    dead.begin(second)
    await relayed(setting, second)  # and it died before it could end the lease
    setting.at_dot.left = setting.at_dot.marked
    inheriting = asyncio.create_task(setting.rows().inherit())
    await setting.fold()
    await inheriting
    assert await setting.leased() == 0
    assert setting.at_dot.marked == set()
    assert recipients(await setting.rows().take(10)) == [(first.position, 0), (third.position, 0)]
    async with setting.pool.rows() as rows:
        assert await leases.ran_out(rows) == 1


async def test_what_others_took_over_is_no_double_when_no_host_had_it(
    setting: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay that was killed and is away for longer than its leases: it tells when it is back."""
    await setting.queued(mails=3)
    await setting.fold()
    monkeypatch.setattr(work, "LEASE_S", 0.05)
    dead = setting.rows()
    first, *_ = await dead.take(10)
    dead.begin(first)
    mine, setting.at_dot = setting.at_dot, AtDotInMemory("other")
    taken = list[Job]()
    while len(taken) < 3:
        taken += await setting.rows().take(10)
    async with setting.pool.rows() as rows:
        assert await leases.ran_out(rows) == 3
        setting.at_dot, mine.left = mine, mine.marked
        await setting.rows().inherit()
        assert await leases.ran_out(rows) == 1
        setting.at_dot.left = ()  # and once more, with nothing left: what is certain stays
        await setting.rows().inherit()
        assert await leases.ran_out(rows) == 1


async def test_a_relay_that_was_paused_says_which_of_its_mails_hosts_may_have(
    setting: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    await setting.queued(mails=3)
    await setting.fold()
    monkeypatch.setattr(work, "LEASE_S", 0.05)
    paused = setting.rows()
    jobs = await paused.take(10)
    jobs[0].is_doubtful = True
    taken = list[Job]()
    while len(taken) < 3:
        taken += await setting.rows().take(10)
    await paused.renew(jobs)
    assert [job.lease for job in jobs] == [None] * 3
    async with setting.pool.rows() as rows:
        assert await leases.ran_out(rows) == 1


async def test_a_lease_that_ran_out_is_kept_where_nobody_took_it(
    setting: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    await setting.queued()
    await setting.fold()
    monkeypatch.setattr(work, "LEASE_S", 0.0)
    (job,) = await setting.rows().take(10)
    monkeypatch.undo()
    await setting.rows().renew([job])
    assert job.may_end(setting.clock.monotonic())
    assert await setting.rows().take(10) == []


async def test_when_nobody_can_tell_what_was_at_the_dot_all_that_waits_may_be_doubled(setting: Rows) -> None:
    await setting.queued(mails=3)
    await setting.fold()
    await setting.rows().take(10)
    setting.at_dot.left = None
    await setting.rows().inherit()
    async with setting.pool.rows() as rows:
        assert await leases.ran_out(rows) == 3


async def test_the_leases_of_others_are_not_inherited(setting: Rows) -> None:
    await setting.queued(mails=3)
    await setting.fold()
    await setting.rows().take(10)
    setting.at_dot = AtDotInMemory("other")
    await setting.rows().inherit()
    assert await setting.leased() == 3


async def test_a_renewed_lease_stays_ours(setting: Rows) -> None:
    await setting.queued()
    await setting.fold()
    (job,) = await setting.rows().take(10)
    assert job.lease is not None
    setting.clock.move(31)
    assert not job.may_end(setting.clock.monotonic())
    await setting.rows().renew([job])
    assert job.may_end(setting.clock.monotonic())


async def test_a_lease_ends_when_the_rows_have_the_outcome(setting: Rows) -> None:
    await setting.queued()
    await setting.fold()
    (job,) = await setting.rows().take(10)
    position = await relayed(setting, job)
    releasing = asyncio.create_task(setting.rows().release([job], position))
    await asyncio.sleep(0)
    assert await setting.leased() == 1
    await setting.fold()
    assert await releasing
    assert await setting.leased() == 0


async def test_leases_a_dead_relay_left_after_their_outcome_are_swept(
    setting: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    await setting.queued()
    await setting.fold()
    monkeypatch.setattr(work, "LEASE_S", 0.05)
    (job,) = await setting.rows().take(10)
    await relayed(setting, job)
    await setting.fold()
    async with asyncio.timeout(30):
        while await setting.leased():
            await setting.rows().renew([])


async def test_a_mail_goes_from_acceptance_to_the_next_hop_over_real_rows(setting: Rows) -> None:
    world = setting.world
    registry = Registry(
        log=world.log,
        keys=world.keys,
        count_accounts=partial(count_accounts, world.log, setting.pool),
        clock=setting.clock,
        entropy=world.entropy,
        actor=ACTOR,
        by=BY,
    )
    world.directory = DirectoryRows(setting.pool)  # type: ignore[assignment]
    async with Host().listening() as host, setting.folding():
        opm = await registry.add_agency("สำนักนายกรัฐมนตรี", ["opm.go.th"])
        await registry.add_agency("กรมปศุสัตว์", ["dld.go.th"], relay_to=host.hop)
        account_id = await registry.add_account(opm, parse_address("สุดา@opm.go.th"))
        async with open_lane(world.log, "relay-test-0", clock=setting.clock, actor=ACTOR, by=BY) as lane:
            relay = Relay(
                queue=setting.rows(),
                paces=setting.paces(),
                lane=lane,
                content=world.contents,
                keys=world.keys,
                clock=setting.clock,
                entropy=world.entropy,
                by=BY,
                means=setting.means,
            )
            task = asyncio.create_task(relay.run())
            async with running(router(world)):
                for _ in range(10):
                    await world.accept("สุดา@OPM.go.th", "bob@dld.go.th", "eve@DLD.go.th")
                delivered = await world.until(MailDelivered.TOPIC, 10)
                outcomes = await world.until(MailRelayed.TOPIC, 10)
                while await setting.leased():  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    assert {event.account_id for event in delivered if isinstance(event, MailDelivered)} == {account_id}
    assert len(outcomes) == len(host.taken) == 10
    assert {tuple(taken.rcpt_to) for taken in host.taken} == {("bob@dld.go.th", "eve@DLD.go.th")}
