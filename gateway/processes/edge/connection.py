"""One SMTP connection: sockets and timers around the sans-IO session core.

What the core asks is answered in `answers`. An answer that cannot be had at once (a recipient, a mail made
durable, TLS) is the connection's one task; reading is paused meanwhile, so a client that sends ahead waits in
its own buffers. Every mistake of ours ends in 421 and a closed connection, never in a yes.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, Protocol, TypeVar, assert_never, cast

from gateway.domain.sessions import Ending
from gateway.mail.reply import Reply
from gateway.ports import Deposed, ServerContext
from gateway.processes import maillog
from gateway.processes.edge.answers import Answers
from gateway.processes.edge.endings import (
    BANNED,
    DEPOSED,
    ENDINGS,
    FAILED,
    LIMITS,
    LOST,
    OUR_MISTAKE,
    QUIT,
    SHUTTING_DOWN,
    TIMED_OUT,
    TOO_LONG,
)
from gateway.processes.edge.rates import TOO_MANY_CONNECTIONS
from gateway.processes.edge.services import EdgeServices
from gateway.processes.listening.listener import TLS_HANDSHAKE_S, Guest, Peer
from gateway.processes.listening.sessions import SessionRecord, tls_of
from gateway.protocols.smtp import effects
from gateway.protocols.smtp.config import SessionConfig
from gateway.protocols.smtp.effects import Effect
from gateway.protocols.smtp.server import Session

IDLE_LOOK_S: Final = 5.0
FAREWELL_S: Final = 30.0  # what a client has to read our last words

T = TypeVar("T")


class Owner(Protocol):
    """The edge, as its connections see it."""

    def ended(self, guest: Guest) -> None:
        """The connection is over."""

    def failed(self, error: Exception) -> None:
        """Another edge owns the lane: this one may not accept any more."""


class Connection(Guest):
    """asyncio's protocol object for one client."""

    def __init__(
        self, services: EdgeServices, config: SessionConfig, owner: Owner, listener: str = "smtp"
    ) -> None:
        self._services, self._owner = services, owner
        self._core = Session(config, services.clock.now())
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self.record = SessionRecord(listener, services.clock.now())
        self._answers = Answers(services, self.record)
        self._has_entered = False  # it counts among its network's connections
        self.turned_away: Reply = TOO_MANY_CONNECTIONS  # what is said if not
        self._is_tls = config.is_tls
        self._reason = LOST
        self._ending: Ending = "lost"
        self._started = self._last_read = services.clock.monotonic()
        self._timer: asyncio.TimerHandle | None = None  # of the next look for idleness, or the farewell
        self._is_lost = False  # there is no connection any more
        self._is_stopping = False
        self._is_unread = False  # the client sends commands and does not read our replies
        self._held: bytes | None = None  # said inside TLS before start_tls has come back

    # --- asyncio's calls ----------------------------------------------------------------------------

    def enters(self, peer: Peer | None) -> bool:
        """Where the client comes from; False: its network is banned, or has enough connections."""
        self.record.came_from(peer)
        services, remote_ip = self._services, self.record.remote_ip
        if services.bans is not None and services.bans.of_network(remote_ip):
            self.turned_away = BANNED
            return False
        self._has_entered = services.rates.enter(remote_ip) is None
        return self._has_entered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        inside = self._transport.get_extra_info("ssl_object")
        self.record.tls = tls_of(inside)
        self._look_for_idleness()
        if self._has_entered or self.enters(self.peer or self._transport.get_extra_info("peername")):
            self._perform(self._core.connected(_binding_of(inside)))
        else:
            self._perform(self._core.interrupt(self.turned_away))

    def data_received(self, octets: bytes) -> None:
        self._last_read = self._services.clock.monotonic()
        if self._held is not None:
            self._held += octets
            return
        try:
            self._perform(self._core.feed(octets))
        except Exception as error:  # our own mistake: style.md §6
            self._fail(error)

    def pause_writing(self) -> None:
        self._is_unread = True
        self._steer_reading()

    def resume_writing(self) -> None:
        self._is_unread = False
        self._steer_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone. A mail being made durable goes on: it is there whole or not at all."""
        if self._is_lost:
            return
        self._is_lost = True
        if self._timer:
            self._timer.cancel()
        self._core.interrupt(SHUTTING_DOWN)  # said to nobody: what it sent ahead is not obeyed any more
        if self._task is None:
            self._end()

    def _end(self) -> None:
        self._answers.forget_message()
        if self._has_entered:
            self._services.rates.leave(self.record.remote_ip)
        self.tell()
        maillog.session_ended(
            transactions=self.record.transactions,
            accepted=self.record.accepted,
            tls=self._is_tls,
            reason=self._reason,
            took_s=self._services.clock.monotonic() - self._started,
        )
        self._owner.ended(self)

    def tell(self) -> None:
        """The session becomes a fact, once; early when the edge stops and a client does not read our 421."""
        if self._services.sessions is not None:
            record, limit = self.record, LIMITS.get(self._reason)
            record.helo, record.author = self._core.helo, self._answers.author
            record.limit = limit or record.limit
            ending = "limit" if limit else ENDINGS.get(self._reason, self._ending)
            self._services.sessions.ended(record, ending)

    # --- from outside -----------------------------------------------------------------------------

    def never_came(self, reason: str, ending: Ending = "tls") -> None:
        """There was a client, and it failed before it could say anything."""
        self._reason, self._is_lost, self._ending = reason, True, ending
        self._end()

    def interrupt(self) -> None:
        """The edge stops: end now, or when the mail in hand is concluded."""
        self._is_stopping = True
        if self._task is None:
            self._perform(self._core.interrupt(SHUTTING_DOWN))

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What is still being made durable, for a stop to wait for."""
        return self._task

    # --- effects ------------------------------------------------------------------------------------

    def _perform(self, todo: Iterable[Effect]) -> None:
        """Carry out effects in order; an answer that is there at once brings further ones."""
        core, answers, queue = self._core, self._answers, list(todo)
        while queue:
            effect = queue.pop(0)
            match effect:
                case effects.Send(octets):
                    self.record.said(octets)
                    if self._transport and not self._transport.is_closing():
                        self._transport.write(octets)
                case effects.MessageOctets(octets):
                    answers.take(octets)
                case effects.CheckIdentity():
                    self._later(answers.identity(effect), core.identity_checked)
                case effects.FindVerifiers():
                    self._later(answers.verifiers(effect), core.verifiers_found)
                case effects.CheckSender():
                    if (verdict := answers.begin(effect)) is None:
                        self._later(answers.sender(effect), core.sender_checked)
                    else:
                        queue += core.sender_checked(verdict)
                case effects.CheckRecipient():
                    if (verdict := answers.known_recipient(effect)) is None:
                        self._later(answers.recipient(effect), core.recipient_checked)
                    else:
                        queue += core.recipient_checked(verdict)
                case effects.MessageBegin():
                    answers.begin_message(effect)
                case effects.MessageDropped():
                    answers.forget_message()
                case effects.MessageEnd():
                    self._later(answers.conclusion(), core.message_concluded)
                case effects.StartTls():
                    self._later(self._start_tls(), self._tls_started)
                case effects.Close(reason):
                    self._close(reason or QUIT)
                case _:
                    assert_never(effect)

    async def _start_tls(self) -> asyncio.Transport | None:
        """Shake hands; None: that failed, and the connection is over."""
        services, transport = self._services, self._transport
        assert services.tls is not None, "STARTTLS was offered without a certificate"
        assert transport is not None, "no connection to start TLS on"
        # From here on only TLS speaks to us; a client may say EHLO together with the end of its handshake.
        self._held = b""
        try:
            return await asyncio.get_running_loop().start_tls(
                transport,
                self,
                services.tls.context,
                server_side=True,
                ssl_handshake_timeout=TLS_HANDSHAKE_S,
            )
        except OSError as error:  # ssl.SSLError, ConnectionError and TimeoutError are
            self._ending = "tls"
            self._abort(f"TLS failed: {error}")
            self.connection_lost(error)  # nobody else says so of a connection that never came to TLS
            return None

    def _tls_started(self, inside: asyncio.Transport | None) -> list[Effect]:
        if inside is None:  # the connection is over, or is about to be
            return []
        self._transport, self._is_tls = inside, True
        shown = inside.get_extra_info("ssl_object")
        self.record.tls = tls_of(shown)
        said, self._held = self._held or b"", None
        return [*self._core.tls_started(_binding_of(shown)), *self._core.feed(said)]

    # --- the one task ---------------------------------------------------------------------------------

    def _later(self, work: Coroutine[Any, Any, T], tell: Callable[[T], list[Effect]]) -> None:
        """Have an answer made, then tell the core."""
        assert self._task is None, "the core asks one thing at a time"
        self._task = asyncio.create_task(self._answer(work, tell))
        self._steer_reading()

    async def _answer(self, work: Coroutine[Any, Any, T], tell: Callable[[T], list[Effect]]) -> None:
        try:
            effects_due = tell(await work)
            self._task = None
            self._last_read = self._services.clock.monotonic()
            self._perform(effects_due)
        except Deposed as error:
            self._task = None
            self._abort(DEPOSED)
            self._owner.failed(error)
        except Exception as error:  # our own mistake: style.md §6
            self._task = None
            self._fail(error)
        if self._task is None:
            self._go_on()

    def _go_on(self) -> None:
        """Nothing is in hand any more: listen again, or end if that was put off."""
        if self._is_lost:
            self._end()
        elif self._is_stopping:
            self.interrupt()
        else:
            self._steer_reading()

    def _steer_reading(self) -> None:
        """Read on when nothing is in hand, and only from a client that reads what we say."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._task is None and not self._is_unread:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _fail(self, error: Exception) -> None:
        maillog.session_failed(error)
        for effect in self._core.interrupt(OUR_MISTAKE):
            if isinstance(effect, effects.Send) and self._transport:
                self._transport.write(effect.octets)
        self._close(FAILED)

    def _close(self, reason: str) -> None:
        """Close when everything is written; a client that does not read it is cut off after a while."""
        self._reason, self._ending = reason, "protocol"
        if self._timer:
            self._timer.cancel()
        if self._transport:
            self._transport.close()
            self._timer = asyncio.get_running_loop().call_later(FAREWELL_S, self._transport.abort)

    def _abort(self, reason: str) -> None:
        """Close without a word: a reply now could be taken for one about the mail."""
        self._reason = reason
        if self._transport:
            self._transport.abort()

    def _look_for_idleness(self) -> None:
        """RFC 5321 §4.5.3.2.7: a server waits at least 5 minutes for the next command."""
        services = self._services
        idle_s = services.clock.monotonic() - self._last_read
        if idle_s >= services.idle_timeout_s and self._task is None:
            self._perform(self._core.interrupt(TIMED_OUT))
            return
        lasted_s = services.clock.monotonic() - self._started
        if 0 < services.session_max_s <= lasted_s and self._task is None:
            self._perform(self._core.interrupt(TOO_LONG))
            return
        wait_s = max(services.idle_timeout_s - idle_s, 0.0) if self._task is None else IDLE_LOOK_S
        self._timer = asyncio.get_running_loop().call_later(
            max(min(wait_s, IDLE_LOOK_S), 0.05), self._look_for_idleness
        )


def _binding_of(inside: ssl.SSLObject | None) -> bytes | None:
    """Of the certificate that this client was shown."""
    context = None if inside is None else inside.context
    return context.channel_binding if isinstance(context, ServerContext) else None
