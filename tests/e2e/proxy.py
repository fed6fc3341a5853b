"""A line to NATS that is cut at the moment an answer comes: what was asked is done, and nobody is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

# PubAck of the event log or of the content's write-ahead, as JetStream writes it.
ACKS = (b'"stream":"EV_1"', b'"stream":"CT"')


class AckCutter:
    """Passes octets on. Armed, it drops the next chunk that holds such an ack and cuts that one line."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._armed = b""
        self._open: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self.cuts = 0

    def arm(self, ack: bytes) -> None:
        self._armed = ack

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        try:
            upstream, server = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        self._open[line] = writer, server
        requests = asyncio.create_task(_pass_on(reader, server))
        with suppress(OSError):
            await self._pass_answers_on(upstream, writer)
        server.transport.abort()
        writer.transport.abort()
        with suppress(OSError):
            await requests
        del self._open[line]

    async def _pass_answers_on(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await upstream.read(65536):
            if self._armed and self._armed in octets:
                self._armed = b""
                self.cuts += 1
                return
            writer.write(octets)
            await writer.drain()

    async def hang_up(self) -> None:
        for ends in self._open.values():
            for end in ends:
                end.transport.abort()
        await asyncio.gather(*self._open)


async def _pass_on(reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
    while octets := await reader.read(65536):
        server.write(octets)
        await server.drain()
    server.transport.abort()


@asynccontextmanager
async def ack_cutter(url: str) -> AsyncIterator[tuple[AckCutter, str]]:
    """The proxy, and the url that goes through it."""
    parts = urlsplit(url)
    assert parts.hostname, url
    assert parts.port, url
    cutter = AckCutter(parts.hostname, parts.port)
    server = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    credentials = parts.netloc.rpartition("@")[0]
    try:
        yield cutter, urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{port}"))
    finally:
        server.close()
        await cutter.hang_up()
