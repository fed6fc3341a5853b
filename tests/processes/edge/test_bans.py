"""A banned network is not spoken with, on any port; a banned account is told so, and only itself."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.domain.bans import BanImposed
from gateway.domain.sessions import SessionEnded
from gateway.ports import ServerContext
from gateway.processes.signin.throttle import PATIENCE
from tests.processes.doors import PASSWORD, SUDA, until
from tests.processes.edge.test_submission import inside_tls, plain
from tests.processes.edge.world import EdgeWorld

HOUR = timedelta(hours=1)


@pytest.fixture
async def world(tmp_path: Path, tls: ServerContext, cheap_hashes: None) -> AsyncIterator[EdgeWorld]:
    async with EdgeWorld(tmp_path, tls=tls, records_sessions=True).running() as world:
        await world.give_password(SUDA, PASSWORD)
        yield world


async def ban(world: EdgeWorld, **what: object) -> None:
    world.kept_bans.impose(world.clock.now() + HOUR, **what)  # type: ignore[arg-type]
    await world.bans.look()


async def ended(world: EdgeWorld, number: int) -> list[SessionEnded]:
    while len(found := await world.events(SessionEnded)) < number:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    return found


async def test_a_banned_network_is_sent_away_on_every_port_until_it_is_lifted(
    world: EdgeWorld, trust: ssl.SSLContext
) -> None:
    await ban(world, network="127.0.0.0/24")
    for port in (world.port, world.submission_port):
        async with await world.connect(port) as client:
            assert (
                await client.rest() == b"421 4.7.0 Your network is banned for some time, try again later\r\n"
            )
    async with await world.connect(world.submissions_port) as client:
        assert await client.rest() == b"", "no handshake either"
    events = await ended(world, 3)
    assert {event.listener for event in events} == {"smtp", "submission", "submissions"}
    assert {(event.ended, event.limit) for event in events} == {("limit", "ban")}
    await until(lambda: not world.edge.listening._guests)
    world.kept_bans.lift()
    await world.bans.look()
    async with await inside_tls(world, trust) as client:
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"235 ")


async def test_a_ban_of_elsewhere_and_one_that_has_ended_send_nobody_away(world: EdgeWorld) -> None:
    await ban(world, network="192.0.2.0/24")
    await ban(world, network="127.0.0.1/32")
    world.clock.move(3601)
    assert (await world.send()).startswith(b"250 ")


async def test_a_banned_account_is_told_after_the_right_password_only(
    world: EdgeWorld, trust: ssl.SSLContext
) -> None:
    await ban(world, what="account", account_id=f"acc_{SUDA}")
    async with await inside_tls(world, trust) as client:
        assert (await client.say(plain(SUDA, "wrong"))).startswith(b"535 5.7.8 ")
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"525 5.7.13 The account is banned")


async def test_a_session_that_was_open_signs_nobody_in_once_its_network_is_banned(
    world: EdgeWorld, trust: ssl.SSLContext
) -> None:
    async with await inside_tls(world, trust) as client:
        await ban(world, network="127.0.0.0/8")
        assert (await client.say(plain(SUDA, PASSWORD))).startswith(b"454 4.7.0 ")


async def test_guessing_to_the_end_bans_the_network(world: EdgeWorld, trust: ssl.SSLContext) -> None:
    for number in range(PATIENCE["network"] + 9):
        world.clock.move(1000)
        async with await inside_tls(world, trust) as client:
            assert (await client.say(plain(f"name{number}@opm.go.th", "wrong"))).startswith(b"535 ")
    (event,) = await world.events(BanImposed)
    assert (event.reason, event.until - event.at) == ("sign-ins", HOUR)
    async with await world.connect() as client:
        assert (await client.rest()).startswith(b"421 4.7.0 Your network is banned")
