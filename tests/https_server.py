"""A web server on loopback that answers what it is told to, over real TLS."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class WebServer:
    """What it answers, whatever is asked for."""

    tls: ssl.SSLContext
    body: bytes = b""
    status: str = "200 OK"
    kind: str = "text/plain; charset=utf-8"
    more: tuple[str, ...] = ()  # further header fields
    is_silent: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)  # host and path
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            host = next(line.partition(" ")[2] for line in head if line.lower().startswith("host:"))
            self.asked.append((host, head[0].split(" ")[1]))
            if self.is_silent:
                await reader.read()
            fields = [f"HTTP/1.1 {self.status}", f"Content-Type: {self.kind}", *self.more]
            fields += [f"Content-Length: {len(self.body)}", "Connection: close", "", ""]
            writer.write("\r\n".join(fields).encode() + self.body)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def web_server(tls: ssl.SSLContext) -> AsyncIterator[WebServer]:
    """Serves until the block ends."""
    web = WebServer(tls)
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0, ssl=tls)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        server.close()
