"""CT keeps the contract of write-aheads; it tells markers from contents, and says when it is full."""

from collections.abc import AsyncIterator

import pytest

from gateway.adapters.jetstream import Link, connect, open_content_lane, streams
from gateway.adapters.system import SystemClock
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.ports import Full
from tests.conftest import RunningNats
from tests.contracts.facts import ACTOR, BY
from tests.contracts.write_ahead import WriteAheadContract, digest, everything


@pytest.fixture
async def write_ahead(site: Link) -> AsyncIterator[JetStreamWriteAhead]:
    async with open_content_lane(site, "edge-test-0", clock=SystemClock(), actor=ACTOR, by=BY) as lane:
        await site.api(f"STREAM.PURGE.{streams.CONTENT}")  # the marker, so that what is counted is content
        yield JetStreamWriteAhead(site, lane, "edge-test-0")


class TestJetStreamWriteAhead(WriteAheadContract):
    async def test_what_was_purged_is_gone_and_the_rest_is_not(  # type: ignore[override]
        self, write_ahead: JetStreamWriteAhead
    ) -> None:
        """As in memory; what waits also counts the marker that the lane left when it opened again."""
        sequences = [await write_ahead.append(digest(number), b"%d" % number) for number in range(5)]
        await write_ahead.purge(sequences[2])
        assert [content.sequence for content in await everything(write_ahead)] == sequences[3:]
        assert await write_ahead.waiting() == 2
        again = await write_ahead.append(digest(9), b"nine")
        assert again > sequences[4]
        assert await write_ahead.waiting() == 4


async def test_markers_are_no_contents(site: Link) -> None:
    for number in range(3):
        async with open_content_lane(site, "edge-a-0", clock=SystemClock(), actor=ACTOR, by=BY) as lane:
            await JetStreamWriteAhead(site, lane, "edge-a-0").append(digest(number), b"content")
    reading = JetStreamWriteAhead(site)
    assert [content.digest for content in await everything(reading)] == [digest(n) for n in range(3)]
    assert await reading.waiting() == 6
    assert await reading.get((await everything(reading))[0].sequence - 1) is None


async def test_a_full_write_ahead_says_so_and_goes_on_when_purged(own_nats_server: RunningNats) -> None:
    async with connect(own_nats_server.url(), name="test") as link:
        await streams.prepare(link, 1024 * 1024)
        async with open_content_lane(link, "edge-b-0", clock=SystemClock(), actor=ACTOR, by=BY) as lane:
            write_ahead = JetStreamWriteAhead(link, lane, "edge-b-0")
            stored = [await write_ahead.append(digest(number), bytes(128 * 1024)) for number in range(7)]
            with pytest.raises(Full):
                await write_ahead.append(digest(7), bytes(128 * 1024))
            await write_ahead.purge(stored[-1])
            assert await write_ahead.append(digest(500), b"goes in again") > stored[-1]
