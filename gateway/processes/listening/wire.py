"""One client's connection as octets in and out, for protocols whose sessions are a coroutine each.

What a client sends ahead waits in its own buffers, what it does not read keeps its session waiting: neither
takes our memory. `read` may be cancelled at any time, no octet is lost by it.
"""

import asyncio
import math
import ssl
from collections.abc import Callable, Iterator
from typing import Final, cast

from gateway.domain.sessions import Ending
from gateway.ports import ServerContext
from gateway.processes.listening.certificates import ShownCertificates
from gateway.processes.listening.listener import TLS_HANDSHAKE_S
from gateway.processes.listening.sessions import tls_of

HELD_OCTETS_MAX: Final = 64 * 1024  # received and not read yet; reading pauses beyond
UNREAD_S: Final = 300.0  # a client that reads nothing of what waits for so long has gone


class Over(Exception):
    """The conversation ends here. limit: the setting of the limit that was met.

    is_told: the client has heard our last words; else who serves says them, if they are heard.
    """

    def __init__(self, ending: Ending, text: str, *, limit: str = "", is_told: bool = False) -> None:
        super().__init__(text)
        self.ending, self.limit, self.is_told = ending, limit, is_told


class Wire(asyncio.Protocol):
    """Made by its entrance; usable from `connection_made` on."""

    _transport: asyncio.Transport | None = None

    def __init__(self) -> None:
        self._received = bytearray()
        self._is_at_end = False  # the client has said all it has to say
        self._is_lost = False  # there is no connection any more
        self._is_unread = False  # the client does not read what we say
        self._is_stopping = False
        # When the conversation ends whatever is said, by the loop's clock.
        self.until = math.inf
        self._change: asyncio.Future[None] | None = None  # who reads or flushes waits here
        self._unpack: Callable[[bytes], Iterator[bytes]] | None = None
        self._pack: Callable[[bytes], bytes] | None = None
        self._unpacked: Iterator[bytes] = iter(())

    # --- asyncio's calls ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so

    def data_received(self, octets: bytes) -> None:
        self._received += octets
        if len(self._received) > HELD_OCTETS_MAX and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """True: what it sent is still answered, where TLS lets us."""
        self._is_at_end = True
        self._wake()
        return not self.tls

    def pause_writing(self) -> None:
        self._is_unread = True

    def resume_writing(self) -> None:
        self._is_unread = False
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_lost = True
        self._wake()

    # --- for the session --------------------------------------------------------------------------------

    async def read(self, within_s: float) -> bytes:
        """What has come, at least one octet. Raises Over: gone, silent for so long, or the process stops."""
        left_s = self.until - asyncio.get_running_loop().time()
        if left_s <= 0:
            raise Over("timeout", "the client took too long")
        try:
            async with asyncio.timeout(min(within_s, left_s)):
                while (octets := next(self._unpacked, b"")) == b"":
                    received = await self._take()
                    if self._unpack is None:
                        return received
                    self._unpacked = self._unpack(received)
                return octets
        except TimeoutError:
            raise Over("timeout", "timed out waiting for the client") from None
        except ValueError as error:
            raise Over("protocol", str(error)) from None

    async def _take(self) -> bytes:
        while not self._received or self._is_stopping or self._is_lost:
            if self._is_stopping:
                raise Over("stopped", "the process stops")
            if self._is_lost or self._is_at_end:
                raise Over("lost", "the client went away")
            await self._changes()
        octets = bytes(self._received)
        self._received.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        return octets

    def pack(self, unpack: Callable[[bytes], Iterator[bytes]], pack: Callable[[bytes], bytes]) -> None:
        """From now on what the client sends is unpacked, and what we say is packed, as with RFC 4978.

        unpack: raises ValueError for what is not packed; the connection ends then.
        """
        self._unpack, self._pack = unpack, pack

    def write(self, octets: bytes) -> None:
        """Say something, now or when the client reads; `flush` after much of it."""
        if self._transport is not None and not self._is_lost and not self._transport.is_closing():
            self._transport.write(octets if self._pack is None else self._pack(octets))

    async def flush(self) -> None:
        """Wait until the client has read most of what was said. Raises Over: it is gone, or never reads."""
        if not (self._is_unread or self._is_lost):  # nearly always, and said at once
            return
        try:
            async with asyncio.timeout(UNREAD_S):
                while self._is_unread and not self._is_lost:
                    await self._changes()
        except TimeoutError:
            raise Over("timeout", "the client does not read what we say") from None
        if self._is_lost:
            raise Over("lost", "the client went away")

    async def start_tls(self, shown: ShownCertificates, said: bytes) -> None:
        """Say yes, then shake hands. Raises Over.

        Octets in the clear behind the command would count as said inside TLS: who sends them is cut off
        (RFC 9051 §11.1, RFC 2595 §2.4).
        """
        transport = self._transport
        assert transport is not None, "no connection to start TLS on"
        transport.pause_reading()
        if self._received:
            raise Over("tls", "the client sent octets ahead of TLS")
        if self._is_lost:
            raise Over("lost", "the client went away")
        transport.write(said)
        try:
            inside = await asyncio.get_running_loop().start_tls(
                transport, self, shown.context, server_side=True, ssl_handshake_timeout=TLS_HANDSHAKE_S
            )
        except OSError as error:  # ssl.SSLError, ConnectionError and TimeoutError are
            self.abort()
            if not self._is_lost:  # nobody else says so of a connection that never came to TLS
                self.connection_lost(error)
            raise Over("tls", f"TLS failed: {error}") from None
        if inside is None:  # it went away as the handshake ended
            raise Over("lost", "the client went away")
        self._transport = inside

    @property
    def tls(self) -> str:
        """Version and cipher; "" in the clear."""
        return tls_of(self._inside)

    @property
    def binding(self) -> bytes | None:
        """`tls-server-end-point` of the certificate that this client was shown (RFC 5929 §4.1)."""
        context = None if self._inside is None else self._inside.context
        return context.channel_binding if isinstance(context, ServerContext) else None

    def abort(self) -> None:
        """Close without a word, and without waiting until anything is read."""
        if self._transport is not None:
            self._transport.abort()

    # --- inside -------------------------------------------------------------------------------------

    @property
    def _inside(self) -> ssl.SSLObject | None:
        transport = self._transport
        return None if transport is None else transport.get_extra_info("ssl_object")

    async def _changes(self) -> None:
        assert self._change is None, "one waits at a time"
        self._change = asyncio.get_running_loop().create_future()
        try:
            await self._change
        finally:
            self._change = None

    def _wake(self) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)
