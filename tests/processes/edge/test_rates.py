"""Limits of networks and accounts: a 4xx with a reason, and the session's fact says which limit it was."""

import asyncio
import ipaddress
from pathlib import Path

from gateway.domain.sessions import SessionEnded
from gateway.mail.ids import AccountId
from gateway.processes.edge.rates import (
    COUNTED_MAX,
    HOUR_S,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_MESSAGES,
    TOO_MANY_RECIPIENTS,
    Limited,
    RateLimits,
    Rates,
)
from tests.processes.doors import until
from tests.processes.edge.world import Client, EdgeWorld

HERE, NEAR, FAR = "192.0.2.1", "192.0.2.200", "198.51.100.1"
SUDA = AccountId("acc_suda")


async def ended(world: EdgeWorld, number: int) -> list[SessionEnded]:
    while len(found := await world.events(SessionEnded)) < number:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    return found


# --- counting -------------------------------------------------------------------------------------------


def test_connections_of_a_network_are_counted_until_they_leave() -> None:
    rates = Rates(RateLimits(network_connections_max=2))
    assert rates.enter(HERE) is None
    assert rates.enter(NEAR) is None
    assert rates.enter(HERE) == Limited("network_connections_max", TOO_MANY_CONNECTIONS)
    assert rates.enter(FAR) is None
    rates.leave(NEAR)
    assert rates.enter(HERE) is None
    assert rates.enter("2001:db8::1") is None
    assert rates.enter("2001:db8::2") is None
    assert rates.enter("2001:db8::3") is not None
    assert rates.enter("2001:db8:0:1::1") is None


def test_a_networks_messages_and_recipients_are_counted_by_the_hour() -> None:
    rates = Rates(RateLimits(network_messages_per_hour=2, network_recipients_per_hour=3))
    assert [rates.message(ip, None, 10.0) for ip in (HERE, NEAR)] == [None, None]
    assert rates.message(HERE, None, 11.0) == Limited("network_messages_per_hour", TOO_MANY_MESSAGES)
    assert [rates.recipient(HERE, None, 11.0) for _ in range(3)] == [None] * 3
    assert rates.recipient(NEAR, None, 12.0) == Limited("network_recipients_per_hour", TOO_MANY_RECIPIENTS)
    assert rates.message(FAR, None, 12.0) is None
    assert rates.message(HERE, None, 9.0 + HOUR_S) is not None
    assert rates.message(HERE, None, 10.0 + HOUR_S) is None


def test_an_account_is_counted_wherever_it_is_and_its_network_is_not() -> None:
    rates = Rates(RateLimits(network_messages_per_hour=1, account_messages_per_hour=2))
    assert [rates.message(ip, SUDA, 0.0) for ip in (HERE, FAR)] == [None, None]
    assert rates.message(HERE, SUDA, 0.0) == Limited("account_messages_per_hour", TOO_MANY_MESSAGES)
    assert rates.message(HERE, None, 0.0) is None


def test_networks_of_ones_own_are_not_counted() -> None:
    exempt = [ipaddress.ip_network("192.0.2.0/24")]
    rates = Rates(RateLimits(network_connections_max=1, network_messages_per_hour=1, exempt=exempt))
    assert [rates.enter(ip) for ip in (HERE, NEAR, f"::ffff:{HERE}")] == [None] * 3
    assert [rates.message(HERE, None, 0.0) for _ in range(3)] == [None] * 3
    assert [rates.enter(FAR) is None for _ in range(2)] == [True, False]


def test_a_flood_of_networks_is_forgotten_again() -> None:
    rates = Rates(RateLimits(network_messages_per_hour=1))
    for number in range(COUNTED_MAX + 10):
        rates.message(str(ipaddress.ip_address("2001:db8::") + (number << 64)), None, 0.0)
    assert len(rates._hours) == COUNTED_MAX


# --- said -------------------------------------------------------------------------------------------------


async def begin(client: Client) -> bytes:
    await client.say(b"RSET\r\n")
    return await client.say(b"MAIL FROM:<ann@example.org>\r\n")


async def test_one_connection_too_many_of_a_network_is_told_so(tmp_path: Path) -> None:
    rates = RateLimits(network_connections_max=2)
    async with EdgeWorld(tmp_path, records_sessions=True, rates=rates).running() as world:
        first, second = await world.client(), await world.client()
        async with await world.connect() as third:
            assert (await third.rest()).startswith(b"421 4.7.0 Too many connections from your network")
        (event,) = await ended(world, 1)
        assert (event.ended, event.limit) == ("limit", "network_connections_max")
        await first.leave()
        await until(lambda: len(world.edge.listening._guests) == 1)
        async with await world.client() as again:
            assert (await again.say(b"QUIT\r\n")).startswith(b"221 ")
        await second.leave()


async def test_messages_and_recipients_beyond_the_limit_are_put_off(tmp_path: Path) -> None:
    rates = RateLimits(network_messages_per_hour=3, network_recipients_per_hour=2)
    async with EdgeWorld(tmp_path, records_sessions=True, rates=rates).running() as world:
        async with await world.client() as client:
            await client.say(b"EHLO client.example\r\n")
            assert (await begin(client)).startswith(b"250 ")
            for answer in (b"250 ", b"250 ", b"450 4.7.1 Too many recipients"):
                assert (await client.say(b"RCPT TO:<suda@opm.go.th>\r\n")).startswith(answer)
            assert (await begin(client)).startswith(b"250 ")
            assert (await begin(client)).startswith(b"250 ")
            assert (await begin(client)).startswith(b"450 4.7.1 Too many messages")
            await client.say(b"QUIT\r\n")
        (event,) = await ended(world, 1)
        assert (event.ended, event.limit) == ("quit", "network_messages_per_hour")
        assert [refusal.code for refusal in event.refused] == [450, 450]
        world.clock.move(HOUR_S)
        async with await world.client() as client:
            await client.say(b"EHLO client.example\r\n")
            assert (await begin(client)).startswith(b"250 ")


async def test_a_session_ends_after_its_longest_time(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path, records_sessions=True, idle_timeout_s=0.3, session_max_s=100.0)
    async with world.running():
        async with await world.client() as client:
            world.clock.move(0.2)  # the next look is soon
            await client.say(b"NOOP\r\n")
            world.clock.move(99.9)
            await client.say(b"NOOP\r\n")
            assert (await client.rest()).startswith(b"421 4.4.2 The session has lasted too long")
        (event,) = await ended(world, 1)
    assert (event.ended, event.limit) == ("limit", "smtp_session_max_s")


async def test_too_many_bad_commands_are_a_limit(tmp_path: Path) -> None:
    async with EdgeWorld(tmp_path, records_sessions=True).running() as world:
        async with await world.client() as client:
            client.writer.write(b"WHAT\r\n" * 20)
            await client.rest()
        (event,) = await ended(world, 1)
    assert (event.ended, event.limit) == ("limit", "bad_commands_max")


async def test_a_connection_beyond_all_a_listener_takes_is_a_session_too(tmp_path: Path) -> None:
    async with EdgeWorld(tmp_path, records_sessions=True, connections_max=1).running() as world:
        async with await world.client(), await world.connect() as second:
            assert (await second.rest()).startswith(b"421 4.7.0 ")
            async with await world.connect(world.submission_port) as elsewhere:
                assert (await elsewhere.reply()).startswith(b"220 ")
        events = [event for event in await ended(world, 3) if event.listener == "smtp"]
    assert [(event.ended, event.limit) for event in events] == [
        ("limit", "listener_connections_max"),
        ("lost", ""),
    ]
