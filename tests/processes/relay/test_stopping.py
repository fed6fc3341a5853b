"""A relay that is told to stop: whom others may try at once, and whom not before its leases have run out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from gateway.domain.agency import NextHop
from gateway.domain.events import MailDeferred
from gateway.domain.pace import Bounds
from gateway.mail.ids import AgencyId
from gateway.processes.relay.work import QueueRows
from projections.queue import leases
from projections.readmodel import open_pool
from tests.processes.relay.host import Host
from tests.processes.relay.test_work import Rows


class Routed(QueueRows):
    """The rows, and the next hops that the setting says."""

    def __init__(self, setting: Rows) -> None:
        super().__init__(
            setting.pool, setting.world.log, setting.clock, setting.world.entropy, setting.at_dot
        )
        self.hops: dict[AgencyId, NextHop] = {}

    async def next_hops(self, agencies: Sequence[AgencyId]) -> dict[AgencyId, NextHop]:
        return self.hops


@pytest.fixture
async def setting(postgres_dsn: str) -> AsyncIterator[Rows]:
    async with open_pool(postgres_dsn) as pool:
        setting = Rows(pool)
        await setting.make_tables()
        setting.queue = Routed(setting)  # type: ignore[assignment]
        yield setting


async def test_who_was_deferred_has_no_lease_left(setting: Rows) -> None:
    await setting.queued(mails=20)
    async with setting.folding(), Host(greeting="451 4.3.2 later").listening() as host:
        async with setting.relay(host):
            await setting.world.until(MailDeferred.TOPIC, 20)
        assert await setting.leased() == 0


async def test_who_was_begun_with_and_not_ended_may_be_tried_at_once(setting: Rows) -> None:
    await setting.queued(mails=5)
    has_mail = asyncio.Event()

    async def fall_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        await reader.readline()
        writer.write(b"250 mx\r\n")
        await reader.readline()
        has_mail.set()
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(fall_silent, "127.0.0.1", 0)
    host = Host(hop=NextHop(*silent.sockets[0].getsockname()[:2]))
    async with setting.folding(), silent:
        async with setting.relay(host):
            await has_mail.wait()
            while await setting.leased() < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert await setting.leased() == 0
    async with setting.pool.rows() as rows:
        assert await leases.ran_out(rows) == 0


async def test_a_mail_that_a_host_may_have_stays_under_lease(setting: Rows) -> None:
    await setting.queued()
    async with setting.folding(), Host(dot=["…"]).listening() as host:
        async with setting.relay(host):
            await host.at_dot.wait()
        assert await setting.leased() == 1


async def test_the_next_relay_takes_up_at_once_what_a_host_may_have_and_counts_it(setting: Rows) -> None:
    await setting.queued(mails=3)
    setting.means = replace(setting.means, bounds=Bounds(1))
    async with setting.folding(), Host(dot=["…"]).listening() as host:
        async with setting.relay(host):
            await host.at_dot.wait()
        assert await setting.leased() == len(setting.at_dot.marked) == 1
        setting.at_dot.left = set(setting.at_dot.marked)
        async with setting.relay(host):
            await setting.outcomes(3)
    assert len(host.taken) == 3
    assert setting.at_dot.marked == set()
    async with setting.pool.rows() as rows:
        assert await leases.ran_out(rows) == 1
