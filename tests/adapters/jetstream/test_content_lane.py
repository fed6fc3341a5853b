"""A lane into the write-ahead, whose messages and markers are purged behind it."""

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from gateway.adapters.jetstream import Committer, Link, connect, open_content_lane, prepare
from gateway.adapters.jetstream.wire import TOPIC, Outgoing
from gateway.adapters.system import SystemClock
from gateway.ports import Deposed, Full
from tests.adapters.jetstream.proxy import cutting_proxy
from tests.conftest import RunningNats
from tests.contracts.facts import ACTOR, BY

CLOCK = SystemClock()
OCTETS_MAX = 256 * 1024


@pytest.fixture
async def admin(own_nats_server: RunningNats) -> AsyncIterator[Link]:
    async with connect(own_nats_server.url(), name="admin") as link:
        await prepare(link, OCTETS_MAX)
        yield link


@pytest.fixture
async def lane(admin: Link) -> AsyncIterator[Committer]:
    async with open_content_lane(admin, "edge-h-0", clock=CLOCK, actor=ACTOR, by=BY) as lane:
        yield lane


def content(octets: int = 100) -> Outgoing:
    return Outgoing("ct.edge-h-0", b"x" * octets, {})


async def purge(link: Link) -> None:
    await link.api("STREAM.PURGE.CT", {})


async def test_markers_are_told_from_content_by_their_topic(admin: Link, lane: Committer) -> None:
    sequence = await lane.append([content()])
    marker, stored = await admin.get("CT", seq=sequence - 1), await admin.get("CT", seq=sequence)
    assert marker is not None
    assert stored is not None
    assert (marker.subject, marker.headers[TOPIC]) == ("ct.edge-h-0.lane", "lane.opened/1")
    assert (stored.subject, stored.headers.get(TOPIC)) == ("ct.edge-h-0", None)


@pytest.mark.parametrize("groups", [1, 3])
async def test_the_lane_goes_on_when_its_marker_was_purged(admin: Link, lane: Committer, groups: int) -> None:
    first = await lane.append([content()] * groups)
    await purge(admin)
    second = await lane.append([content()] * groups)
    assert second == first + 1 + groups  # another marker stands before it


async def test_a_lost_ack_is_settled_when_the_marker_was_purged(
    admin: Link, own_nats_server: RunningNats
) -> None:
    async with (
        cutting_proxy(own_nats_server.url()) as (proxy, url),
        connect(url, name="cut") as link,
        open_content_lane(link, "edge-h-0", clock=CLOCK, actor=ACTOR, by=BY) as lane,
    ):
        proxy.cut_at_answer(b'"seq":')
        sequence = await lane.append([content()])
        assert (await admin.get("CT", seq=sequence)) is not None
        await purge(admin)
        assert await lane.append([content()]) > sequence


async def test_a_twin_is_deposed_also_after_a_purge(admin: Link, lane: Committer) -> None:
    await lane.append([content()])
    async with open_content_lane(admin, "edge-h-0", clock=CLOCK, actor=ACTOR, by=BY) as twin:
        await purge(admin)
        await twin.append([content()])
        with pytest.raises(Deposed):
            await lane.append([content()])


async def test_a_full_stream_refuses_whole_groups_and_takes_again_after_a_purge(
    admin: Link, lane: Committer
) -> None:
    stored = 0
    with pytest.raises(Full):
        stored = [await lane.append([content(20_000)] * 3) for _ in range(100)][-1]
    state = (await admin.api("STREAM.INFO.CT"))["state"]
    assert state["messages"] % 3 == 1  # whole groups and a marker
    assert stored == 0
    await purge(admin)
    await lane.append([content(20_000)] * 3)


async def fill(lane: Committer) -> None:
    for octets in (20_000, 100, 1):
        with suppress(Full):
            while True:
                await lane.append([content(octets)])


async def test_a_lane_opens_on_a_full_stream_and_waits_for_space(admin: Link, lane: Committer) -> None:
    await fill(lane)
    async with open_content_lane(admin, "edge-h-1", clock=CLOCK, actor=ACTOR, by=BY) as another:
        with pytest.raises(Full):
            await another.append([content()])
        await purge(admin)
        await another.append([content()])
