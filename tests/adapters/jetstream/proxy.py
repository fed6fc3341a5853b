"""A line between client and server that is cut at a chosen moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class CuttingProxy:
    """Passes octets on until a chunk of the armed direction holds the armed octets: that chunk is lost.

    A chunk is what one read gave; what came before it has been passed on.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._at_answer = self._at_request = b""
        self._ends: set[asyncio.StreamWriter] = set()
        self.cuts = 0

    def cut_at_answer(self, octets: bytes) -> None:
        """The server has done what was asked, and its answer is lost."""
        self._at_answer = octets

    def cut_at_request(self, octets: bytes) -> None:
        """The request is lost before the server sees it."""
        self._at_request = octets

    def has_cut(self, times: int) -> bool:
        return self.cuts >= times

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, server = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        self._ends |= {writer, server}
        with suppress(ConnectionError):
            await asyncio.gather(self._requests(reader, server), self._answers(upstream, writer))
        self._close(writer, server)

    async def _requests(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while octets := await reader.read(65536):
            if self._at_request and self._at_request in octets:
                self._at_request = b""
                self.cuts += 1
                break
            server.write(octets)
            await server.drain()
        self.cut()

    async def _answers(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await upstream.read(65536):
            if self._at_answer and self._at_answer in octets:
                self._at_answer = b""
                self.cuts += 1
                break
            writer.write(octets)
            await writer.drain()
        self.cut()

    def cut(self) -> None:
        """Cut every line there is."""
        self._close(*self._ends)

    def _close(self, *ends: asyncio.StreamWriter) -> None:
        for end in ends:
            self._ends.discard(end)
            end.transport.abort()


@asynccontextmanager
async def cutting_proxy(url: str) -> AsyncIterator[tuple[CuttingProxy, str]]:
    """A proxy before the server, and the url that goes through it."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    proxy = CuttingProxy(parts.hostname, parts.port)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        credentials = parts.netloc.rpartition("@")[0]
        netloc = f"{credentials}@127.0.0.1:{port}" if credentials else f"127.0.0.1:{port}"
        yield proxy, urlunsplit(parts._replace(netloc=netloc))
        proxy.cut()
