"""The streams of the content store on the shared server, emptied for each test."""

from collections.abc import AsyncIterator

import pytest

from gateway.adapters.jetstream import Link, connect, streams
from tests.conftest import RunningNats

CT_OCTETS_MAX = 64 * 1024 * 1024


@pytest.fixture
async def site(nats_server: RunningNats) -> AsyncIterator[Link]:
    """A line to a server with the four streams of a site; CT and KEYS are empty."""
    async with connect(nats_server.url(), name="test") as link:
        await streams.prepare(link, CT_OCTETS_MAX)
        for stream in (streams.CONTENT, streams.KEYS):
            await link.api(f"STREAM.PURGE.{stream}")
        yield link
