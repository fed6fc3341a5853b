"""One SMTP connection: sockets and timers around the sans-IO session core.

What the core asks for and cannot be had at once (a recipient's answer, a mail made durable, TLS) runs as
the connection's one task; reading is paused meanwhile, so a client that sends ahead waits in its own
buffers. Every mistake of ours ends in 421 and a closed connection, never in a yes.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, assert_never, cast

from gateway.domain.quota import QuotaRule
from gateway.domain.sessions import Ending
from gateway.domain.signin import Refusal
from gateway.mail.address import Address
from gateway.mail.envelope import Body
from gateway.mail.ids import AccountId, AgencyId
from gateway.mail.mime import StructureScanner
from gateway.mail.reply import Reply, reply
from gateway.ports import Clock, Deposed, Full, ServerContext, Spool, Unavailable
from gateway.processes import maillog
from gateway.processes.edge.acceptance import CANNOT_ANSWER, SHORT_OF_SPACE, Acceptance, Transaction
from gateway.processes.edge.certificates import ShownCertificates
from gateway.processes.edge.limits import MailLimits, quota_refusal
from gateway.processes.edge.rates import TOO_MANY_CONNECTIONS, Limited, RateLimits, Rates
from gateway.processes.edge.recipients import RECIPIENT_OK, Checked, Recipients
from gateway.processes.edge.refusals import Refusals
from gateway.processes.edge.sessions import SessionRecord, Sessions, tls_of
from gateway.processes.signin.bans import Bans
from gateway.processes.signin.signin import Origin, Refused, SignIns
from gateway.protocols.smtp import effects, replies
from gateway.protocols.smtp.config import SessionConfig
from gateway.protocols.smtp.effects import Effect
from gateway.protocols.smtp.server import Session
from projections.directory.query import Person

SENDER_OK = reply(250, "2.1.0", "Sender OK")
TIMED_OUT = reply(421, "4.4.2", "Timed out waiting for the client")
TOO_LONG = reply(421, "4.4.2", "The session has lasted too long, begin another")
SHUTTING_DOWN = reply(421, "4.3.2", "Shutting down, try again later")
NOT_YOUR_SENDER = reply(550, "5.7.1", "You may not send from that address")  # RFC 6409 §6.1
SHUT_OUT = reply(421, "4.7.0", "The account is suspended, ask your administrator")
# RFC 4954 §6, RFC 5248 (525 5.7.13). Who is shut out is told so only after the right password.
CANNOT_SIGN_IN_NOW = reply(454, "4.7.0", "Cannot check the sign-in now, try again later")
SIGN_IN_REFUSALS: Final[Mapping[Refusal, Reply]] = {
    "suspended": reply(525, "5.7.13", "The account is suspended, ask your administrator"),
    "banned": reply(525, "5.7.13", "The account is banned for some time, ask your administrator"),
    "throttled": reply(454, "4.7.0", "Too many failed sign-ins, try again later"),
}
BANNED = reply(421, "4.7.0", "Your network is banned for some time, try again later")
OUR_MISTAKE = reply(421, "4.3.0", "Internal error, try again later")
LOST: Final = "the client went away"
QUIT: Final = "quit"
FAILED: Final = "internal error"
DEPOSED: Final = "another edge owns our lane"
# How sessions end, by why we closed; else the client went away or did not keep to the protocol.
ENDINGS: Final[Mapping[str, Ending]] = {
    LOST: "lost",
    QUIT: "quit",
    FAILED: "failed",
    DEPOSED: "stopped",
    str(TIMED_OUT): "timeout",
    str(SHUTTING_DOWN): "stopped",
    str(OUR_MISTAKE): "failed",
}
# Limits that close, by why we closed: their settings.
LIMITS: Final[Mapping[str, str]] = {
    "too many bad commands": "bad_commands_max",
    "too many failed sign-ins": "failed_sign_ins_max",
    str(TOO_LONG): "smtp_session_max_s",
    str(TOO_MANY_CONNECTIONS): "network_connections_max",
    str(BANNED): "ban",
}
TLS_HANDSHAKE_S: Final = 30.0
IDLE_LOOK_S: Final = 5.0
QUOTA: Final = QuotaRule()
FAREWELL_S: Final = 30.0  # what a client has to read our last words


@dataclass(frozen=True, slots=True)
class EdgeServices:
    """What all connections of an edge share."""

    acceptance: Acceptance
    recipients: Recipients
    refusals: Refusals
    clock: Clock
    new_spool: Callable[[], Spool]
    idle_timeout_s: float
    tls: ShownCertificates | None
    has_space: Callable[[], bool] = lambda: True  # False: no mail is begun (RFC 5321 §4.2.3, 452)
    sign_ins: SignIns | None = None  # None: nobody signs in
    quota: QuotaRule = QUOTA
    sessions: Sessions | None = None  # None: sessions leave no facts
    rates: Rates = field(default_factory=lambda: Rates(RateLimits()))
    session_max_s: float = 0.0  # 0: it may last
    bans: Bans | None = None  # None: nobody is banned


class Owner(Protocol):
    """The edge, as its connections see it."""

    def ended(self, connection: "Connection") -> None:
        """The connection is over."""

    def deposed(self, error: Deposed) -> None:
        """Another edge owns the lane: this one may not accept any more."""


class Connection(asyncio.Protocol):
    """asyncio's protocol object for one client."""

    def __init__(
        self, services: EdgeServices, config: SessionConfig, owner: Owner, listener: str = "smtp"
    ) -> None:
        self._services, self._owner = services, owner
        self._core = Session(config, services.clock.now())
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self.record = SessionRecord(listener, services.clock.now())
        self.peer: tuple[object, ...] | None = None  # as a proxy names it; None: as the socket does
        self._remote_ip = ""
        self._has_entered = False  # it counts among its network's connections
        self.turned_away = TOO_MANY_CONNECTIONS  # what is said if not
        self._author: Person | None = None  # who signed in
        self._is_tls = config.is_tls
        self._agencies: list[AgencyId | None] = []
        self._limits = MailLimits()
        self._begun: effects.MessageBegin | None = None
        self._spool: Spool | None = None
        self._scanner = StructureScanner()
        self._spool_failed: Reply | None = None  # read on to the end, then say so
        self._reason = LOST
        self._ending: Ending = "lost"
        self._started = self._last_read = services.clock.monotonic()
        self._timer: asyncio.TimerHandle | None = None  # of the next look for idleness, or the farewell
        self._is_lost = False  # there is no connection any more
        self._is_stopping = False
        self._is_unread = False  # the client sends commands and does not read our replies
        self._held: bytes | None = None  # said inside TLS before start_tls has come back

    # --- asyncio's calls ----------------------------------------------------------------------------

    def enters(self, peer: tuple[object, ...] | None) -> bool:
        """Where the client comes from; False: its network is banned, or has enough connections."""
        self.record.came_from(peer)
        self._remote_ip = self.record.remote_ip
        if self._services.bans is not None and self._services.bans.of_network(self._remote_ip):
            self.turned_away = BANNED
            return False
        self._has_entered = self._services.rates.enter(self._remote_ip) is None
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
        self._forget_message()
        if self._has_entered:
            self._services.rates.leave(self._remote_ip)
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
            record.helo, record.author, record.limit = self._core.helo, self._author, limit or record.limit
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
        queue = list(todo)
        while queue:
            effect = queue.pop(0)
            match effect:
                case effects.Send(octets):
                    self.record.said(octets)
                    if self._transport and not self._transport.is_closing():
                        self._transport.write(octets)
                case effects.MessageOctets(octets):
                    self._take(octets)
                case effects.CheckIdentity():
                    self.record.mechanism = effect.mechanism
                    self._later(self._check_identity(effect))
                case effects.FindVerifiers(username):
                    self._later(self._find_verifiers(username))
                case effects.CheckSender(mail_from, octets):
                    self._agencies, self._limits = [], MailLimits(octets or 0)
                    if self._author is None:
                        queue += self._core.sender_checked(self._verdict_on(mail_from))
                    else:
                        self._later(self._check_sender(self._author, mail_from))
                case effects.CheckRecipient(rcpt_to, rrvs=rrvs):
                    checked = self._services.recipients.known(rcpt_to.normalise())
                    if checked is None or rrvs:
                        self._later(self._check(effect))
                    else:
                        queue += self._checked(checked)
                case effects.MessageBegin():
                    self.record.transactions += 1
                    self._begun, self._spool_failed = effect, None
                    self._spool, self._scanner = self._services.new_spool(), StructureScanner()
                case effects.MessageDropped():
                    self._forget_message()
                case effects.MessageEnd():
                    self._later(self._conclude())
                case effects.StartTls():
                    self._later(self._start_tls())
                case effects.Close(reason):
                    self._close(reason or QUIT)
                case _:
                    assert_never(effect)

    def _take(self, octets: bytes) -> None:
        if self._spool is None:
            return
        try:
            self._spool.write(octets)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="spool")
            self._forget_message()
            self._spool_failed = SHORT_OF_SPACE if isinstance(error, Full) else CANNOT_ANSWER
            return
        self._scanner.feed(octets)

    def _verdict_on(self, mail_from: Address | None) -> Reply:
        author = self._author
        if author is not None and mail_from is not None and mail_from.normalise() not in author.addresses:
            return NOT_YOUR_SENDER
        if not self._services.has_space():
            return SHORT_OF_SPACE
        refusal = self._limits.sender() or self._reply_of(self._rate_of(self._services.rates.message))
        return refusal or SENDER_OK

    def _rate_of(self, counted: Callable[[str, AccountId | None, float], Limited | None]) -> Limited | None:
        account_id = None if self._author is None else self._author.account_id
        return counted(self._remote_ip, account_id, self._services.clock.monotonic())

    def _reply_of(self, limited: Limited | None) -> Reply | None:
        """What to say of a limit that is met; the session's fact names it."""
        if limited is None:
            return None
        self.record.limit = limited.limit
        return limited.reply

    async def _find_verifiers(self, username: str) -> list[Effect]:
        sign_ins = self._services.sign_ins
        assert sign_ins is not None, "AUTH is offered where somebody checks it"
        try:
            found = await sign_ins.verifiers(username, self._remote_ip)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="sign in")
            return self._core.verifiers_found(CANNOT_SIGN_IN_NOW)
        if isinstance(found, Refused):
            return self._core.verifiers_found(SIGN_IN_REFUSALS[found.reason])
        return self._core.verifiers_found(found)

    async def _check_identity(self, asked: effects.CheckIdentity) -> list[Effect]:
        sign_ins = self._services.sign_ins
        assert sign_ins is not None, "AUTH is offered where somebody checks it"
        origin = Origin("smtp", asked.mechanism, self._remote_ip, asked.helo)
        try:
            found = await sign_ins.check(asked.claim, origin)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="sign in")
            return self._core.identity_checked(CANNOT_SIGN_IN_NOW)
        if isinstance(found, Refused):
            return self._core.identity_checked(SIGN_IN_REFUSALS.get(found.reason, replies.BAD_CREDENTIALS))
        self._author = found
        return self._core.identity_checked(replies.SIGNED_IN)

    def _checked(self, checked: Checked) -> list[Effect]:
        verdict = checked.verdict
        if self._author is not None and checked.is_elsewhere:
            verdict = RECIPIENT_OK
        if verdict.is_success:
            verdict = self._limit_met(checked) or verdict
        if verdict.is_success:
            self._agencies.append(checked.agency_id)
            self._limits.accepted(checked.limits)
            self.record.recipients += 1
            self.record.agency_id = self.record.agency_id or checked.agency_id
        else:
            self.record.refused_recipients += 1
        return self._core.recipient_checked(verdict)

    def _limit_met(self, checked: Checked) -> Reply | None:
        """Which limit stands against this recipient of this mail."""
        services, limits = self._services, self._limits
        refusal = limits.recipient(checked.limits, len(self._agencies))
        refusal = refusal or quota_refusal(services.quota, checked.room, limits.octets, services.clock)
        return refusal or self._reply_of(self._rate_of(services.rates.recipient))

    async def _check_sender(self, author: Person, mail_from: Address | None) -> list[Effect]:
        """Who signed in sends while nobody shuts them out, by the limits of their own agency."""
        assert self._services.sign_ins is not None, "somebody has signed in"
        try:
            self._author = await self._services.sign_ins.still(author)
            if self._author is None:
                return self._core.sender_checked(SHUT_OUT)
            self._limits.own = await self._services.recipients.limits_of(author.agency_id)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="mail")
            return self._core.sender_checked(CANNOT_ANSWER)
        return self._core.sender_checked(self._verdict_on(mail_from))

    async def _check(self, asked: effects.CheckRecipient) -> list[Effect]:
        services, address = self._services, asked.rcpt_to.normalise()
        checked = services.recipients.known(address) or await services.recipients.check(address)
        if asked.rrvs:
            checked = await services.refusals.check(asked, checked, self._remote_ip)
        return self._checked(checked)

    async def _conclude(self) -> list[Effect]:
        begun, spool = self._begun, self._spool
        if self._spool_failed is not None:
            return self._core.message_concluded(self._spool_failed)
        assert begun is not None, "a message ends that never began"
        assert spool is not None, "a message ends that never began"
        envelope = begun.envelope
        transaction = Transaction(
            mail_from=envelope.mail_from,
            rcpt_to=envelope.rcpt_to,
            agencies=tuple(self._agencies),
            helo=begun.helo,
            remote_ip=self._remote_ip,
            protocol=begun.protocol,
            smtputf8=envelope.is_smtputf8,
            eight_bit=envelope.body is not Body.SEVEN_BIT,
            binary=envelope.body is Body.BINARY,
            author=self._author,
            dsn=envelope.dsn,
            remote_port=self.record.remote_port,
            tls=self.record.tls,
            mechanism=self.record.mechanism if self._author else "",
            rrvs=envelope.rrvs,
            demands=envelope.demands,
        )
        try:
            tree = self._scanner.finish()
            concluded = self._limits.message(spool.octets, tree)
            if concluded is None:
                concluded = await self._services.acceptance.accept(transaction, spool, tree)
        finally:
            self._forget_message()
        self.record.accepted += concluded.is_success
        if not concluded.is_success:
            maillog.mail_refused(code=concluded.code, status=str(concluded.status), reason=concluded.text[0])
        return self._core.message_concluded(concluded)

    async def _start_tls(self) -> list[Effect]:
        services, transport = self._services, self._transport
        assert services.tls is not None, "STARTTLS was offered without a certificate"
        assert transport is not None, "no connection to start TLS on"
        # From here on only TLS speaks to us; a client may say EHLO together with the end of its handshake.
        self._held = b""
        try:
            inside = await asyncio.get_running_loop().start_tls(
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
            return []
        self._transport, self._is_tls = inside, True
        shown = inside.get_extra_info("ssl_object") if inside else None
        self.record.tls = tls_of(shown)
        said, self._held = self._held, None
        return [*self._core.tls_started(_binding_of(shown)), *self._core.feed(said)]

    # --- the one task ---------------------------------------------------------------------------------

    def _later(self, work: Coroutine[Any, Any, list[Effect]]) -> None:
        assert self._task is None, "the core asks one thing at a time"
        self._task = asyncio.create_task(self._answer(work))
        self._steer_reading()

    async def _answer(self, work: Coroutine[Any, Any, list[Effect]]) -> None:
        try:
            effects_due = await work
            self._task = None
            self._last_read = self._services.clock.monotonic()
            self._perform(effects_due)
        except Deposed as error:
            self._task = None
            self._abort(DEPOSED)
            self._owner.deposed(error)
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

    def _forget_message(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None

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
