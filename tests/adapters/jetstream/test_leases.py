"""Leases on JetStream keep the contract of leases, and end when nobody renews them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.adapters.jetstream import Link, connect, streams
from gateway.adapters.jetstream.leases import JetStreamLeases
from gateway.adapters.jetstream.wire import EXPECTED, Outgoing
from gateway.adapters.system import SystemClock
from gateway.ports import Deposed
from tests.conftest import RunningNats
from tests.contracts.leases import LeasesContract, Lose


@pytest.fixture
async def bucket(link: Link) -> AsyncIterator[str]:
    """The stream itself, which tests before this one may have made: its subjects are one stream's alone."""
    await streams.change(link, "CREATE", streams.lease_configuration())
    yield streams.LEASES
    await link.api(f"STREAM.PURGE.{streams.LEASES}")


@pytest.fixture
def leases(link: Link, bucket: str) -> JetStreamLeases:
    return JetStreamLeases(link, SystemClock(), bucket)


@pytest.fixture
def others(link: Link, bucket: str) -> JetStreamLeases:
    return JetStreamLeases(link, SystemClock(), bucket)


@pytest.fixture
def lose(link: Link, bucket: str) -> Lose:
    async def lost(name: str) -> None:
        """Another holder is there, as if this one had been paused for long."""
        last = await link.last(bucket, f"lease.{name}")
        assert last is not None
        await link.publish(Outgoing(last.subject, b"another", {EXPECTED: str(last.sequence)}))

    return lost


class TestJetStreamLeases(LeasesContract):
    pass


async def test_a_holder_that_cannot_renew_stops_before_another_begins(
    leases: JetStreamLeases, nats_server: RunningNats, bucket: str
) -> None:
    seen: list[str] = []
    holds = asyncio.Event()

    async def cut_off() -> None:
        async with connect(nats_server.url(), name="cut off") as line:
            try:
                async with JetStreamLeases(line, SystemClock(), bucket).hold("packer"):
                    holds.set()
                    await line.client.close()
                    await asyncio.Event().wait()
            except Deposed:
                seen.append("deposed")

    holding = asyncio.create_task(cut_off())
    await holds.wait()
    async with leases.hold("packer"):
        seen.append("another")
    await holding
    assert seen == ["deposed", "another"]


async def test_a_holder_keeps_it_longer_than_its_time(
    leases: JetStreamLeases, others: JetStreamLeases
) -> None:
    async def wait() -> None:
        async with others.hold("packer"):
            pass

    async with leases.hold("packer"):
        waiting = asyncio.create_task(wait())
        done, _ = await asyncio.wait([waiting], timeout=4)
        assert not done
    await waiting
