"""The edge: listens, hands each connection to the core, and stops without breaking a promise."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from gateway.mail.reply import reply
from gateway.ports import Deposed
from gateway.processes import maillog
from gateway.processes.edge.connection import Connection, EdgeServices
from gateway.processes.listening import listen
from gateway.protocols.smtp.server import SessionConfig

TOO_MANY = reply(421, "4.7.0", "Too many connections, try again later").render()
STOP_S: Final = 20.0  # what a stop gives the mails in hand


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    address: str  # host:port
    connections_max: int
    session: SessionConfig


class Edge:
    """All connections of one edge process."""

    def __init__(self, config: EdgeConfig, services: EdgeServices) -> None:
        self._config = config
        self._services = services
        self._connections: set[Connection] = set()
        self._failed: asyncio.Future[None] | None = None

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled, or until another edge takes our lane: then raises Deposed."""
        self._failed = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        # Several edges share the port: the kernel spreads the connections.
        server = await loop.create_server(self._connect, sock=listen(self._config.address))
        maillog.role_ready(smtp=self._config.address)
        ready()
        try:
            await self._failed
        finally:
            server.close()
            await self._drain()

    def _connect(self) -> asyncio.Protocol:
        if len(self._connections) >= self._config.connections_max:
            return _Refusal()
        connection = Connection(self._services, self._config.session, self)
        self._connections.add(connection)
        return connection

    def ended(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def deposed(self, error: Deposed) -> None:
        if self._failed and not self._failed.done():
            self._failed.set_exception(error)

    async def _drain(self) -> None:
        """Conclude the mails in hand, say 421 to everybody else."""
        for connection in list(self._connections):
            connection.interrupt()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                while tasks := [c.task for c in self._connections if c.task and not c.task.done()]:
                    await asyncio.wait(tasks)


class _Refusal(asyncio.Protocol):
    """One connection too many (RFC 5321 §3.8: 421 and close)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        refused = cast(asyncio.Transport, transport)
        refused.write(TOO_MANY)
        refused.close()
