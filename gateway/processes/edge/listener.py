"""The edge: listens, hands each connection to the core, and stops without breaking a promise."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from gateway.mail.reply import reply
from gateway.ports import Deposed
from gateway.processes import maillog
from gateway.processes.edge.connection import TLS_HANDSHAKE_S, Connection, EdgeServices
from gateway.processes.edge.rates import TOO_MANY_CONNECTIONS
from gateway.processes.edge.sessions import SessionRecord
from gateway.processes.listening import listen
from gateway.protocols.smtp.config import SessionConfig

TOO_MANY = reply(421, "4.7.0", "Too many connections, try again later").render()
ACCEPT_AGAIN_S: Final = 1.0
LAST_WORDS_S: Final = 1.0
STOP_S: Final = 20.0  # what a stop gives the mails in hand


@dataclass(frozen=True, slots=True)
class Listener:
    """One address, and how sessions go there; with `session.is_tls` TLS begins with the first octet."""

    name: str  # smtp, submission, submissions
    address: str  # host:port
    session: SessionConfig


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    listeners: Sequence[Listener]
    connections_max: int  # of each listener, so that no flood on one shuts out those of another


class Edge:
    """All connections of one edge process."""

    def __init__(self, config: EdgeConfig, services: EdgeServices) -> None:
        self._config = config
        self._services = services
        self._connections: set[Connection] = set()
        self._on: Counter[str] = Counter()  # connections by listener
        self._handshakes: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] | None = None

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled, or until another edge takes our lane: then raises Deposed."""
        self._failed = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            if self._services.sessions is not None:
                await stack.enter_async_context(self._services.sessions.recording(self._fail))
                stack.push_async_callback(self._tell_of_the_rest)
            stack.push_async_callback(self._drain)
            for each in self._config.listeners:
                # Several edges share the port: the kernel spreads the connections.
                sock = listen(each.address)
                if each.session.is_tls:
                    await stack.enter_async_context(self._accepting_tls(sock, each))
                else:
                    server = await loop.create_server(partial(self._connect, each), sock=sock)
                    stack.callback(server.close)
            maillog.role_ready(**{each.name: each.address for each in self._config.listeners})
            ready()
            await self._failed

    def _is_full(self, listener: Listener) -> bool:
        return self._on[listener.name] >= self._config.connections_max

    def _connect(self, listener: Listener) -> asyncio.Protocol:
        if self._is_full(listener):
            return _Refusal(partial(self._turn_away, listener))
        return self._begin(listener)

    def _begin(self, listener: Listener) -> Connection:
        connection = Connection(self._services, listener.session, self, listener.name)
        self._connections.add(connection)
        self._on[listener.name] += 1
        return connection

    def _turn_away(self, listener: Listener, peer: tuple[object, ...] | None, said: bytes = b"") -> None:
        """One connection too many of a listener is a session too."""
        if self._services.sessions is not None:
            record = SessionRecord(listener.name, self._services.clock.now())
            record.limit = "listener_connections_max"
            record.came_from(peer)
            record.said(said)
            self._services.sessions.ended(record, "limit")

    @contextlib.asynccontextmanager
    async def _accepting_tls(self, sock: socket.socket, listener: Listener) -> AsyncIterator[None]:
        """Accept connections that begin with TLS (RFC 8314 §3) while the block runs.

        Not by create_server, which tells nobody of a handshake that fails: its place would stay taken.
        """
        accepting = asyncio.create_task(self._accept_tls(sock, listener))
        try:
            yield
        finally:
            tasks = [accepting, *self._handshakes]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            sock.close()

    async def _accept_tls(self, sock: socket.socket, listener: Listener) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, peer = await loop.sock_accept(sock)
            except OSError:  # no descriptor is free (accept(2)): those in use end some time
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            if self._is_full(listener):
                client.close()  # whoever waits for a handshake understands no 421
                self._turn_away(listener, peer)
                continue
            task = asyncio.create_task(self._shake_hands(client, peer, listener))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, client: socket.socket, peer: tuple[object, ...], listener: Listener) -> None:
        connection = self._begin(listener)
        if not connection.enters(peer):
            client.close()  # whoever waits for a handshake understands no 421
            connection.never_came(str(TOO_MANY_CONNECTIONS))
            return
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, client, ssl=self._services.tls, ssl_handshake_timeout=TLS_HANDSHAKE_S
            )
        except OSError as error:  # ssl.SSLError, ConnectionError and TimeoutError are
            connection.never_came(f"TLS failed: {error}")
        except asyncio.CancelledError:
            connection.never_came("the edge stops")
            raise

    def ended(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._on[connection.record.listener] -= 1

    def deposed(self, error: Deposed) -> None:
        self._fail(error)

    def _fail(self, error: Exception) -> None:
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

    async def _tell_of_the_rest(self) -> None:
        """Sessions that are over, and those whose clients do not read our last words."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                while self._connections:  # noqa: ASYNC110  nobody says when the last one has gone
                    await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.tell()


class _Refusal(asyncio.Protocol):
    """One connection too many (RFC 5321 §3.8: 421 and close)."""

    def __init__(self, tell: Callable[[tuple[object, ...] | None, bytes], None]) -> None:
        self._tell = tell

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        refused = cast(asyncio.Transport, transport)
        self._tell(refused.get_extra_info("peername"), TOO_MANY)
        refused.write(TOO_MANY)
        refused.close()
