"""One SMTP session seen from the client, for the relay: one connection, one mail after the other.

Source: RFC 5321 §3 and §4 (session), RFC 2920 §3.1 (PIPELINING), RFC 3207 §4 (STARTTLS),
RFC 9422 §4 (LIMITS), RFC 3030 §2 (BDAT). ADR 0003.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from gateway.mail.envelope import Envelope
from gateway.mail.reply import PeerError, Reply, reply
from gateway.protocols.smtp.data import DotStuffer
from gateway.protocols.smtp.effects import Close, Send, StartTls
from gateway.protocols.smtp.offers import Offers, parse_offers
from gateway.protocols.smtp.reply_reader import BROKEN, ReplyReader
from gateway.protocols.smtp.transaction import Answer, Line, Stage, Transaction, command_line

LOST = reply(451, "4.4.2", "The connection was lost")
SILENT = reply(451, "4.4.2", "The host took too long")
UNHEARD = reply(451, "4.4.2", "The host may have the mail: its answer to the final dot did not come")
NO_TLS = reply(451, "4.7.5", "The host does not start TLS")
WRONG_SIZE = reply(451, "4.3.0", "The message has another size than was announced")
BARE_NEWLINE = reply(554, "5.6.0", "The message has a bare CR or LF")


class TlsUse(Enum):
    NEVER = auto()
    WHEN_OFFERED = auto()
    ALWAYS = auto()  # no mail goes over this connection in the clear


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """How we present ourselves to a host."""

    hostname: str
    tls: TlsUse = TlsUse.WHEN_OFFERED
    is_tls: bool = False  # from the first octet on


@dataclass(frozen=True, slots=True)
class Ready:
    """The host takes a mail now: `start` one, or `quit`."""

    offers: Offers


@dataclass(frozen=True, slots=True)
class SendContent:
    """The host waits for the message: `content` as often as needed, then `content_ended`."""


@dataclass(frozen=True, slots=True)
class Concluded:
    """What became of every recipient of the mail, in the order of its envelope."""

    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class HostRefused:
    """The host takes no mail on this connection; `reply` is what each recipient of a mail gets."""

    reply: Reply
    stage: Stage
    is_ours: bool  # True when the host has not said it


ClientEffect = Send | StartTls | Close | Ready | SendContent | Concluded | HostRefused


class State(Enum):
    OPENING = auto()  # greeting, EHLO or HELO, STARTTLS
    TLS = auto()  # the shell starts TLS
    READY = auto()
    ENVELOPE = auto()
    CONTENT = auto()
    CONCLUSION = auto()
    RESETTING = auto()
    QUITTING = auto()
    CLOSED = auto()


class Client:
    """An SMTP session with a host. A host that speaks when asked is understood in any split of its octets;
    one that does not has broken the protocol.

    The shell carries out the effects in order, feeds what it reads and, when reading ends, fails or takes
    too long, says `lost`. Every mail that was started is concluded, whatever the host does.
    """

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._state = State.OPENING
        self._stage = Stage.GREETING  # while OPENING
        self._is_tls = config.is_tls
        self._offers = Offers()
        self._reader = ReplyReader()
        self._expected: deque[Line] = deque()  # lines of the envelope that were sent and not answered
        self._transaction: Transaction | None = None
        self._mails = 0  # begun with MAIL
        self._replies = 0
        self._stuffer = DotStuffer()
        self._chunk_octets: int | None = None  # of the chunk under way, that are not sent yet
        self._effects: list[ClientEffect] = []

    @property
    def is_closed(self) -> bool:
        """True when the session has ended: nothing more will be read or sent."""
        return self._state is State.CLOSED

    @property
    def replies(self) -> int:
        """Complete replies so far: a host that sends octets and ends no line has not answered."""
        return self._replies

    @property
    def awaits(self) -> Stage:
        """What the host is to answer next; QUIT for what is said between mails."""
        match self._state:
            case State.OPENING:
                return self._stage
            case State.ENVELOPE:
                return self._expected[0].stage
            case State.CONCLUSION:
                return Stage.CONCLUSION
            case _:
                return Stage.QUIT

    @property
    def offers_starttls(self) -> bool:
        """True when the host said so in its last answer to EHLO."""
        return self._offers.has_starttls

    def feed(self, octets: bytes) -> list[ClientEffect]:
        """Take octets from the host."""
        if self._state is State.CLOSED or not octets:
            return []
        self._reader.feed(octets)
        try:
            if self._state is State.TLS:
                raise PeerError(BROKEN, "host spoke ahead of TLS")
            while self._state not in (State.CLOSED, State.TLS):
                said = self._reader.next()
                if said is None:
                    break
                self._take(said)
        except PeerError as error:
            self._give_up(error.reply, error.reason)
        return self._taken()

    def start(self, envelope: Envelope) -> list[ClientEffect]:
        """Begin a mail, after Ready.

        envelope: `body` and `is_smtputf8` say what the message needs, `octets` its size, where known. What
        the host cannot take is concluded with 5.6.3, 5.6.7 or 5.3.4 and not sent.
        """
        if self._state is State.CLOSED:
            # The host has closed between Ready and now.
            transaction = Transaction(envelope, self._offers)
            transaction.answer_all(LOST, Stage.MAIL, is_ours=True)
            return [Concluded(transaction.answers)]
        assert self._state is State.READY, self._state
        self._transaction = Transaction(envelope, self._offers)
        self._state = State.ENVELOPE
        if self._transaction.is_answered:
            self._conclude()
        else:
            self._mails += 1
            self._send_lines()
        return self._taken()

    def content(self, octets: bytes) -> list[ClientEffect]:
        """Send the next octets of the message, after SendContent. They may be split anywhere."""
        if self._state is State.CLOSED:
            return []
        assert self._state is State.CONTENT, self._state
        if self._chunk_octets is not None:
            self._chunk_octets -= len(octets)
            if self._chunk_octets < 0:
                self._give_up(WRONG_SIZE, "more than the chunk")
                return self._taken()
            return [Send(octets)] if octets else []
        try:
            stuffed = self._stuffer.feed(octets)
        except ValueError as error:
            self._give_up(BARE_NEWLINE, str(error))
            return self._taken()
        return [Send(stuffed)] if stuffed else []

    def content_ended(self) -> list[ClientEffect]:
        """Send the final dot, if there is one. From now on only the host knows what becomes of the mail."""
        if self._state is State.CLOSED:
            return []
        assert self._state is State.CONTENT, self._state
        if self._chunk_octets:
            self._give_up(WRONG_SIZE, "less than the chunk")
            return self._taken()
        try:
            if self._chunk_octets is None:
                self._effects.append(Send(self._stuffer.finish()))
            self._state = State.CONCLUSION
        except ValueError as error:
            self._give_up(BARE_NEWLINE, str(error))
        return self._taken()

    def tls_started(self) -> list[ClientEffect]:
        """Answer StartTls. What the host said before is forgotten (RFC 3207 §4.2)."""
        if self._state is State.CLOSED:
            return []
        assert self._state is State.TLS, self._state
        self._is_tls = True
        self._offers = Offers()
        self._open(Stage.EHLO, f"EHLO {self._config.hostname}")
        return self._taken()

    def quit(self) -> list[ClientEffect]:
        """Say goodbye, between two mails."""
        if self._state in (State.QUITTING, State.CLOSED):
            return []
        assert self._state in (State.READY, State.RESETTING), self._state
        self._quit()
        return self._taken()

    def lost(self, reason: str, said: Reply = LOST) -> list[ClientEffect]:
        """End the session: the connection is gone, slow, or cannot be used (then `said` tells why).

        A mail on its way is concluded with `said`; its answers show whether the final dot had been sent.
        """
        if self._state is not State.CLOSED:
            self._give_up(said, reason)
        return self._taken()

    # --- replies --------------------------------------------------------------------------------

    def _take(self, said: Reply) -> None:
        self._replies += 1
        if said.code == 421 and self._state is not State.QUITTING:  # RFC 5321 §3.8: the host closes
            self._give_up(said, str(said), is_ours=False)
            return
        match self._state:
            case State.OPENING:
                self._opened(said)
            case State.ENVELOPE:
                self._enveloped(said)
            case State.CONTENT:
                # The host has seen enough. What is sent next would be taken for commands: close.
                if not (said.is_transient or said.is_permanent):
                    raise PeerError(BROKEN, "host said yes before the end of the message")
                self._give_up(said, "host refused the message before its end", is_ours=False)
            case State.CONCLUSION:
                if said.code // 100 == 3:
                    raise PeerError(BROKEN, "host wants more after the end of the message")
                transaction = self._in_transaction()
                transaction.answer_all(said, Stage.CONCLUSION)
                self._conclude(is_clean=True)
            case State.RESETTING:
                if not said.is_success:
                    raise PeerError(BROKEN, "host refused RSET")
                self._be_ready()
            case State.QUITTING:
                self._close(None)
            case State.READY:
                raise PeerError(BROKEN, "host spoke without being asked")
            case State.TLS | State.CLOSED:
                raise AssertionError(self._state)

    def _opened(self, said: Reply) -> None:
        """The reply to greeting, EHLO, HELO or STARTTLS."""
        hostname = self._config.hostname
        match self._stage:
            case Stage.GREETING if said.is_success:
                self._open(Stage.EHLO, f"EHLO {hostname}")
            case Stage.EHLO if said.is_success:
                self._offers = parse_offers(said)
                self._secure()
            case Stage.EHLO if said.is_permanent:
                self._open(Stage.HELO, f"HELO {hostname}")  # RFC 5321 §3.2
            case Stage.HELO if said.is_success:
                self._secure()
            case Stage.STARTTLS if said.code == 220:
                if not self._reader.is_empty:
                    raise PeerError(BROKEN, "host spoke ahead of TLS")
                self._state = State.TLS
                self._effects.append(StartTls())
            case Stage.STARTTLS if self._config.tls is TlsUse.WHEN_OFFERED:
                self._be_ready()
            case Stage.STARTTLS:
                self._refuse(NO_TLS, is_ours=True)
            case _ if said.is_transient or said.is_permanent:
                self._refuse(said, is_ours=False)
            case _:
                raise PeerError(BROKEN, "host answered the opening with neither yes nor no")

    def _secure(self) -> None:
        """Begin TLS where it is wanted and can be had."""
        if self._is_tls or self._config.tls is TlsUse.NEVER:
            self._be_ready()
        elif self._offers.has_starttls:
            self._open(Stage.STARTTLS, "STARTTLS")
        elif self._config.tls is TlsUse.ALWAYS:
            self._stage = Stage.STARTTLS
            self._refuse(NO_TLS, is_ours=True)
        else:
            self._be_ready()

    def _enveloped(self, said: Reply) -> None:
        """The reply to MAIL, an RCPT or DATA; when all are in, the message goes out or the mail is over."""
        transaction = self._in_transaction()
        line = self._expected[0]
        match line.stage:
            case Stage.MAIL if said.is_success:
                transaction.is_begun = True
            case Stage.MAIL:
                transaction.answer_all(_no(said), Stage.MAIL)
            case Stage.RCPT if said.is_success:
                assert line.recipient is not None
                transaction.accepted.append(line.recipient)
            case Stage.RCPT:
                assert line.recipient is not None
                transaction.answer(line.recipient, _no(said), Stage.RCPT)
            case _ if said.code == 354:
                self._go_ahead(transaction)
            case _:
                transaction.answer_all(_no(said), Stage.DATA)
        self._expected.popleft()
        if self._state is State.ENVELOPE and not self._expected:
            self._go_on(transaction)

    def _go_on(self, transaction: Transaction) -> None:
        """Send the next line of the envelope while there is somebody to send to, else conclude."""
        if transaction.is_begun and transaction.lines and not transaction.is_answered:
            self._send_lines()
        elif transaction.is_binary and transaction.is_begun and not transaction.is_answered:
            self._effects.append(Send(transaction.chunk_line()))
            self._chunk_octets = transaction.envelope.octets
            self._state = State.CONTENT
            self._effects.append(SendContent())
        else:
            self._conclude()

    def _go_ahead(self, transaction: Transaction) -> None:
        if transaction.is_begun and transaction.accepted:
            self._stuffer, self._chunk_octets = DotStuffer(), None
            self._state = State.CONTENT
            self._effects.append(SendContent())
        elif transaction.accepted:
            raise PeerError(BROKEN, "host refused MAIL and wants the message")
        else:
            # Pipelined, and every recipient was refused: an empty message, which the host will refuse
            # (RFC 2920 §3.1).
            self._effects.append(Send(DotStuffer().finish()))
            self._state = State.CONCLUSION

    # --- helpers --------------------------------------------------------------------------------

    def _open(self, stage: Stage, command: str) -> None:
        self._state, self._stage = State.OPENING, stage
        self._effects.append(Send(command_line(command)))

    def _send_lines(self) -> None:
        """Send what is left of the envelope: all of it when the host offers PIPELINING, else one line."""
        lines = self._in_transaction().lines
        group = list(lines) if self._offers.has_pipelining else [lines[0]]
        for _ in group:
            lines.popleft()
        self._expected.extend(group)
        self._effects.append(Send(b"".join(line.octets for line in group)))

    def _in_transaction(self) -> Transaction:
        assert self._transaction is not None, self._state
        return self._transaction

    def _be_ready(self) -> None:
        self._state = State.READY
        self._effects.append(Ready(self._offers))

    def _conclude(self, *, is_clean: bool = False) -> None:
        """Report the mail; make the host forget what it has of it, unless it has all."""
        transaction, self._transaction = self._in_transaction(), None
        self._effects.append(Concluded(transaction.answers))
        if self._mails == self._offers.mails_max:
            self._quit()
        elif is_clean or not transaction.is_begun:
            self._be_ready()
        else:
            self._state = State.RESETTING
            self._effects.append(Send(command_line("RSET")))

    def _refuse(self, said: Reply, *, is_ours: bool) -> None:
        self._effects.append(HostRefused(said, self._stage, is_ours))
        self._quit()

    def _quit(self) -> None:
        self._state = State.QUITTING
        self._effects.append(Send(command_line("QUIT")))

    def _give_up(self, said: Reply, reason: str, *, is_ours: bool = True) -> None:
        """Conclude what is on its way with this reply, and close."""
        if self._transaction is not None:
            stage = Stage.CONCLUSION if self._state is State.CONCLUSION else Stage.CONTENT
            if self._state is State.ENVELOPE:
                stage = self._expected[0].stage
            if stage is Stage.CONCLUSION and said in (LOST, SILENT):
                said = UNHEARD
            self._transaction.answer_all(said, stage, is_ours=is_ours)
            self._effects.append(Concluded(self._transaction.answers))
            self._transaction = None
        elif self._state in (State.OPENING, State.TLS):
            self._effects.append(HostRefused(said, self._stage, is_ours))
        self._close(reason)

    def _close(self, reason: str | None) -> None:
        self._state = State.CLOSED
        self._expected.clear()
        self._effects.append(Close(reason))

    def _taken(self) -> list[ClientEffect]:
        taken, self._effects = self._effects, []
        return taken


def _no(said: Reply) -> Reply:
    """The reply, when it is a refusal; a host that says anything else here broke the protocol."""
    if said.is_transient or said.is_permanent:
        return said
    raise PeerError(BROKEN, "host answered with neither yes nor no")
