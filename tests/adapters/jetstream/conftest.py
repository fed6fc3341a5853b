"""A log of its own for each test: a stream with an epoch nobody else publishes under."""

import itertools
from collections.abc import AsyncIterator

import pytest

from gateway.adapters.jetstream import JetStreamLog, Link, connect, open_log, streams
from tests.conftest import RunningNats

_epochs = itertools.count(1000)


@pytest.fixture
async def link(nats_server: RunningNats) -> AsyncIterator[Link]:
    async with connect(nats_server.url(), name="test") as link:
        yield link


@pytest.fixture
async def log(link: Link) -> AsyncIterator[JetStreamLog]:
    epoch = next(_epochs)
    stream = f"EV_T{epoch}"
    await streams.change(link, "CREATE", streams.log_configuration(epoch, stream))
    yield await open_log(link, stream)
    await link.api(f"STREAM.DELETE.{stream}")
