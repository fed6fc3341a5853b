"""Each role's NATS user may do what its role does with the log, and no other role's part."""

import asyncio
from contextlib import suppress

import pytest

from gateway.adapters.jetstream import JetStreamLeases, connect, open_lane, open_log, prepare
from gateway.adapters.jetstream.wire import ServerRefused
from gateway.adapters.system import SystemClock
from gateway.ports import START, Position, Unavailable
from tests.conftest import RunningNats
from tests.contracts.facts import ACTOR, BY, fact, take

CLOCK = SystemClock()

# The histories a role appends to: through its lane, or guarded (None: it has no lane).
WRITES = {
    "edge": "mail.00",
    "router": "mail.00",
    "relay": "mail.00",
    "packer": "content",
    "cli": "box.00.acc_1",
    "web": "access.ag_1",
}
GUARDED = {"router": "route.0", "cli": "agency.ag_1", "web": "agency.ag_1"}


@pytest.fixture
async def prepared(own_nats_server: RunningNats) -> RunningNats:
    async with connect(own_nats_server.url(), name="admin") as link:
        await prepare(link, 1024 * 1024)
        log = await open_log(link)
        await log.append_guarded([fact(0, "site.a")], {"site.a": Position(0)})
    return own_nats_server


async def test_roles_write_what_is_theirs(prepared: RunningNats) -> None:
    for role, subject in WRITES.items():
        async with connect(prepared.url(role), name=role) as link:
            log = await open_log(link)
            async with open_lane(log, f"{role}-h-0", clock=CLOCK, actor=ACTOR, by=BY) as lane:
                assert await lane.append([fact(1, subject)]) == await log.last()
    for role, subject in GUARDED.items():
        async with connect(prepared.url(role), name=role) as link:
            log = await open_log(link)
            latest = await log.latest(subject)
            expected = latest.position if latest else START.position
            assert await log.append_guarded([fact(2, subject)], {subject: expected}) == await log.last()


@pytest.mark.parametrize("role", ["router", "projector", "packer", "steward", "cli", "web"])
async def test_readers_follow(prepared: RunningNats, role: str) -> None:
    async with connect(prepared.url(role), name=role) as link:
        log = await open_log(link)
        assert (await take(log.follow(START), 1))[0].position == 1
        assert len(await log.history("site.a")) == 1


@pytest.mark.parametrize("role", ["packer", "steward"])
async def test_who_is_one_of_many_holds_its_lease(prepared: RunningNats, role: str) -> None:
    async with connect(prepared.url(role), name=role) as link, JetStreamLeases(link, CLOCK).hold(role):
        pass


@pytest.mark.parametrize("role", ["edge", "router", "projector", "auditor"])
async def test_nobody_but_the_admin_changes_a_stream(prepared: RunningNats, role: str) -> None:
    async with connect(prepared.url(role), name=role) as link, connect(prepared.url(), name="admin") as admin:
        asking = asyncio.create_task(link.api("STREAM.DELETE.EV_1"))
        await link.client.flush()
        assert await (await open_log(admin)).last() == 1
        asking.cancel()
        with suppress(asyncio.CancelledError, ServerRefused, Unavailable):
            await asking
