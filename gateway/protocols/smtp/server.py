"""One SMTP session seen from the server: octets in, effects out. No socket, no clock.

Here is the talk itself: what is read, obeyed, and what waits. `order` has which command may come when,
`terms` what is offered and what refused, `mails` the way of a mail, `sign_in` that of AUTH.

Source: RFC 5321 §3 and §4 (session, order of commands, limits), RFC 2920 (PIPELINING), RFC 3207 (STARTTLS),
RFC 4954 (AUTH), RFC 2034 (ENHANCEDSTATUSCODES). ADR 0003.
"""

from datetime import datetime
from typing import assert_never

from gateway.mail.reply import PeerError, Reply, reply
from gateway.protocols.sasl.exchange import Verifiers
from gateway.protocols.smtp import commands, effects, replies
from gateway.protocols.smtp.commands import Auth, Bdat, Command, Data, Ehlo, Helo, Mail, Rcpt, parse_command
from gateway.protocols.smtp.config import AHEAD_OCTETS_MAX, COMMAND_OCTETS_MAX, SessionConfig
from gateway.protocols.smtp.conversation import Awaited, Conversation
from gateway.protocols.smtp.effects import Effect
from gateway.protocols.smtp.mails import Mails
from gateway.protocols.smtp.order import Order, State
from gateway.protocols.smtp.received import Received
from gateway.protocols.smtp.sign_in import SignIn, Step
from gateway.protocols.smtp.terms import Terms


class Session:
    """An SMTP session. Any split of the same octets gives the same conversation.

    The shell feeds what it reads, carries out the effects in order, and answers those that ask. Commands
    that come before the answer wait, so replies keep the order of the commands (RFC 2920 §3.2).
    """

    def __init__(self, config: SessionConfig, began_at: datetime | None = None) -> None:
        """began_at: now; None: no mail is held, as it cannot be told until when."""
        self._config = config
        self._received = Received()
        self._conversation = Conversation(config.bad_commands_max)
        self._order = Order()
        self._sign_in = SignIn()
        self._terms = Terms(config, self._sign_in, began_at)
        self._mails = Mails(config, self._terms, self._order, self._received, self._conversation)

    @property
    def is_closed(self) -> bool:
        """True when the session has ended: nothing more will be read or sent."""
        return self._conversation.is_closed

    @property
    def wants_octets(self) -> bool:
        """False while an answer is awaited or after the end: the shell should then not read on."""
        return self._conversation.goes_on

    @property
    def helo(self) -> str:
        """As the client named itself, printable ASCII; "" as long as it has not."""
        return self._terms.helo

    # --- what the shell tells -----------------------------------------------------------------------

    def connected(self, channel_binding: bytes | None = None) -> list[Effect]:
        """Greet the client. First of all, and once.

        channel_binding: `tls-server-end-point` of what it was shown (RFC 5929 §4.1); None: no -PLUS.
        """
        self._terms.channel_binding = channel_binding
        self._conversation.say(reply(220, None, f"{self._config.hostname} ESMTP"))
        return self._due()

    def feed(self, octets: bytes) -> list[Effect]:
        """Take octets from the client."""
        conversation = self._conversation
        if conversation.is_closed or not octets:
            return []
        self._received.add(octets)
        if conversation.awaited is Awaited.TLS:
            conversation.close("commands sent ahead of TLS")
        elif conversation.awaited is not None and len(self._received) > AHEAD_OCTETS_MAX:
            conversation.say(replies.TOO_FAR_AHEAD)
            conversation.close("too much sent ahead of our replies")
        return self._advance()

    def sender_checked(self, verdict: Reply) -> list[Effect]:
        """Answer CheckSender: a 2xx lets the mail begin."""
        self._mails.sender_checked(verdict)
        return self._advance()

    def recipient_checked(self, verdict: Reply) -> list[Effect]:
        """Answer CheckRecipient: a 2xx adds the recipient to the envelope."""
        self._mails.recipient_checked(verdict)
        return self._advance()

    def message_concluded(self, verdict: Reply) -> list[Effect]:
        """Answer MessageEnd: after a 2xx the mail is ours to keep (RFC 5321 §4.2.5)."""
        self._mails.concluded(verdict)
        return self._advance()

    def tls_started(self, channel_binding: bytes | None = None) -> list[Effect]:
        """Answer StartTls. channel_binding: as for `connected`."""
        if self._conversation.is_answered(Awaited.TLS):
            self._terms.tls_started(channel_binding)
            self._order.state = State.CONNECTED
        return self._advance()

    def verifiers_found(self, verifiers: Verifiers | Reply) -> list[Effect]:
        """Answer FindVerifiers. A Reply: nobody can say now, and the exchange is over."""
        if self._conversation.is_answered(Awaited.VERIFIERS):
            self._conversation.say(self._sign_in.found(verifiers))
        return self._advance()

    def identity_checked(self, verdict: Reply) -> list[Effect]:
        """Answer CheckIdentity: 235 when the claim is true (RFC 4954 §4)."""
        if not self.is_closed and self._conversation.is_told(
            Awaited.IDENTITY, self._sign_in.checked(verdict)
        ):
            self._bear_failed_sign_ins()
        return self._advance()

    def interrupt(self, last: Reply) -> list[Effect]:
        """End the session from our side, for a time-out or a stop (421, RFC 5321 §3.8)."""
        if self._conversation.is_closed:
            return []
        self._conversation.say(last)
        self._conversation.close(str(last))
        return self._due()

    # --- the loop -----------------------------------------------------------------------------------

    def _advance(self) -> list[Effect]:
        """Read on until an answer is awaited, octets are, or the session has ended."""
        try:
            while self._conversation.goes_on:
                if self._mails.takes_octets:
                    if not self._mails.take_octets():
                        break
                else:
                    line = self._received.line()
                    if line is None:
                        break
                    self._take_line(line)
        except PeerError as error:
            self._conversation.say(error.reply)
            self._conversation.close(error.reason)
        return self._due()

    def _due(self) -> list[Effect]:
        if self._conversation.is_closed:
            self._received.clear()
            self._mails.forget()
        return self._conversation.due()

    def _take_line(self, line: bytes) -> None:
        try:
            if self._sign_in.is_under_way:
                self._proceed(self._sign_in.take(line))
                return
            if len(line) + 2 > COMMAND_OCTETS_MAX and line[:5].upper() != b"AUTH ":
                raise PeerError(replies.LINE_TOO_LONG, "command line too long")
            self._obey(parse_command(line, self._config.hostname))
            return
        except PeerError as error:
            refusal = error.reply
        self._conversation.say_no(refusal)

    def _obey(self, command: Command) -> None:
        conversation = self._conversation
        match command:
            case Ehlo() | Helo():
                self._greet(command)
            case Mail():
                self._mails.begin(command)
            case Bdat():
                self._mails.open_chunk(command)
            case Rcpt() | Data() if self._mails.is_behind_refusal:  # RFC 2920 §3.1: sent before it could know
                conversation.say(replies.BAD_SEQUENCE)
            case Rcpt():
                self._mails.add(command)
            case Data():
                self._mails.open(command)
            case commands.StartTls():
                self._start_tls(command)
            case Auth():
                self._authenticate(command)
            case commands.Rset():
                self._mails.reset()
                conversation.say(replies.DONE)
            case commands.Noop():
                conversation.say(replies.DONE)
            case commands.Help():
                conversation.say(replies.HELP)
            case commands.Vrfy():
                conversation.say(replies.CANNOT_VERIFY)
            case commands.Quit():
                conversation.say(replies.GOODBYE)
                conversation.close(None)
            case commands.Foreign():
                conversation.say(replies.NOT_SMTP)
                conversation.close("another protocol")
            case _:
                assert_never(command)

    # --- greeting, TLS, signing in ------------------------------------------------------------------

    def _greet(self, command: Ehlo | Helo) -> None:
        state = self._order.on_yes(command)
        self._mails.reset()  # RFC 5321 §4.1.4: EHLO does what RSET does
        self._order.state = state
        self._conversation.say(self._terms.greeted(command))

    def _start_tls(self, command: commands.StartTls) -> None:
        self._terms.check_starttls()
        self._order.on_yes(command)
        self._conversation.say(replies.TLS_READY)
        if self._received:
            # Sent in the clear, perhaps by somebody in between: must not be taken as said inside TLS.
            self._conversation.close("commands sent ahead of TLS")
        else:
            self._conversation.ask(Awaited.TLS, effects.StartTls())

    def _authenticate(self, auth: Auth) -> None:
        refusal = self._terms.refusal_of_auth(auth)
        self._order.on_yes(auth)  # RFC 4954 §4: not in a transaction
        if refusal is not None:
            self._conversation.say(refusal)
        else:
            self._proceed(self._sign_in.begin(auth, self._terms.helo, self._terms.channel_binding))

    def _proceed(self, step: Step) -> None:
        match step:
            case Reply():
                self._conversation.say(step)
                self._bear_failed_sign_ins()
            case effects.FindVerifiers():
                self._conversation.ask(Awaited.VERIFIERS, step)
            case effects.CheckIdentity():
                self._conversation.ask(Awaited.IDENTITY, step)
            case _:
                assert_never(step)

    def _bear_failed_sign_ins(self) -> None:
        """Not too many of them."""
        if self._sign_in.failed >= self._config.failed_sign_ins_max:
            self._conversation.say(replies.TOO_MANY_SIGN_INS)
            self._conversation.close("too many failed sign-ins")
