"""A client's connection as octets: nothing is lost, nothing piles up, and every end has its reason.

Each on the loop of the standard library and on uvloop, which roles run on.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from gateway.processes.listening import wire as wires
from gateway.processes.listening.wire import HELD_OCTETS_MAX, Over, Wire


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


Pair = tuple[Wire, socket.socket]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """A wire, and the socket of its client, which does not block."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    wire = Wire()
    await asyncio.get_running_loop().connect_accepted_socket(lambda: wire, ours)
    yield wire, theirs
    theirs.close()
    wire.abort()
    with contextlib.suppress(Over):
        await wire.read(5)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_what_comes_is_read_once_and_in_order(pair: Pair) -> None:
    wire, client = pair
    client.send(b"a NOOP\r\n")
    assert await wire.read(5) == b"a NOOP\r\n"
    client.send(b"b")
    assert await wire.read(5) == b"b"


async def test_a_read_that_is_cancelled_loses_nothing(pair: Pair) -> None:
    wire, client = pair
    reading = asyncio.create_task(wire.read(5))
    await asyncio.sleep(0)
    client.send(b"x")
    reading.cancel()
    got = b""
    try:
        got = await reading
    except asyncio.CancelledError:
        got = await wire.read(5)
    assert got == b"x"


async def test_a_silent_client_is_over(pair: Pair) -> None:
    wire, _ = pair
    with pytest.raises(Over) as over:
        await wire.read(0.01)
    assert over.value.ending == "timeout"


async def test_a_client_that_has_said_all_is_still_answered(pair: Pair) -> None:
    wire, client = pair
    client.send(b"a LOGOUT\r\n")
    client.shutdown(socket.SHUT_WR)
    assert await wire.read(5) == b"a LOGOUT\r\n"
    with pytest.raises(Over) as over:
        await wire.read(5)
    assert over.value.ending == "lost"
    wire.write(b"* BYE\r\n")
    assert await asyncio.get_running_loop().sock_recv(client, 100) == b"* BYE\r\n"


async def test_what_a_client_sends_ahead_waits_in_its_own_buffers(pair: Pair) -> None:
    wire, client = pair
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < 50_000_000:
            sent += client.send(b"x" * 65_536)
            await asyncio.sleep(0.001)
    assert sent < 50_000_000, "the kernel's buffers are smaller than that"
    assert len(wire._received) < HELD_OCTETS_MAX + 1_000_000
    received = 0
    while received < sent:
        received += len(await wire.read(5))
    assert received == sent


async def test_who_writes_waits_for_a_client_that_reads_slowly(pair: Pair) -> None:
    wire, client = pair
    wire.write(b"x" * 5_000_000)
    flushing = asyncio.create_task(wire.flush())
    await asyncio.sleep(0)
    assert not flushing.done()
    received = 0
    while received < 5_000_000:
        received += len(await asyncio.get_running_loop().sock_recv(client, 1_000_000))
    await flushing


async def test_a_client_that_never_reads_is_over(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "UNREAD_S", 0.01)
    wire, _ = pair
    wire.write(b"x" * 5_000_000)
    with pytest.raises(Over) as over:
        await wire.flush()
    assert over.value.ending == "timeout"


async def test_a_client_that_vanishes_is_over_for_readers_and_writers(pair: Pair) -> None:
    wire, client = pair
    wire.write(b"x" * 5_000_000)
    client.close()
    for wait in (wire.flush, lambda: wire.read(5)):
        with pytest.raises(Over) as over:
            await wait()
        assert over.value.ending == "lost"
    wire.write(b"nobody hears it")


async def test_a_conversation_may_have_an_end_whatever_is_said(pair: Pair) -> None:
    wire, client = pair
    wire.until = asyncio.get_running_loop().time() + 0.05

    async def talk() -> None:
        while True:
            client.send(b"NOOP\r\n")
            await asyncio.sleep(0)
            await wire.read(5)

    with pytest.raises(Over) as over:
        await talk()
    assert over.value.ending == "timeout"
    wire.until = asyncio.get_running_loop().time() + 60
    client.send(b"NOOP\r\n")
    assert await wire.read(5)
