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
from gateway.processes.edge.connection import TLS_HANDSHAKE_S, Connection
from gateway.processes.edge.rates import Network, is_within
from gateway.processes.edge.services import EdgeServices
from gateway.processes.edge.sessions import SessionRecord
from gateway.processes.listening import listen
from gateway.protocols.proxy import ProxyError, parse_header
from gateway.protocols.smtp.config import SessionConfig

TOO_MANY = reply(421, "4.7.0", "Too many connections, try again later").render()
ACCEPT_AGAIN_S: Final = 1.0
LAST_WORDS_S: Final = 1.0
# A proxy sends its header with the handshake of TCP. Precedents: Postfix 5 s, HAProxy's example 3 s.
PROXY_HEADER_S: Final = 5.0
HEADERS_AWAITED_MAX: Final = (
    1_000  # they count on no listener yet; as many as come within 5 s at 200 a second
)
STOP_S: Final = 20.0  # what a stop gives the mails in hand

Peer = tuple[object, ...]  # as a socket names it


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
    proxy_networks: Sequence[Network] = ()  # each connection from there begins with a PROXY header


class Edge:
    """All connections of one edge process."""

    def __init__(self, config: EdgeConfig, services: EdgeServices) -> None:
        self._config = config
        self._services = services
        self._connections: set[Connection] = set()
        self._on: Counter[str] = Counter()  # connections by listener
        self._arriving: set[asyncio.Task[None]] = set()  # PROXY headers and TLS handshakes under way
        self._headers_awaited = 0
        self._failed: asyncio.Future[None] | None = None

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled, or until another edge takes our lane: then raises Deposed."""
        self._failed = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            if self._services.sessions is not None:
                await stack.enter_async_context(self._services.sessions.recording(self._fail))
                stack.push_async_callback(self._tell_of_the_rest)
            if self._services.tls is not None:
                await stack.enter_async_context(self._services.tls.watching(self._fail))
            stack.push_async_callback(self._drain)
            for each in self._config.listeners:
                # Several edges share the port: the kernel spreads the connections.
                sock = listen(each.address)
                if each.session.is_tls or self._config.proxy_networks:
                    await stack.enter_async_context(self._accepting(sock, each))
                else:
                    server = await loop.create_server(partial(self._connect, each), sock=sock)
                    stack.callback(server.close)
            maillog.role_ready(**{each.name: each.address for each in self._config.listeners})
            ready()
            await self._failed

    def _is_full(self, listener: Listener) -> bool:
        return self._on[listener.name] >= self._config.connections_max

    def _connect(self, listener: Listener, peer: Peer | None = None) -> asyncio.Protocol:
        """peer: as a proxy names it; None: as the socket does."""
        if self._is_full(listener):
            return _Refusal(partial(self._turn_away, listener), peer)
        connection = self._begin(listener)
        connection.peer = peer
        return connection

    def _begin(self, listener: Listener) -> Connection:
        connection = Connection(self._services, listener.session, self, listener.name)
        self._connections.add(connection)
        self._on[listener.name] += 1
        return connection

    def _turn_away(self, listener: Listener, peer: Peer | None, said: bytes = b"") -> None:
        """One connection too many of a listener is a session too."""
        if self._services.sessions is not None:
            record = SessionRecord(listener.name, self._services.clock.now())
            record.limit = "listener_connections_max"
            record.came_from(peer)
            record.said(said)
            self._services.sessions.ended(record, "limit")

    # --- connections that are accepted here, not by create_server --------------------------------------

    @contextlib.asynccontextmanager
    async def _accepting(self, sock: socket.socket, listener: Listener) -> AsyncIterator[None]:
        """Accept connections that begin with a PROXY header or with TLS (RFC 8314 §3) while the block runs.

        Not by create_server: it tells nobody of a handshake that fails, whose place would stay taken, and
        begins the handshake at once, before the header in front of it.
        """
        accepting = asyncio.create_task(self._accept(sock, listener))
        try:
            yield
        finally:
            tasks = [accepting, *self._arriving]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            sock.close()

    async def _accept(self, sock: socket.socket, listener: Listener) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, peer = await loop.sock_accept(sock)
            except OSError:  # no descriptor is free (accept(2)): those in use end some time
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            task = asyncio.create_task(self._arrive(client, peer, listener))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _arrive(self, client: socket.socket, peer: Peer, listener: Listener) -> None:
        if is_within(str(peer[0]), self._config.proxy_networks):
            try:
                peer = await self._named_by_proxy(client) or peer
            except (ProxyError, OSError) as error:  # TimeoutError is an OSError
                client.close()
                reason = "no PROXY header came in time" if isinstance(error, TimeoutError) else str(error)
                maillog.proxy_header_missing(listener=listener.name, proxy=str(peer[0]), reason=reason)
                return
            except asyncio.CancelledError:
                client.close()
                raise
        if not listener.session.is_tls:
            await self._greet(client, self._connect(listener, peer))
        elif self._is_full(listener):
            client.close()  # whoever waits for a handshake understands no 421
            self._turn_away(listener, peer)
        else:
            await self._shake_hands(client, peer, listener)

    async def _named_by_proxy(self, client: socket.socket) -> Peer | None:
        """Read the PROXY header and nothing behind it; None: the proxy speaks for itself.

        Raises ProxyError, OSError.
        """
        if self._headers_awaited >= HEADERS_AWAITED_MAX:
            raise ProxyError("too many connections wait for their PROXY header")
        self._headers_awaited += 1
        try:
            octets, loop = b"", asyncio.get_running_loop()
            async with asyncio.timeout(PROXY_HEADER_S):
                while isinstance(header := parse_header(octets), int):
                    received = await loop.sock_recv(client, header)
                    if not received:
                        raise ProxyError("it went away before its PROXY header was whole")
                    octets += received
        finally:
            self._headers_awaited -= 1
        return None if header.source is None else (header.source.ip, header.source.port)

    async def _greet(self, client: socket.socket, protocol: asyncio.Protocol) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, client)
        except OSError as error:  # the socket cannot be used: the loop has told the protocol nothing
            client.close()
            if isinstance(protocol, Connection):
                protocol.never_came(str(error), "lost")

    async def _shake_hands(self, client: socket.socket, peer: Peer, listener: Listener) -> None:
        connection = self._begin(listener)
        if not connection.enters(peer):
            client.close()  # whoever waits for a handshake understands no 421
            connection.never_came(str(connection.turned_away))
            return
        tls = self._services.tls
        assert tls is not None, "a listener with TLS from the first octet has a certificate"
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, client, ssl=tls.context, ssl_handshake_timeout=TLS_HANDSHAKE_S
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

    def __init__(self, tell: Callable[[Peer | None, bytes], None], peer: Peer | None) -> None:
        self._tell, self._peer = tell, peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        refused = cast(asyncio.Transport, transport)
        self._tell(self._peer or refused.get_extra_info("peername"), TOO_MANY)
        refused.write(TOO_MANY)
        refused.close()
