"""Accepts connections, reads their PROXY headers, shakes hands, and stops without breaking a promise.

What is said on a connection is not known here: each is a guest, whoever makes it.
"""

import asyncio
import contextlib
import socket
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from gateway.domain.sessions import Ending
from gateway.mail.networks import Network, is_within
from gateway.ports import Clock
from gateway.processes import maillog
from gateway.processes.listening.certificates import ShownCertificates
from gateway.processes.listening.sessions import SessionRecord, Sessions
from gateway.processes.listening.sockets import listen
from gateway.protocols.proxy import ProxyError, parse_header

TLS_HANDSHAKE_S: Final = 30.0
ACCEPT_AGAIN_S: Final = 1.0
LAST_WORDS_S: Final = 1.0
# A proxy sends its header with the handshake of TCP. Precedents: Postfix 5 s, HAProxy's example 3 s.
PROXY_HEADER_S: Final = 5.0
HEADERS_AWAITED_MAX: Final = (
    1_000  # they count on no listener yet; as many as come within 5 s at 200 a second
)
STOP_S: Final = 20.0  # what a stop gives what is in hand

Peer = tuple[object, ...]  # as a socket names it


class Guest(asyncio.Protocol, ABC):
    """One connection, as this module sees it."""

    record: SessionRecord
    peer: Peer | None = None  # as a proxy names it; None: as the socket does
    turned_away: object  # why it does not enter, as text

    @property
    @abstractmethod
    def task(self) -> asyncio.Task[None] | None:
        """What is in hand, for a stop to wait for."""

    @abstractmethod
    def enters(self, peer: Peer | None) -> bool:
        """Where the client comes from; False: its network is banned, or has enough connections."""

    @abstractmethod
    def never_came(self, reason: str, ending: Ending = "tls") -> None:
        """There was a client, and it failed before it could say anything."""

    @abstractmethod
    def interrupt(self) -> None:
        """The process stops: end now, or when what is in hand is done."""

    @abstractmethod
    def tell(self) -> None:
        """The session becomes a fact, once; early when the process stops and its client does not go."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """One address, and who comes in there. is_tls: TLS begins with the first octet (RFC 8314 §3)."""

    name: str  # smtp, submission, submissions, imap, imaps, pop3, pop3s
    address: str  # host:port
    is_tls: bool
    begin: Callable[[], Guest]
    too_many: bytes  # said to one connection too many, in the clear


@dataclass(frozen=True, slots=True)
class House:
    """What all entrances of one process share. None: it has no certificate; sessions leave no facts."""

    clock: Clock
    connections_max: int  # of each listener, so that no flood on one shuts out those of another
    proxy_networks: Sequence[Network] = ()  # each connection from there begins with a PROXY header
    tls: ShownCertificates | None = None
    sessions: Sessions | None = None


class Listening:
    """All connections of one process."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._guests: set[Guest] = set()
        self._at: Counter[str] = Counter()  # guests by listener
        self._arriving: set[asyncio.Task[None]] = set()  # PROXY headers and TLS handshakes under way
        self._headers_awaited = 0
        self._failed: asyncio.Future[None] | None = None

    async def run(self, entrances: Sequence[Entrance], ready: Callable[[], None]) -> None:
        """Serve until cancelled, or until another process takes our lane: then raises Deposed."""
        self._failed = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            if self._house.sessions is not None:
                await stack.enter_async_context(self._house.sessions.recording(self.failed))
                stack.push_async_callback(self._tell_of_the_rest)
            if self._house.tls is not None:
                await stack.enter_async_context(self._house.tls.watching(self.failed))
            stack.push_async_callback(self._drain)
            for each in entrances:
                # Several processes share the port: the kernel spreads the connections.
                sock = listen(each.address)
                if each.is_tls or self._house.proxy_networks:
                    await stack.enter_async_context(self._accepting(sock, each))
                else:
                    server = await loop.create_server(partial(self._connect, each), sock=sock)
                    stack.callback(server.close)
            maillog.role_ready(**{each.name: each.address for each in entrances})
            ready()
            await self._failed

    def failed(self, error: Exception) -> None:
        """Another process owns the lane, or a mistake of ours: this one serves no longer."""
        if self._failed and not self._failed.done():
            self._failed.set_exception(error)

    def ended(self, guest: Guest) -> None:
        """The connection is over."""
        self._guests.discard(guest)
        self._at[guest.record.listener] -= 1

    def _is_full(self, entrance: Entrance) -> bool:
        return self._at[entrance.name] >= self._house.connections_max

    def _connect(self, entrance: Entrance, peer: Peer | None = None) -> asyncio.Protocol:
        """peer: as a proxy names it; None: as the socket does."""
        if self._is_full(entrance):
            return _Refusal(partial(self._turn_away, entrance), entrance.too_many, peer)
        guest = self._begin(entrance)
        guest.peer = peer
        return guest

    def _begin(self, entrance: Entrance) -> Guest:
        guest = entrance.begin()
        self._guests.add(guest)
        self._at[entrance.name] += 1
        return guest

    def _turn_away(self, entrance: Entrance, peer: Peer | None, said: bytes = b"") -> None:
        """One connection too many of a listener is a session too."""
        if self._house.sessions is not None:
            record = SessionRecord(entrance.name, self._house.clock.now())
            record.limit = "listener_connections_max"
            record.came_from(peer)
            record.said(said)
            self._house.sessions.ended(record, "limit")

    # --- connections that are accepted here, not by create_server --------------------------------------

    @contextlib.asynccontextmanager
    async def _accepting(self, sock: socket.socket, entrance: Entrance) -> AsyncIterator[None]:
        """Accept connections that begin with a PROXY header or with TLS (RFC 8314 §3) while the block runs.

        Not by create_server: it tells nobody of a handshake that fails, whose place would stay taken, and
        begins the handshake at once, before the header in front of it.
        """
        accepting = asyncio.create_task(self._accept(sock, entrance))
        try:
            yield
        finally:
            tasks = [accepting, *self._arriving]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            sock.close()

    async def _accept(self, sock: socket.socket, entrance: Entrance) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, peer = await loop.sock_accept(sock)
            except OSError:  # no descriptor is free (accept(2)): those in use end some time
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            task = asyncio.create_task(self._arrive(client, peer, entrance))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _arrive(self, client: socket.socket, peer: Peer, entrance: Entrance) -> None:
        if is_within(str(peer[0]), self._house.proxy_networks):
            try:
                peer = await self._named_by_proxy(client) or peer
            except (ProxyError, OSError) as error:  # TimeoutError is an OSError
                client.close()
                reason = "no PROXY header came in time" if isinstance(error, TimeoutError) else str(error)
                maillog.proxy_header_missing(listener=entrance.name, proxy=str(peer[0]), reason=reason)
                return
            except asyncio.CancelledError:
                client.close()
                raise
        if not entrance.is_tls:
            await self._greet(client, self._connect(entrance, peer))
        elif self._is_full(entrance):
            client.close()  # whoever waits for a handshake understands no 421
            self._turn_away(entrance, peer)
        else:
            await self._shake_hands(client, peer, entrance)

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
            if isinstance(protocol, Guest):
                protocol.never_came(str(error), "lost")

    async def _shake_hands(self, client: socket.socket, peer: Peer, entrance: Entrance) -> None:
        guest = self._begin(entrance)
        if not guest.enters(peer):
            client.close()  # whoever waits for a handshake understands no 421
            guest.never_came(str(guest.turned_away))
            return
        tls = self._house.tls
        assert tls is not None, "a listener with TLS from the first octet has a certificate"
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: guest, client, ssl=tls.context, ssl_handshake_timeout=TLS_HANDSHAKE_S
            )
        except OSError as error:  # ssl.SSLError, ConnectionError and TimeoutError are
            guest.never_came(f"TLS failed: {error}")
        except asyncio.CancelledError:
            guest.never_came("the process stops")
            raise

    async def _drain(self) -> None:
        """Finish what is in hand, say good-bye to everybody else."""
        for guest in list(self._guests):
            guest.interrupt()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                while tasks := [one.task for one in self._guests if one.task and not one.task.done()]:
                    await asyncio.wait(tasks)

    async def _tell_of_the_rest(self) -> None:
        """Sessions that are over, and those whose clients do not read our last words."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                while self._guests:  # noqa: ASYNC110  nobody says when the last one has gone
                    await asyncio.sleep(0.01)
        for guest in list(self._guests):
            guest.tell()


class _Refusal(asyncio.Protocol):
    """One connection too many (RFC 5321 §3.8: 421 and close; RFC 9051 §7.1.5: BYE)."""

    def __init__(self, tell: Callable[[Peer | None, bytes], None], words: bytes, peer: Peer | None) -> None:
        self._tell, self._words, self._peer = tell, words, peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        refused = cast(asyncio.Transport, transport)
        self._tell(self._peer or refused.get_extra_info("peername"), self._words)
        refused.write(self._words)
        refused.close()
