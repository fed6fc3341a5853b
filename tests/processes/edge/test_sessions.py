"""Every session is a fact at its end, and many of one network are one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.sealing import unseal
from gateway.domain.sessions import (
    REFUSALS_MAX,
    SESSIONS,
    EndedSo,
    NetworkSecret,
    Refusal,
    SessionEnded,
    SessionSecret,
    SessionsEnded,
)
from gateway.ports import Unavailable
from gateway.processes.listening.sessions import OWN_FACTS_A_MINUTE
from tests.processes.doors import until
from tests.processes.edge.world import MESSAGE, EdgeWorld
from tests.processes.world import AT

SUDA = "suda@opm.go.th"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[EdgeWorld]:
    async with EdgeWorld(tmp_path, records_sessions=True).running() as world:
        yield world


async def ended(world: EdgeWorld, number: int = 1) -> list[SessionEnded]:
    """Wait until so many sessions are facts."""
    while len(found := await world.events(SessionEnded)) < number:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    return found


async def secret(world: EdgeWorld, event: SessionEnded) -> SessionSecret:
    key = await world.keys.get(event.sealed_key)
    return unseal(SessionSecret, event.sealed, key, label=SESSIONS)


async def test_a_session_tells_who_came_what_was_taken_and_what_was_refused(world: EdgeWorld) -> None:
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        await client.say(b"RCPT TO:<nobody@opm.go.th>\r\n")
        await client.say(f"RCPT TO:<{SUDA}>\r\n".encode())
        await client.say(b"DATA\r\n")
        assert (await client.message(MESSAGE)).startswith(b"250 ")
        port = client.writer.get_extra_info("sockname")[1]
        world.clock.move(7)
        await client.say(b"QUIT\r\n")
    (event,) = await ended(world)
    assert (event.listener, event.ended, event.limit) == ("smtp", "quit", "")
    assert (event.began_at, (event.at - event.began_at).total_seconds()) == (AT, 7)
    assert (event.transactions, event.accepted, event.recipients, event.refused_recipients) == (1, 1, 1, 1)
    assert event.refused == (Refusal(550, "5.1.1", "No such mailbox here"),)
    assert event.account_id is None
    assert event.sealed_key == "traffic.ag_opm.202611"
    assert await secret(world, event) == SessionSecret("127.0.0.1", port, "client.example")
    assert (await world.log.history("access.ag_opm"))[-1].event == event
    (mail,) = await world.accepted()
    envelope = await world.envelope(mail)
    assert (envelope.remote_port, envelope.tls, envelope.identity) == (port, "", "")


async def test_a_session_without_a_recipient_of_ours_is_nobodys(world: EdgeWorld) -> None:
    async with await world.client() as client:
        for _ in range(REFUSALS_MAX + 2):
            await client.say(b"WHAT\r\n")
        client.vanish()
    (event,) = await ended(world)
    assert (event.ended, event.refusals, len(event.refused)) == ("lost", REFUSALS_MAX + 2, REFUSALS_MAX)
    assert event.sealed_key == "traffic.none.202611"
    assert [recorded.event for recorded in await world.log.history("access.none")] == [event]


async def test_how_a_session_ended_is_told(world: EdgeWorld) -> None:
    async with await world.client() as client:
        await client.say(b"GET / HTTP/1.1\r\n")
        await client.rest()
    assert [event.ended for event in await ended(world)] == ["protocol"]


async def test_a_session_that_the_edge_ends_is_told_of_before_it_is_gone(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path, records_sessions=True)
    async with world.running():
        client = await world.client()
    assert [event.ended for event in await world.events(SessionEnded)] == ["stopped"]
    await client.leave()


async def test_a_client_does_not_wait_for_its_fact_and_a_log_that_is_away_gets_it_later(
    world: EdgeWorld,
) -> None:
    world.gate.error = Unavailable("nats", "it is away")
    async with await world.client() as client:
        assert (await client.say(b"QUIT\r\n")).startswith(b"221 ")
    await until(lambda: world.gate.reached.is_set())
    assert await world.events(SessionEnded) == []
    world.gate.error = None
    assert [event.ended for event in await ended(world)] == ["quit"]


async def test_beyond_60_a_minute_a_networks_sessions_are_counted(world: EdgeWorld) -> None:
    for _ in range(OWN_FACTS_A_MINUTE + 3):
        async with await world.client() as client:
            await client.say(b"WHAT\r\n")
            await client.say(b"QUIT\r\n")
    await ended(world, OWN_FACTS_A_MINUTE)
    assert await world.events(SessionsEnded) == []
    await until(lambda: not world.edge.listening._guests)
    world.clock.move(60)
    while not (found := await world.events(SessionsEnded)):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    (summary,) = found
    assert (summary.sessions, summary.refusals) == (3, 3)
    assert summary.ended == (EndedSo("quit", 3),)
    assert summary.since == AT
    key = await world.keys.get(summary.sealed_key)
    assert unseal(NetworkSecret, summary.sealed, key, label=SESSIONS) == NetworkSecret("127.0.0.0/24")
    assert len(await world.events(SessionEnded)) == OWN_FACTS_A_MINUTE
