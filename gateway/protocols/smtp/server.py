"""One SMTP session seen from the server: octets in, effects out. No socket, no clock.

Source: RFC 5321 §3 and §4 (session, order of commands, limits), RFC 2920 (PIPELINING), RFC 3207 (STARTTLS),
RFC 4954 (AUTH), RFC 6409 §4.3 (submission needs it), RFC 1870 (SIZE), RFC 3030 (CHUNKING, BINARYMIME),
RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8), RFC 2034 (ENHANCEDSTATUSCODES), RFC 3461 (DSN), RFC 7293 (RRVS),
RFC 9422 (LIMITS). ADR 0003.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, assert_never

from gateway.mail.envelope import Body
from gateway.mail.reply import PeerError, Reply, reply
from gateway.protocols.sasl.exchange import Verifiers
from gateway.protocols.sasl.mechanisms import offered
from gateway.protocols.smtp import commands, demanding, effects, replies
from gateway.protocols.smtp.commands import Auth, Bdat, Command, Data, Ehlo, Helo, Mail, Rcpt, parse_command
from gateway.protocols.smtp.config import (
    AHEAD_OCTETS_MAX,
    COMMAND_OCTETS_MAX,
    SessionConfig,
)
from gateway.protocols.smtp.data import BinaryDecoder, ChunkDecoder, DataDecoder
from gateway.protocols.smtp.effects import Effect
from gateway.protocols.smtp.incoming import OVERSIZE_FACTOR, Chunk, Incoming
from gateway.protocols.smtp.order import ON_YES, State
from gateway.protocols.smtp.received import Received
from gateway.protocols.smtp.sign_in import SignIn, Step


class Awaited(Enum):
    """The answer of the shell that the session cannot go on without."""

    SENDER = auto()
    RECIPIENT = auto()
    CONCLUSION = auto()
    TLS = auto()
    IDENTITY = auto()
    VERIFIERS = auto()


class Session:
    """An SMTP session. Any split of the same octets gives the same conversation.

    The shell feeds what it reads, carries out the effects in order, and answers those that ask. Commands
    that come before the answer wait, so replies keep the order of the commands (RFC 2920 §3.2).
    """

    def __init__(self, config: SessionConfig, began_at: datetime | None = None) -> None:
        """began_at: now; None: no mail is held, as it cannot be told until when."""
        self._config = config
        # Until when and for how long a mail may be held (RFC 4865 §3).
        self._hold: dict[str, Any] = {}
        if config.hold_s_max and began_at is not None:
            until = began_at.replace(microsecond=0) + timedelta(seconds=config.hold_s_max)
            self._hold = {"held_until": until, "hold_s_max": config.hold_s_max}
        self._state = State.CONNECTED
        self._awaited: Awaited | None = None
        self._is_tls = config.is_tls
        self._channel_binding: bytes | None = None
        self._helo = ""
        self._is_esmtp = False
        self._sign_in = SignIn()
        self._transaction: Incoming | None = None
        self._chunk: Chunk | None = None
        # A MAIL or a BDAT was refused: what a pipelining client sent behind it is refused and no bad command.
        self._is_behind_refusal = False
        self._bad_commands = 0
        self._received = Received()
        self._replies: list[bytes] = []
        self._effects: list[Effect] = []

    @property
    def is_closed(self) -> bool:
        """True when the session has ended: nothing more will be read or sent."""
        return self._state is State.CLOSED

    @property
    def wants_octets(self) -> bool:
        """False while an answer is awaited or after the end: the shell should then not read on."""
        return self._awaited is None and self._state is not State.CLOSED

    @property
    def helo(self) -> str:
        """As the client named itself, printable ASCII; "" as long as it has not."""
        return self._helo

    def connected(self, channel_binding: bytes | None = None) -> list[Effect]:
        """Greet the client. First of all, and once.

        channel_binding: `tls-server-end-point` of what it was shown (RFC 5929 §4.1); None: no -PLUS.
        """
        self._channel_binding = channel_binding
        self._say(reply(220, None, f"{self._config.hostname} ESMTP"))
        return self._taken()

    def feed(self, octets: bytes) -> list[Effect]:
        """Take octets from the client."""
        if self._state is State.CLOSED or not octets:
            return []
        self._received.add(octets)
        if self._awaited is Awaited.TLS:
            self._close("commands sent ahead of TLS")
        elif self._awaited is not None and len(self._received) > AHEAD_OCTETS_MAX:
            self._say(replies.TOO_FAR_AHEAD)
            self._close("too much sent ahead of our replies")
        return self._advance()

    def sender_checked(self, verdict: Reply) -> list[Effect]:
        """Answer CheckSender: a 2xx lets the mail begin."""
        if verdict.is_success and self._transaction is not None and self._transaction.has_other_priority:
            verdict = demanding.OTHER_PRIORITY
        if self._answered(Awaited.SENDER, verdict):
            self._state = State.SENDER if verdict.is_success else State.GREETED
            if not verdict.is_success:
                self._transaction = None
                self._is_behind_refusal = True
        return self._advance()

    def recipient_checked(self, verdict: Reply) -> list[Effect]:
        """Answer CheckRecipient: a 2xx adds the recipient to the envelope."""
        if self._answered(Awaited.RECIPIENT, verdict):
            transaction = self._in_transaction()
            rcpt, transaction.asked = transaction.asked, None
            assert rcpt is not None
            if verdict.is_success:
                transaction.add(rcpt)
                self._state = State.RECIPIENTS
        return self._advance()

    def message_concluded(self, verdict: Reply) -> list[Effect]:
        """Answer MessageEnd: after a 2xx the mail is ours to keep (RFC 5321 §4.2.5)."""
        if self._answered(Awaited.CONCLUSION, verdict):
            self._reset()
            if verdict.is_success:
                self._bad_commands = 0
        return self._advance()

    def tls_started(self, channel_binding: bytes | None = None) -> list[Effect]:
        """Answer StartTls. What the client said before is forgotten (RFC 3207 §4.2).

        channel_binding: as for `connected`.
        """
        if self._state is State.CLOSED:
            return []
        assert self._awaited is Awaited.TLS, self._awaited
        self._awaited = None
        self._is_tls, self._channel_binding = True, channel_binding
        self._state = State.CONNECTED
        self._helo, self._is_esmtp = "", False
        return self._advance()

    def verifiers_found(self, verifiers: Verifiers | Reply) -> list[Effect]:
        """Answer FindVerifiers. A Reply: nobody can say now, and the exchange is over."""
        if self._state is State.CLOSED:
            return []
        assert self._awaited is Awaited.VERIFIERS, self._awaited
        self._awaited = None
        self._say(self._sign_in.found(verifiers))
        return self._advance()

    def identity_checked(self, verdict: Reply) -> list[Effect]:
        """Answer CheckIdentity: 235 when the claim is true (RFC 4954 §4)."""
        if self._state is State.CLOSED:
            return []
        if self._answered(Awaited.IDENTITY, self._sign_in.checked(verdict)):
            self._bear_failed_sign_ins()
        return self._advance()

    def interrupt(self, last: Reply) -> list[Effect]:
        """End the session from our side, for a time-out or a stop (421, RFC 5321 §3.8)."""
        if self._state is State.CLOSED:
            return []
        self._say(last)
        self._close(str(last))
        return self._taken()

    # --- the loop -------------------------------------------------------------------------------

    def _advance(self) -> list[Effect]:
        """Read on until an answer is awaited, octets are, or the session has ended."""
        try:
            while self._awaited is None and self._state is not State.CLOSED:
                if self._chunk is not None:
                    if self._chunk.left and not self._received:
                        break
                    self._take_chunk(self._chunk)
                elif self._state is State.CONTENT:
                    if not self._received:
                        break
                    self._take_content()
                else:
                    line = self._received.line()
                    if line is None:
                        break
                    if self._sign_in.is_under_way:
                        self._take_response(line)
                    else:
                        self._take_command(line)
        except PeerError as error:
            self._say(error.reply)
            self._close(error.reason)
        return self._taken()

    def _take_command(self, line: bytes) -> None:
        try:
            if len(line) + 2 > COMMAND_OCTETS_MAX and line[:5].upper() != b"AUTH ":
                raise PeerError(replies.LINE_TOO_LONG, "command line too long")
            self._obey(parse_command(line, self._config.hostname))
            return
        except PeerError as error:
            self._say(error.reply)
        self._count_bad_command()

    def _count_bad_command(self) -> None:
        self._bad_commands += 1
        if self._bad_commands >= self._config.bad_commands_max:
            raise PeerError(replies.TOO_MANY_ERRORS, "too many bad commands")

    def _obey(self, command: Command) -> None:
        match command:
            case Ehlo() | Helo():
                self._greet(command)
            case Mail():
                self._begin(command)
            case Bdat():
                self._begin_chunk(command)
            case Rcpt() | Data() if self._is_behind_refusal:  # RFC 2920 §3.1: sent before it could know
                self._say(replies.BAD_SEQUENCE)
            case Rcpt():
                self._add(command)
            case Data():
                self._open()
            case commands.StartTls():
                self._start_tls()
            case Auth():
                self._authenticate(command)
            case commands.Rset():
                self._reset()
                self._say(replies.DONE)
            case commands.Noop():
                self._say(replies.DONE)
            case commands.Help():
                self._say(replies.HELP)
            case commands.Vrfy():
                self._say(replies.CANNOT_VERIFY)
            case commands.Quit():
                self._say(replies.GOODBYE)
                self._close(None)
            case commands.Foreign():
                self._say(replies.NOT_SMTP)
                self._close("another protocol")
            case _:
                assert_never(command)

    # --- commands -------------------------------------------------------------------------------

    def _greet(self, command: Ehlo | Helo) -> None:
        state = self._on_yes(command)
        self._reset()  # RFC 5321 §4.1.4: EHLO does what RSET does
        self._state = state
        self._helo = command.client
        self._is_esmtp = isinstance(command, Ehlo)
        config = self._config
        if not self._is_esmtp:
            self._say(reply(250, None, config.hostname))
            return
        offers = ["PIPELINING", f"SIZE {config.message_octets_max}", "8BITMIME", "CHUNKING"]
        offers += ["BINARYMIME", "SMTPUTF8", "DSN", "RRVS", f"LIMITS RCPTMAX={config.recipients_max}"]
        offers += [*demanding.offered(is_tls=self._is_tls, **self._hold), "ENHANCEDSTATUSCODES"]
        if config.offers_starttls and not self._is_tls:
            offers.append("STARTTLS")
        if config.mechanisms and self._is_tls:
            offers.append(f"AUTH {' '.join(self._mechanisms)}")
        self._say(reply(250, None, config.hostname, *offers))

    def _begin(self, mail: Mail) -> None:
        self._on_yes(mail)
        self._is_behind_refusal = False
        if self._config.needs_sign_in and not self._sign_in.is_done:
            self._say(replies.SIGN_IN_FIRST if self._is_tls else replies.TLS_FIRST)
            self._is_behind_refusal = True
            return
        if mail.has_auth and not self._config.mechanisms:
            raise PeerError(replies.UNKNOWN_PARAMETER, "AUTH parameter where nobody signs in")
        if mail.is_extended and not self._is_esmtp:
            raise PeerError(replies.UNKNOWN_PARAMETER, "MAIL parameter after HELO")
        if mail.mail_from is not None and not mail.mail_from.is_ascii and not mail.is_smtputf8:
            self._say(replies.NEEDS_SMTPUTF8)
            self._is_behind_refusal = True
            return
        refusal = demanding.refusal(mail.demands, is_tls=self._is_tls, **self._hold)
        if refusal is not None:
            self._say(refusal)
            self._is_behind_refusal = True
            return
        if mail.octets is not None and mail.octets > self._config.message_octets_max:
            self._say(replies.MESSAGE_TOO_LARGE)
            self._is_behind_refusal = True
            return
        demands = demanding.granted(mail.demands, is_signed_in=self._sign_in.is_done)
        self._transaction = Incoming(replace(mail, demands=demands), mail.path_octets)
        self._transaction.has_other_priority = demands.priority != mail.demands.priority
        self._await(Awaited.SENDER, effects.CheckSender(mail.mail_from, mail.octets))

    def _add(self, rcpt: Rcpt) -> None:
        self._on_yes(rcpt)
        if rcpt.is_extended and not self._is_esmtp:
            raise PeerError(replies.UNKNOWN_PARAMETER, "RCPT parameter after HELO")
        transaction = self._in_transaction()
        if not rcpt.rcpt_to.is_ascii and not transaction.mail.is_smtputf8:
            self._say(replies.NEEDS_SMTPUTF8)
            return
        is_full = len(transaction.rcpt_to) >= self._config.recipients_max
        if is_full or transaction.envelope_octets + rcpt.envelope_octets > self._config.envelope_octets_max:
            self._say(replies.TOO_MANY_RECIPIENTS)
            return
        transaction.asked = rcpt
        mail_from = transaction.mail.mail_from
        asked = effects.CheckRecipient(rcpt.rcpt_to, mail_from, rcpt.rrvs, self._helo)
        self._await(Awaited.RECIPIENT, asked)

    def _open(self) -> None:
        if self._state is State.SENDER:
            self._say(replies.NO_RECIPIENTS)
            return
        state = self._on_yes(Data())
        if self._in_transaction().mail.body is Body.BINARY:  # RFC 3030 §3
            raise PeerError(replies.BAD_SEQUENCE, "DATA after BODY=BINARYMIME")
        self._state = state
        self._say(replies.SEND_MESSAGE)
        self._begin_message(DataDecoder(self._config.line_octets_max))

    def _begin_message(self, decoder: DataDecoder | ChunkDecoder) -> None:
        transaction = self._in_transaction()
        transaction.decoder = decoder
        self._do(effects.MessageBegin(transaction.envelope(), self._helo, self._protocol(transaction)))

    def _begin_chunk(self, bdat: Bdat) -> None:
        """RFC 3030 §2: what a BDAT announces comes at once, also when the answer is no."""
        if bdat.octets is None:
            self._say(replies.BAD_ARGUMENTS)  # and what comes next could be taken for commands
            self._close("BDAT without a size")
            return
        if bdat.octets > OVERSIZE_FACTOR * self._config.message_octets_max:
            self._say(replies.MESSAGE_TOO_LARGE)
            self._close("endless chunk")
            return
        refusal = None
        if self._state is State.SENDER:
            refusal = replies.NO_RECIPIENTS
        elif (state := ON_YES.get((self._state, Bdat))) is None:
            refusal = replies.BAD_SEQUENCE
        else:
            self._state = state
            if self._in_transaction().decoder is None:
                is_binary = self._in_transaction().mail.body is Body.BINARY
                decoder = BinaryDecoder if is_binary else ChunkDecoder
                self._begin_message(decoder(self._config.line_octets_max))
        self._chunk = Chunk(bdat.octets, bdat.is_last, refusal)

    def _start_tls(self) -> None:
        config = self._config
        if not config.offers_starttls:
            raise PeerError(replies.NOT_IMPLEMENTED, "STARTTLS is not offered")
        if self._is_tls or not self._is_esmtp:
            raise PeerError(replies.BAD_SEQUENCE, "STARTTLS inside TLS or without EHLO")
        self._on_yes(commands.StartTls())
        self._say(replies.TLS_READY)
        if self._received:
            # Sent in the clear, perhaps by somebody in between: must not be taken as said inside TLS.
            self._close("commands sent ahead of TLS")
        else:
            self._await(Awaited.TLS, effects.StartTls())

    def _authenticate(self, auth: Auth) -> None:
        """RFC 4954 §4: once a session, not in a transaction, and here only inside TLS."""
        config = self._config
        if not config.mechanisms:
            raise PeerError(replies.NOT_IMPLEMENTED, "AUTH is not offered")
        if not self._is_esmtp or self._sign_in.is_done:
            raise PeerError(replies.BAD_SEQUENCE, "AUTH without EHLO or a second time")
        self._on_yes(auth)
        if not self._is_tls:
            self._say(replies.TLS_FIRST)
        elif auth.mechanism not in self._mechanisms:
            self._say(replies.UNKNOWN_MECHANISM)
        else:
            self._proceed(self._sign_in.begin(auth, self._helo, self._channel_binding))

    @property
    def _mechanisms(self) -> list[str]:
        possible = offered(self._channel_binding)
        return [name for name in self._config.mechanisms if name in possible]

    def _take_response(self, line: bytes) -> None:
        try:
            self._proceed(self._sign_in.take(line))
            return
        except PeerError as error:
            self._say(error.reply)
        self._count_bad_command()

    def _proceed(self, step: Step) -> None:
        match step:
            case Reply():
                self._say(step)
                self._bear_failed_sign_ins()
            case effects.FindVerifiers():
                self._await(Awaited.VERIFIERS, step)
            case effects.CheckIdentity():
                self._await(Awaited.IDENTITY, step)
            case _:
                assert_never(step)

    def _bear_failed_sign_ins(self) -> None:
        """Not too many of them."""
        if self._sign_in.failed >= self._config.failed_sign_ins_max:
            self._say(replies.TOO_MANY_SIGN_INS)
            self._close("too many failed sign-ins")

    def _take_content(self) -> None:
        transaction = self._in_transaction()
        decoder = transaction.decoder
        assert isinstance(decoder, DataDecoder), decoder
        self._keep(transaction, decoder.feed(self._received.take()))
        if decoder.is_complete:
            self._received.add(decoder.rest)
            if transaction.is_too_large:
                self._reset()
                self._say(replies.MESSAGE_TOO_LARGE)
            else:
                self._await(Awaited.CONCLUSION, effects.MessageEnd(transaction.message_octets))

    def _take_chunk(self, chunk: Chunk) -> None:
        octets = self._received.take(chunk.left)
        chunk.left -= len(octets)
        if chunk.refusal is None:
            transaction = self._in_transaction()
            decoder = transaction.decoder
            assert isinstance(decoder, ChunkDecoder), decoder
            self._keep(transaction, decoder.feed(octets))
            if chunk.is_last and not chunk.left:
                decoder.finish()
            if transaction.is_too_large:
                chunk.refusal = replies.MESSAGE_TOO_LARGE
        if not chunk.left:
            self._chunk = None
            self._end_chunk(chunk)

    def _end_chunk(self, chunk: Chunk) -> None:
        if chunk.refusal is replies.BAD_SEQUENCE:
            self._say(chunk.refusal)
            if not self._is_behind_refusal:
                self._count_bad_command()
        elif chunk.refusal is not None:
            self._say(chunk.refusal)
            if chunk.refusal is replies.MESSAGE_TOO_LARGE:
                self._reset()
                self._is_behind_refusal = True
        elif chunk.is_last:
            octets = self._in_transaction().message_octets
            self._state = State.CONTENT  # nothing can be given up any more
            self._await(Awaited.CONCLUSION, effects.MessageEnd(octets))
        else:
            self._say(replies.CHUNK_TAKEN)

    def _keep(self, incoming: Incoming, message: bytes) -> None:
        effect = incoming.take(message, self._config.message_octets_max)
        if effect is not None:
            self._do(effect)

    # --- helpers --------------------------------------------------------------------------------

    def _on_yes(self, command: Command) -> State:
        state = ON_YES.get((self._state, type(command)))
        if state is None:
            raise PeerError(replies.BAD_SEQUENCE, "bad sequence of commands")
        return state

    def _protocol(self, transaction: Incoming) -> str:
        """How the mail came, for its Received field (RFC 3848 §1, RFC 6531 §4.3)."""
        if not self._is_esmtp:
            return "SMTP"
        secure = ("S" if self._is_tls else "") + ("A" if self._sign_in.is_done else "")
        return ("UTF8SMTP" if transaction.mail.is_smtputf8 else "ESMTP") + secure

    def _in_transaction(self) -> Incoming:
        assert self._transaction is not None, self._state
        return self._transaction

    def _reset(self) -> None:
        if self._state is State.CHUNKS and not self._in_transaction().is_too_large:
            self._do(effects.MessageDropped())
        self._transaction = None
        self._is_behind_refusal = False
        if self._state is not State.CONNECTED:
            self._state = State.GREETED

    def _answered(self, awaited: Awaited, verdict: Reply) -> bool:
        """Take an answer of the shell: tell the client. False when the session is over."""
        if self._state is State.CLOSED:
            return False
        assert self._awaited is awaited, self._awaited
        self._awaited = None
        self._say(verdict)
        if verdict.code == 421:  # RFC 5321 §3.8: who says 421 closes
            self._close(str(verdict))
            return False
        return True

    def _await(self, awaited: Awaited, effect: Effect) -> None:
        self._awaited = awaited
        self._do(effect)

    def _say(self, answer: Reply) -> None:
        self._replies.append(answer.render())

    def _do(self, effect: Effect) -> None:
        if self._replies:
            self._effects.append(effects.Send(b"".join(self._replies)))
            self._replies = []
        self._effects.append(effect)

    def _close(self, reason: str | None) -> None:
        self._state = State.CLOSED
        self._awaited = None
        self._transaction = self._chunk = None
        self._received = Received()
        self._do(effects.Close(reason))

    def _taken(self) -> list[Effect]:
        if self._replies:
            self._effects.append(effects.Send(b"".join(self._replies)))
            self._replies = []
        taken, self._effects = self._effects, []
        return taken
