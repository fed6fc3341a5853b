"""One connection to a next hop: the asyncio shell around the SMTP client core.

Source: RFC 5321 §4.5.3.2 (timeouts), RFC 7435 (opportunistic TLS: better encrypted to somebody than in the
clear to everybody), RFC 8689 §4.2.1 (a mail that requires TLS).
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.domain.agency import NextHop
from gateway.mail.envelope import Envelope
from gateway.mail.reply import reply
from gateway.ports import ContentCorrupt, ContentMissing, Unavailable
from gateway.protocols.smtp.client import (
    LOST,
    NO_TLS,
    Client,
    ClientConfig,
    ClientEffect,
    Concluded,
    HostRefused,
    Ready,
    SendContent,
    TlsUse,
)
from gateway.protocols.smtp.demanding import NO_REQUIRETLS
from gateway.protocols.smtp.effects import Close, Send, StartTls
from gateway.protocols.smtp.transaction import Answer, Stage

READ_OCTETS: Final = 64 * 1024

NO_CONNECTION: Final = reply(451, "4.4.1", "The host does not answer")
TLS_FAILED: Final = reply(451, "4.7.5", "TLS could not be started")
OUT_OF_TIME: Final = reply(451, "4.4.2", "The mail took longer than its lease")
UNREADABLE: Final = reply(451, "4.3.0", "The content cannot be read now")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. RFC 5321 §4.5.3.2: 5 minutes for a reply, 3 for a block of the message, 10 after the dot."""

    connect: float = 30
    reply: float = 300
    block: float = 180
    conclusion: float = 600


class Connection:
    """Carries out what the client core wants. Opened by `connect`; one mail after the other."""

    def __init__(
        self,
        client: Client,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        *,
        hop: NextHop,
        tls_context: ssl.SSLContext,
        timeouts: Timeouts,
    ) -> None:
        self._client, self._hop, self._tls_context, self._timeouts = client, hop, tls_context, timeouts
        self._reader, self._writer = streams
        self._events: deque[Ready | SendContent | Concluded | HostRefused | Close] = deque()
        self.tls = ""  # protocol and cipher
        self._is_verified = False  # inside TLS, with the host that was meant

    async def ready(self) -> HostRefused | None:
        """Wait until the host takes a mail; else why it does not."""
        while True:
            match await self._next(self._timeouts.reply):
                case Ready():
                    return None
                case HostRefused() as refused:
                    return refused
                case Close():
                    return HostRefused(LOST, Stage.QUIT, is_ours=True)
                case event:
                    raise AssertionError(event)

    async def send(
        self, envelope: Envelope, content: Callable[[], AsyncIterator[bytes]], may_end: Callable[[], bool]
    ) -> Sequence[Answer]:
        """Offer a mail, after `ready`. may_end: asked just before the final dot.

        Every recipient has its answer, whatever happens to the connection.
        """
        assert self._is_verified or not envelope.demands.requires_tls, "the host may be anybody"
        await self._perform(self._client.start(envelope))
        timeout_s = self._timeouts.reply
        while True:
            match await self._next(timeout_s):
                case SendContent():
                    await self._send_content(content(), may_end)
                    timeout_s = self._timeouts.conclusion
                case Concluded(answers=answers):
                    return answers
                case event:
                    raise AssertionError(event)

    @property
    def offers_starttls(self) -> bool:
        """True when the host offers TLS."""
        return self._client.offers_starttls

    async def close(self) -> None:
        """Say goodbye if the host still listens, and close."""
        try:
            if not self._client.is_closed and any(isinstance(event, Ready) for event in self._events):
                await self._perform(self._client.quit())
        finally:
            self._writer.close()

    # --- the client's effects ---------------------------------------------------------------------------

    async def _next(self, timeout_s: float) -> Ready | SendContent | Concluded | HostRefused | Close:
        """The next thing to act on."""
        while not self._events:
            try:
                async with asyncio.timeout(timeout_s):
                    octets = await self._reader.read(READ_OCTETS)
            except TimeoutError:
                await self._perform(self._client.lost("the host is silent"))
                continue
            except (OSError, ssl.SSLError) as error:
                await self._perform(self._client.lost(str(error)))
                continue
            if octets:
                await self._perform(self._client.feed(octets))
            else:
                await self._perform(self._client.lost("the host closed the connection"))
        return self._events.popleft()

    async def _perform(self, effects: Sequence[ClientEffect]) -> None:
        for effect in _joined(effects):
            match effect:
                case Send(octets=octets):
                    await self._write(octets)
                case StartTls():
                    await self._start_tls()
                case Close():
                    self._writer.close()
                    self._events.append(effect)
                case _:
                    self._events.append(effect)

    async def _write(self, octets: bytes) -> None:
        try:
            self._writer.write(octets)
            async with asyncio.timeout(self._timeouts.block):
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            await self._perform(self._client.lost(str(error) or "the host reads nothing"))

    async def _start_tls(self) -> None:
        try:
            async with asyncio.timeout(self._timeouts.connect):
                await self._writer.start_tls(self._tls_context, server_hostname=self._hop.host)
        except ssl.SSLCertVerificationError as error:  # only where it is looked at
            await self._perform(self._client.lost(f"TLS: {error}", NO_REQUIRETLS))
            return
        except (OSError, TimeoutError, ssl.SSLError, ValueError) as error:
            await self._perform(self._client.lost(f"TLS: {error}", TLS_FAILED))
            return
        session = self._writer.get_extra_info("ssl_object")
        self.tls = f"{session.version()} {session.cipher()[0]}"
        self._is_verified = self._tls_context.verify_mode is ssl.CERT_REQUIRED
        await self._perform(self._client.tls_started())

    async def _send_content(self, content: AsyncIterator[bytes], may_end: Callable[[], bool]) -> None:
        # One piece is held back: the last goes out with the final dot, a small mail in one write.
        held: Sequence[ClientEffect] = ()
        try:
            async for octets in content:
                await self._perform(held)
                if self._client.is_closed:
                    return
                held = self._client.content(octets)
        except (ContentMissing, ContentCorrupt, Unavailable) as error:
            end = self._client.lost(str(error), UNREADABLE)
        else:
            is_in_time = may_end()
            end = (
                self._client.content_ended()
                if is_in_time
                else self._client.lost("the lease ends", OUT_OF_TIME)
            )
        await self._perform([*held, *end])


def _joined(effects: Sequence[ClientEffect]) -> list[ClientEffect]:
    """The same, with octets that are sent one after the other as one."""
    joined: list[ClientEffect] = []
    for effect in effects:
        if isinstance(effect, Send) and joined and isinstance(before := joined[-1], Send):
            joined[-1] = Send(before.octets + effect.octets)
        else:
            joined.append(effect)
    return joined


def opportunistic_context() -> ssl.SSLContext:
    """TLS with whoever answers: no name and no certificate is checked (RFC 7435 §3)."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def connect(
    hop: NextHop, *, hostname: str, tls_context: ssl.SSLContext, timeouts: Timeouts
) -> Connection | HostRefused:
    """A connection whose host takes a mail: with TLS when it offers that, without when TLS fails.

    tls_context: one that verifies means that there is no going on without TLS.
    """
    refused = HostRefused(TLS_FAILED, Stage.STARTTLS, is_ours=True)
    is_strict = tls_context.verify_mode is ssl.CERT_REQUIRED
    for use in (TlsUse.ALWAYS,) if is_strict else (TlsUse.WHEN_OFFERED, TlsUse.NEVER):
        try:
            async with asyncio.timeout(timeouts.connect):
                streams = await asyncio.open_connection(hop.host, hop.port, limit=READ_OCTETS)
        except (OSError, TimeoutError):
            return HostRefused(NO_CONNECTION, Stage.GREETING, is_ours=True)
        client = Client(ClientConfig(hostname, use))
        connection = Connection(client, streams, hop=hop, tls_context=tls_context, timeouts=timeouts)
        why_not = await connection.ready()
        if why_not is None:
            return connection
        await connection.close()
        refused = why_not
        if is_strict and (refused.reply is NO_REQUIRETLS or _never_offers_tls(refused, connection)):
            return HostRefused(
                NO_REQUIRETLS, Stage.MAIL, is_ours=True
            )  # about such mails, not the connection
        if refused.reply is not TLS_FAILED:
            break
    return refused


def _never_offers_tls(refused: HostRefused, connection: Connection) -> bool:
    """True when it is not only just now that there is no TLS."""
    return refused.reply is NO_TLS and not connection.offers_starttls


def is_about_mail(answer: Answer) -> bool:
    """True for what a host says to a mail, not to the connection; 521 is said to every mail there will be."""
    if answer.reply.code == 521:  # RFC 7504 §3: this host takes no mail, ever
        return True
    return answer.stage in (Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.CONTENT, Stage.CONCLUSION)


def refused_all(refused: HostRefused, envelope: Envelope) -> tuple[Answer, ...]:
    """A refused connection, as the answer to each recipient of a mail."""
    return tuple(
        Answer(address, refused.reply, refused.stage, refused.is_ours) for address in envelope.rcpt_to
    )
