"""One connection to a host: the asyncio shell around the SMTP client core.

Source: RFC 5321 §4.5.3.2 (timeouts), RFC 7435 (opportunistic TLS: better encrypted to somebody than in the
clear to everybody), RFC 8689 §4.2.1 (a mail that requires TLS). What is demanded of TLS: securing.py.
"""

import asyncio
import math
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.targets import Target
from gateway.domain.tls_policy import NO_TLS_SEEN, Failure, TlsSeen, refusal
from gateway.mail.envelope import Envelope
from gateway.mail.reply import reply
from gateway.ports import ContentCorrupt, ContentMissing, Unavailable
from gateway.processes.relay.securing import Secure, Way, chain_of, failure_in
from gateway.protocols.smtp.client import (
    LOST,
    SILENT,
    Client,
    ClientConfig,
    ClientEffect,
    Concluded,
    HostRefused,
    Ready,
    SendContent,
)
from gateway.protocols.smtp.effects import Close, Send, StartTls
from gateway.protocols.smtp.transaction import TOO_MANY_RECIPIENTS, Answer, Stage

READ_OCTETS: Final = 64 * 1024
OCTETS_PER_S_MIN: Final = 500  # Precedent: Postfix smtp_min_data_rate
QUIT_TIMEOUT_S: Final = 2.0  # nothing is lost when the host's goodbye is

NO_CONNECTION: Final = reply(451, "4.4.1", "The host does not answer")
TLS_FAILED: Final = reply(451, "4.7.5", "TLS could not be started")
OUT_OF_TIME: Final = reply(451, "4.4.2", "The mail took longer than its lease")
UNREADABLE: Final = reply(451, "4.3.0", "The content cannot be read now")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a host may take, in seconds. A reply has its time as a whole, however its octets come."""

    connect: float = 30  # and to start TLS. Precedent: Postfix smtp_connect_timeout 30 s
    reply: float = 300  # to greet, to EHLO, MAIL, RCPT: RFC 5321 §4.5.3.2.1 to §4.5.3.2.3
    data: float = 120  # to DATA: §4.5.3.2.4
    block: float = 180  # to take what we send: §4.5.3.2.5
    conclusion: float = 600  # to the final dot: §4.5.3.2.6
    # From MAIL to the final dot, and a second more for each OCTETS_PER_S_MIN of the message: who takes these
    # times for each of 1,000 recipients would have a connection for days.
    mail: float = 3600

    def to(self, stage: Stage) -> float:
        """For one reply."""
        return {Stage.DATA: self.data, Stage.CONCLUSION: self.conclusion}.get(stage, self.reply)


class Connection:
    """Carries out what the client core wants. Opened by `connect`; one mail after the other.

    is_last: no other host of the destination may take what this one does not.
    """

    def __init__(
        self,
        client: Client,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        *,
        target: Target,
        way: Way,
        timeouts: Timeouts,
    ) -> None:
        self._client, self.target, self._way, self._timeouts = client, target, way, timeouts
        self._reader, self._writer = streams
        self._events: deque[Ready | SendContent | Concluded | HostRefused | Close] = deque()
        self._is_unheard = False  # inside TLS, and the host has said nothing there yet
        self._mail_until = math.inf  # the loop's time when the mail under way has taken too long
        self.tls = NO_TLS_SEEN
        self.is_last = True

    async def ready(self) -> HostRefused | None:
        """Wait until the host takes a mail; else why it does not."""
        while True:
            match await self._next():
                case Ready():
                    return None
                case HostRefused() as refused:
                    if refused.stage is Stage.STARTTLS and refused.is_ours and not self.tls.failure:
                        # Not offered; no for now; hung up, silent, or nonsense ahead of TLS.
                        is_offered = self._client.offers_starttls
                        self._tls_failed("validation-failure" if is_offered else "starttls-not-supported")
                    return refused
                case Close():
                    return HostRefused(LOST, Stage.QUIT, is_ours=True)
                case event:
                    raise AssertionError(event)

    async def send(
        self,
        envelope: Envelope,
        content: Callable[[], AsyncIterator[bytes]],
        may_end: Callable[[], Awaitable[bool]],
    ) -> Sequence[Answer]:
        """Offer a mail, after `ready`. may_end: asked just before the final dot, which waits for the answer.

        Every recipient has its answer, whatever happens to the connection.
        """
        is_verified = self.tls.verified not in ("", "opportunistic")
        assert is_verified or not envelope.demands.requires_tls, "the host may be anybody"
        self._mail_until = self._until(self._timeouts.mail + (envelope.octets or 0) / OCTETS_PER_S_MIN)
        await self._perform(self._client.start(envelope))
        while True:
            match await self._next():
                case SendContent():
                    await self._send_content(content(), may_end)
                case Concluded(answers=answers):
                    self._mail_until = math.inf
                    return answers
                case event:
                    raise AssertionError(event)

    async def close(self) -> None:
        """Say goodbye if the host still listens, wait a little until it has heard (RFC 5321 §4.1.1.10), and
        close: whoever connects next is not one more than the host has."""
        try:
            if not self._client.is_closed and any(isinstance(event, Ready) for event in self._events):
                await self._perform(self._client.quit())
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(QUIT_TIMEOUT_S):
                        while await self._reader.read(READ_OCTETS):
                            pass
        finally:
            self._writer.close()

    # --- the client's effects ---------------------------------------------------------------------------

    async def _next(self) -> Ready | SendContent | Concluded | HostRefused | Close:
        """The next thing to act on."""
        replies, until = -1, 0.0
        while not self._events:
            if replies != self._client.replies:
                replies, until = self._client.replies, self._until(self._timeouts.to(self._client.awaits))
            try:
                async with asyncio.timeout_at(until):
                    octets = await self._reader.read(READ_OCTETS)
            except TimeoutError:
                await self._perform(self._client.lost("the host is silent", SILENT))
                continue
            except OSError as error:  # ssl.SSLError is one
                await self._lost(str(error))
                continue
            if octets:
                self._is_unheard = False
                await self._perform(self._client.feed(octets))
            else:
                await self._lost("the host closed the connection")
        return self._events.popleft()

    def _until(self, timeout_s: float) -> float:
        """The loop's time when that is over, or the time of the mail under way."""
        return min(asyncio.get_running_loop().time() + timeout_s, self._mail_until)

    async def _lost(self, why: str) -> None:
        """A host that ends TLS 1.3 at once does not want what we have shown to it."""
        if self._is_unheard:
            self._tls_failed("validation-failure")
        await self._perform(self._client.lost(why))

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
            async with asyncio.timeout_at(self._until(self._timeouts.block)):
                await self._writer.drain()
        except TimeoutError:
            await self._perform(self._client.lost("the host reads nothing", SILENT))
        except OSError as error:
            await self._perform(self._client.lost(str(error)))

    async def _start_tls(self) -> None:
        try:
            async with asyncio.timeout(self._timeouts.connect):
                await self._writer.start_tls(self._way.context, server_hostname=self.target.host)
        except ssl.SSLCertVerificationError as error:  # only where it is looked at
            await self._end_tls(failure_in(error), str(error))
            return
        except (OSError, TimeoutError, ssl.SSLError, ValueError) as error:
            await self._end_tls("validation-failure", str(error))
            return
        session = self._writer.get_extra_info("ssl_object")
        if not self._way.proves(chain_of(session)):
            await self._end_tls("certificate-not-trusted", "nobody vouches for its certificate")
            return
        self.tls = TlsSeen(f"{session.version()} {session.cipher()[0]}", self._way.verified)
        self._is_unheard = True
        await self._perform(self._client.tls_started())

    async def _end_tls(self, failure: Failure, why: str) -> None:
        self._tls_failed(failure)
        await self._perform(self._client.lost(f"TLS: {why}", TLS_FAILED))

    def _tls_failed(self, failure: Failure) -> None:
        self.tls = TlsSeen(failure=failure)

    async def _send_content(
        self, content: AsyncIterator[bytes], may_end: Callable[[], Awaitable[bool]]
    ) -> None:
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
            is_in_time = await may_end()
            self._mail_until = math.inf  # RFC 5321 §4.5.3.2.6: who hangs up too early now sends it twice
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


@dataclass(frozen=True, slots=True)
class NoConnection(HostRefused):
    """target: who was asked; None: there is nobody to ask. tls: what failed of it, where it was that."""

    tls: TlsSeen = NO_TLS_SEEN
    target: Target | None = None

    @property
    def is_silence(self) -> bool:
        """True when the host did not answer: no connection, no greeting, or nothing more after that."""
        return self.is_ours and self.stage in (Stage.GREETING, Stage.EHLO)


async def connect(
    target: Target, *, hostname: str, secure: Secure, timeouts: Timeouts
) -> Connection | NoConnection:
    """A connection whose host takes a mail, with such TLS as is demanded.

    Each of the ways is tried when TLS by the one before failed; what failed first is what is told.
    """
    demand = secure.demand
    failure = demand.unmet
    for way in () if failure and demand.is_binding else secure.ways:
        try:
            async with asyncio.timeout(timeouts.connect):
                streams = await asyncio.open_connection(target.address, target.port, limit=READ_OCTETS)
        except (OSError, TimeoutError):
            seen = TlsSeen(failure=failure)
            return NoConnection(NO_CONNECTION, Stage.GREETING, is_ours=True, tls=seen, target=target)
        client = Client(ClientConfig(hostname, way.use))
        connection = Connection(client, streams, target=target, way=way, timeouts=timeouts)
        try:
            why_not = await connection.ready()
        except BaseException:  # cancelled: nobody else knows of the connection
            streams[1].close()
            raise
        if why_not is None:
            connection.tls = replace(connection.tls, failure=failure)
            return connection
        await connection.close()
        if not connection.tls.failure:
            seen = TlsSeen(failure=failure)
            return NoConnection(
                why_not.reply, why_not.stage, is_ours=why_not.is_ours, tls=seen, target=target
            )
        failure = failure or connection.tls.failure
    said = refusal(demand, failure)
    # What is said for good is about such mails, not about the connection.
    stage = Stage.MAIL if said.is_permanent else Stage.STARTTLS
    return NoConnection(said, stage, is_ours=True, tls=TlsSeen(failure=failure), target=target)


def is_about_mail(answer: Answer | HostRefused) -> bool:
    """True for what a host says to a mail, not to the connection; 521 is said to every mail there will be."""
    if answer.reply.code == 521:  # RFC 7504 §3: this host takes no mail, ever
        return True
    return answer.stage in (Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.CONTENT, Stage.CONCLUSION)


def another_may_take(answer: Answer) -> bool:
    """True when the host does not take the mail now, and another one of its destination may (RFC 5321 §5.1).

    Not when it may have taken it, nor when it was we who stopped.
    """
    is_stopped = answer.is_ours and answer.reply in (OUT_OF_TIME, UNREADABLE, TOO_MANY_RECIPIENTS)
    return answer.reply.is_transient and not answer.is_uncertain and not is_stopped


def refused_all(refused: HostRefused, envelope: Envelope) -> tuple[Answer, ...]:
    """A refused connection, as the answer to each recipient of a mail."""
    return tuple(
        Answer(address, refused.reply, refused.stage, refused.is_ours) for address in envelope.rcpt_to
    )
