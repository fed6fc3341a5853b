"""Behind a proxy: who connects is whom the PROXY header names, if it comes from where we trust it.

Source: HAProxy's proxy-protocol.txt.
"""

import asyncio
import base64
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.domain.sealing import unseal
from gateway.domain.sessions import SESSIONS, SessionEnded, SessionSecret
from gateway.domain.signin import SignInAccepted, SignInSecret
from gateway.ports import ServerContext
from gateway.processes import maillog
from gateway.processes.edge.rates import RateLimits
from gateway.processes.listening import listener
from gateway.protocols.proxy import SIGNATURE
from tests.processes.doors import HOSTNAME, PASSWORD, SUDA, until
from tests.processes.edge.world import MESSAGE, Client, EdgeWorld

LOOPBACK = "127.0.0.0/8,::1/128"
CLIENT = "192.0.2.7"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n"
V2 = SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 12) + ip_address(CLIENT).packed * 2 + b"\xdc\x04\0\x19"
V2_LOCAL = SIGNATURE + b"\x20\0\0\0"
HEADERS = {"v1": V1, "v2": V2}
SIGN_IN = b"AUTH PLAIN " + base64.b64encode(f"\0{SUDA}\0{PASSWORD}".encode()) + b"\r\n"


@pytest.fixture
def edge(tmp_path: Path, tls: ServerContext, cheap_hashes: None) -> EdgeWorld:
    return EdgeWorld(tmp_path, tls=tls, records_sessions=True, proxy_networks=LOOPBACK)


@pytest.fixture
async def world(edge: EdgeWorld) -> AsyncIterator[EdgeWorld]:
    async with edge.running() as world:
        yield world


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What proxy_header_missing was told of."""
    lines: list[dict[str, Any]] = []
    log = maillog.proxy_header_missing

    def tell(**line: Any) -> None:
        lines.append(line)
        log(**line)

    monkeypatch.setattr(maillog, "proxy_header_missing", tell)
    return lines


async def proxied(world: EdgeWorld, header: bytes, port: int = 0) -> Client:
    client = await world.connect(port)
    client.writer.write(header)
    return client


async def ended(world: EdgeWorld) -> tuple[SessionEnded, SessionSecret]:
    while not (found := await world.events(SessionEnded)):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    key = await world.keys.get(found[0].sealed_key)
    assert key is not None
    return found[0], unseal(SessionSecret, found[0].sealed, key, label=SESSIONS)


@pytest.mark.parametrize("version", HEADERS)
@pytest.mark.parametrize("is_slow", [False, True])
async def test_the_client_is_whom_the_header_names(world: EdgeWorld, version: str, is_slow: bool) -> None:
    async with await proxied(world, b"" if is_slow else HEADERS[version]) as client:
        for octet in HEADERS[version] if is_slow else b"":
            client.writer.write(bytes([octet]))
            await asyncio.sleep(0.001)
        assert (await client.reply()).startswith(b"220 ")
        await client.envelope(SUDA)
        assert (await client.message(MESSAGE)).startswith(b"250 ")
        await client.say(b"QUIT\r\n")
    (event,) = await world.accepted()
    assert b"from client.example ([192.0.2.7])" in (await world.open(event)).secret.front
    assert (await world.envelope(event)).remote_ip == CLIENT
    _, secret = await ended(world)
    assert (secret.remote_ip, secret.remote_port) == (CLIENT, 56324)


async def test_what_is_sent_ahead_behind_the_header_is_not_lost(world: EdgeWorld) -> None:
    async with await proxied(world, V2 + b"EHLO client.example\r\nQUIT\r\n") as client:
        assert (await client.rest()).splitlines()[-1].startswith(b"221 ")


@pytest.mark.parametrize("version", HEADERS)
async def test_starttls_begins_behind_the_header(
    world: EdgeWorld, trust: ssl.SSLContext, version: str
) -> None:
    await world.give_password(SUDA, PASSWORD)
    async with await proxied(world, HEADERS[version], world.submission_port) as client:
        assert (await client.reply()).startswith(b"220 ")
        await client.say(b"EHLO client.example\r\n")
        assert (await client.say(b"STARTTLS\r\n")).startswith(b"220 ")
        await client.writer.start_tls(trust, server_hostname=HOSTNAME)
        await client.say(b"EHLO client.example\r\n")
        assert (await client.say(SIGN_IN)).startswith(b"235 ")
    await signed_in_from(world, CLIENT)


async def inside_tls(client: Client, trust: ssl.SSLContext) -> None:
    """A ClientHello in one piece with the header, as a proxy passes it on."""
    await client.writer.start_tls(trust, server_hostname=HOSTNAME)
    assert (await client.reply()).startswith(b"220 ")


@pytest.mark.parametrize("version", HEADERS)
async def test_implicit_tls_begins_behind_the_header(
    world: EdgeWorld, trust: ssl.SSLContext, version: str
) -> None:
    await world.give_password(SUDA, PASSWORD)
    async with await proxied(world, HEADERS[version], world.submissions_port) as client:
        await inside_tls(client, trust)
        await client.say(b"EHLO client.example\r\n")
        assert (await client.say(SIGN_IN)).startswith(b"235 ")
        await client.say(b"QUIT\r\n")
    await signed_in_from(world, CLIENT)
    _, secret = await ended(world)
    assert (secret.remote_ip, secret.tls[:4]) == (CLIENT, "TLSv")


async def signed_in_from(world: EdgeWorld, ip: str) -> None:
    (event,) = await world.events(SignInAccepted)
    key = await world.keys.get(event.sealed_key)
    assert key is not None
    assert unseal(SignInSecret, event.sealed, key, label="signin").remote_ip == ip


@pytest.mark.parametrize("header", [V2_LOCAL, b"PROXY UNKNOWN\r\n"], ids=["local", "unknown"])
async def test_a_proxy_that_speaks_for_itself_is_the_client(world: EdgeWorld, header: bytes) -> None:
    async with await proxied(world, header) as client:
        assert (await client.reply()).startswith(b"220 ")
        await client.say(b"QUIT\r\n")
    assert (await ended(world))[1].remote_ip == "127.0.0.1"


@pytest.mark.parametrize(
    "said", [b"EHLO client.example\r\n", b"PROXY TCP4 nonsense\r\n", SIGNATURE + b"\0" * 4]
)
@pytest.mark.parametrize("name", ["smtp", "submissions"])
async def test_without_a_header_it_is_closed_unsaid_and_logged(
    world: EdgeWorld, told: list[dict[str, Any]], said: bytes, name: str
) -> None:
    port = world.port if name == "smtp" else world.submissions_port
    async with await proxied(world, said, port) as client:
        assert await client.rest() == b""
    (line,) = told
    assert (line["listener"], line["proxy"]) == (name, "127.0.0.1")
    assert not world.edge.listening._guests
    assert await world.events(SessionEnded) == []


async def test_a_header_that_does_not_come_is_not_waited_for_long(
    world: EdgeWorld, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "PROXY_HEADER_S", 0.05)
    async with await proxied(world, V1[:-1]) as client:
        assert await client.rest() == b""
    assert [line["reason"] for line in told] == ["no PROXY header came in time"]


async def test_a_proxy_that_goes_before_its_header_is_whole_leaves_no_trace(
    world: EdgeWorld, told: list[dict[str, Any]]
) -> None:
    await (await proxied(world, V1[:20])).leave()
    await until(lambda: bool(told))
    (await proxied(world, V1[:20])).vanish()
    await until(lambda: len(told) == 2)
    assert world.edge.listening._headers_awaited == 0


@pytest.mark.parametrize("name", ["smtp", "submissions"])
async def test_a_client_that_goes_right_after_its_header_leaves_no_trace(world: EdgeWorld, name: str) -> None:
    port = world.port if name == "smtp" else world.submissions_port
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(V2)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST
        await asyncio.sleep(0)
    while len(await world.events(SessionEnded)) < 20:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    assert not world.edge.listening._guests
    assert not +world.edge.listening._at


async def test_a_socket_that_cannot_be_used_gives_its_place_back(
    world: EdgeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unable:
        async def connect_accepted_socket(self, *given: object) -> None:
            raise OSError("no transport can be made of it")

    protocol = world.edge.listening._connect(world.edge.entrances[0], (CLIENT, 56324))
    assert len(world.edge.listening._guests) == 1
    with socket.socket() as client, monkeypatch.context() as patched:
        patched.setattr(listener, "asyncio", SimpleNamespace(get_running_loop=Unable))
        await world.edge.listening._greet(client, protocol)
    assert not world.edge.listening._guests
    event, _ = await ended(world)
    assert event.ended == "lost"


async def test_too_many_that_send_no_header_are_closed(
    world: EdgeWorld, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HEADERS_AWAITED_MAX", 1)
    async with await world.connect():
        await until(lambda: world.edge.listening._headers_awaited == 1)
        async with await proxied(world, V1) as second:
            assert await second.rest() == b""
    assert told[0]["reason"] == "too many connections wait for their PROXY header"


async def test_limits_count_whom_the_header_names(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path, proxy_networks=LOOPBACK, rates=RateLimits(network_connections_max=1))
    async with world.running():
        first, near = await proxied(world, V1), await proxied(world, V1.replace(b".7", b".8"))
        far = await proxied(world, V1.replace(b"192.0.2.7", b"203.0.113.7"))
        async with first, near, far:
            assert (await first.reply()).startswith(b"220 ")
            assert (await near.rest()).startswith(b"421 4.7.0 Too many connections from your network")
            assert (await far.reply()).startswith(b"220 ")


async def test_one_connection_too_many_of_a_listener_is_told_so_behind_a_proxy(edge: EdgeWorld) -> None:
    edge.connections_max = 1
    async with edge.running() as world, await proxied(world, V1) as first:
        assert (await first.reply()).startswith(b"220 ")
        async with await proxied(world, V2) as second:
            assert (await second.rest()).startswith(b"421 4.7.0 ")
        event, secret = await ended(world)
        assert (event.limit, secret.remote_ip) == ("listener_connections_max", CLIENT)


@pytest.mark.parametrize("networks", ["", "198.51.100.0/24"])
async def test_from_elsewhere_a_header_is_a_bad_command(tmp_path: Path, networks: str) -> None:
    async with EdgeWorld(tmp_path, proxy_networks=networks).running() as world:
        async with await world.client() as client:
            assert (await client.say(V1)).startswith(b"500 5.5.")
            await client.envelope(SUDA)
            assert (await client.message(MESSAGE)).startswith(b"250 ")
        (event,) = await world.accepted()
        assert (await world.envelope(event)).remote_ip == "127.0.0.1"


async def test_an_edge_that_stops_does_not_wait_for_headers(edge: EdgeWorld) -> None:
    async with edge.running() as world:
        silent, greeted = await world.connect(), await proxied(world, V1)
        assert (await greeted.reply()).startswith(b"220 ")
        await until(lambda: world.edge.listening._headers_awaited == 1)
    async with silent, greeted:
        assert await silent.rest() == b""
        assert (await greeted.rest()).startswith(b"421 4.3.2 ")
