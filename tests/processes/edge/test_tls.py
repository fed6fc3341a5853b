"""STARTTLS on real sockets: what was said before it is forgotten, and what fails leaves no trace.

Source: RFC 3207.
"""

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.ports import ServerContext
from tests.processes.doors import HOSTNAME, until
from tests.processes.edge.world import MESSAGE, Client, EdgeWorld


@pytest.fixture
async def world(tmp_path: Path, tls: ServerContext) -> AsyncIterator[EdgeWorld]:
    async with EdgeWorld(tmp_path, tls=tls, connections_max=1).running() as world:
        yield world


async def started(client: Client, trust: ssl.SSLContext) -> None:
    assert b"STARTTLS" in await client.say(b"EHLO client.example\r\n")
    assert (await client.say(b"STARTTLS\r\n")).startswith(b"220 2.0.0 ")
    await client.writer.start_tls(trust, server_hostname=HOSTNAME)


async def test_smtplib_sends_inside_tls(world: EdgeWorld, trust: ssl.SSLContext) -> None:
    def send() -> None:
        with smtplib.SMTP("127.0.0.1", world.port, local_hostname="client.example") as smtp:
            smtp._host = HOSTNAME  # type: ignore[attr-defined]  # the name the certificate is held against
            smtp.starttls(context=trust)
            smtp.sendmail("ann@example.org", ["suda@opm.go.th"], MESSAGE)

    await asyncio.to_thread(send)
    (event,) = await world.accepted()
    assert b"with ESMTPS" in (await world.open(event)).secret.front
    assert (await world.presented(event)).endswith(MESSAGE)


async def test_what_was_said_before_tls_is_forgotten(world: EdgeWorld, trust: ssl.SSLContext) -> None:
    async with await world.client() as client:
        await started(client, trust)
        assert (await client.say(b"MAIL FROM:<ann@example.org>\r\n")).startswith(b"503 5.5.1 ")
        assert b"STARTTLS" not in await client.say(b"EHLO other.example\r\n")
        assert (await client.say(b"STARTTLS\r\n")).startswith(b"503 5.5.1 ")
        await client.transaction("suda@opm.go.th")
        assert (await client.message(MESSAGE)).startswith(b"250 2.0.0 ")
    (event,) = await world.accepted()
    assert (await world.envelope(event)).helo == "other.example"


async def test_large_messages_and_many_mails_inside_tls(world: EdgeWorld, trust: ssl.SSLContext) -> None:
    message = b"\r\n" + b"x" * 70 * 10_000 + b"\r\n"
    async with await world.client() as client:
        await started(client, trust)
        await client.say(b"EHLO client.example\r\n")
        for _ in range(3):
            await client.transaction("suda@opm.go.th")
            assert (await client.message(message)).startswith(b"250 2.0.0 ")
    for event in await world.accepted():
        assert (await world.presented(event)).endswith(message)


async def test_commands_sent_ahead_of_tls_close_the_connection(world: EdgeWorld) -> None:
    """They came in the clear, perhaps from somebody in between, and must not count inside."""
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        client.writer.write(b"STARTTLS\r\nMAIL FROM:<eve@example.org>\r\n")
        assert (await client.rest()).splitlines() == [b"220 2.0.0 Ready to start TLS"]


async def test_a_client_that_does_not_trust_us_leaves_no_trace(world: EdgeWorld) -> None:
    """One connection is allowed at a time here: the next one shows that the failed one is gone."""
    stranger = ssl.create_default_context()
    client = await world.client()
    with pytest.raises(ssl.SSLCertVerificationError):
        await started(client, stranger)
    client.vanish()
    await until(lambda: not world.edge.listening._guests)
    assert (await world.send()).startswith(b"250 ")


@pytest.mark.parametrize("is_abrupt", [False, True])
async def test_a_client_that_goes_instead_of_starting_tls_leaves_no_trace(
    world: EdgeWorld, is_abrupt: bool
) -> None:
    client = await world.client()
    await client.say(b"EHLO client.example\r\n")
    await client.say(b"STARTTLS\r\n")
    if is_abrupt:
        client.vanish()
    await client.leave()
    await until(lambda: not world.edge.listening._guests)
    assert (await world.send()).startswith(b"250 ")


async def test_a_client_that_talks_on_in_the_clear_is_closed(world: EdgeWorld) -> None:
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"STARTTLS\r\n")
        client.writer.write(b"MAIL FROM:<ann@example.org>\r\n" * 10)
        assert b"250" not in await client.rest()
    await until(lambda: not world.edge.listening._guests)
    assert await world.accepted() == []


async def test_starttls_without_a_certificate_is_not_offered(tmp_path: Path) -> None:
    async with EdgeWorld(tmp_path).running() as world, await world.client() as client:
        assert b"STARTTLS" not in await client.say(b"EHLO client.example\r\n")
        assert (await client.say(b"STARTTLS\r\n")).startswith(b"502 5.5.1 ")


def test_tls_before_1_2_is_not_spoken(tls: ServerContext) -> None:
    """RFC 8996."""
    assert tls.minimum_version == ssl.TLSVersion.TLSv1_2
