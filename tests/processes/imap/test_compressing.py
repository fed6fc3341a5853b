"""A signed-in client compresses its connection: RFC 4978."""

import ssl
import zlib
from collections.abc import Awaitable, Callable

import pytest

from tests.processes.imap.world import Client, ImapWorld

SUDA, PASSWORD = "suda@opm.go.th", "correct horse battery"


@pytest.fixture
async def signed_in(world: ImapWorld, trust: ssl.SSLContext) -> Callable[[], Awaitable[Client]]:
    await world.give_password(SUDA, PASSWORD)

    async def client() -> Client:
        client = await world.client(trust)
        assert (await client.say(f'a LOGIN {SUDA} "{PASSWORD}"'.encode()))[-1].startswith(b"a OK ")
        return client

    return client


class Deflated:
    """The client's side of the stream."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._deflating = zlib.compressobj(9, zlib.DEFLATED, -15)
        self._inflating = zlib.decompressobj(-15)

    async def say(self, command: bytes) -> bytes:
        """What is said up to the tagged response of the last command."""
        self._client.writer.write(
            self._deflating.compress(command) + self._deflating.flush(zlib.Z_SYNC_FLUSH)
        )
        tag, said = command.rstrip().rsplit(b"\r\n", 1)[-1].split(b" ")[0], b""
        while b"\r\n" + tag + b" " not in b"\r\n" + said or not said.endswith(b"\r\n"):
            octets = await self._client.reader.read(65_536)
            assert octets, said
            said += self._inflating.decompress(octets)
        return said


async def test_what_is_said_behind_compress_is_deflated(
    world: ImapWorld, signed_in: Callable[[], Awaitable[Client]]
) -> None:
    async with await signed_in() as client:
        assert b" COMPRESS=DEFLATE" in (await client.say(b"b CAPABILITY"))[0]
        assert (await client.say(b"c COMPRESS DEFLATE"))[-1].startswith(b"c OK ")
        deflated = Deflated(client)
        assert (await deflated.say(b"d NOOP\r\n")).startswith(b"d OK ")
        many = b"".join(b"n%d NOOP\r\n" % number for number in range(2_000))
        assert (await deflated.say(many)).count(b" OK ") == 2_000
        assert (await deflated.say(b"e COMPRESS DEFLATE\r\n")).startswith(b"e NO [COMPRESSIONACTIVE] ")
        assert b"\r\nf OK " in await deflated.say(b"f LOGOUT\r\n")
    (ended,) = await world.ended()
    assert ended.ended == "quit"


async def test_another_mechanism_changes_nothing(signed_in: Callable[[], Awaitable[Client]]) -> None:
    async with await signed_in() as client:
        assert (await client.say(b"b COMPRESS LZMA"))[-1].startswith(b"b NO ")
        assert (await client.say(b"c NOOP"))[-1].startswith(b"c OK ")


async def test_what_comes_ahead_of_the_answer_ends_the_connection(
    world: ImapWorld, signed_in: Callable[[], Awaitable[Client]]
) -> None:
    async with await signed_in() as client:
        client.writer.write(b"b COMPRESS DEFLATE\r\nc NOOP\r\n")
        assert await client.line() == b""
    (ended,) = await world.ended()
    assert ended.ended == "protocol"


async def test_what_is_not_deflated_ends_the_connection(
    world: ImapWorld, signed_in: Callable[[], Awaitable[Client]]
) -> None:
    async with await signed_in() as client:
        await client.say(b"b COMPRESS DEFLATE")
        client.writer.write(b"c NOOP\r\n")
        assert await client.line() == b""
    (ended,) = await world.ended()
    assert ended.ended == "protocol"
