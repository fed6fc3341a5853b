"""AUTH in an SMTP session: responses in base64 lines, challenges as 334 replies.

Source: RFC 4954 §4 (exchange, cancelling, line length), RFC 4422 §3.
"""

import base64
import binascii
from typing import Final

from gateway.mail.reply import PeerError, Reply, reply
from gateway.protocols.sasl.exchange import BadResponse, Challenge, Exchange, Verifiers, VerifiersWanted
from gateway.protocols.sasl.mechanisms import begin
from gateway.protocols.smtp import replies
from gateway.protocols.smtp.commands import Auth
from gateway.protocols.smtp.effects import CheckIdentity, FindVerifiers

# RFC 4954 §4: "The maximum length of lines sent by the client or server, excluding CRLF, is 12288".
RESPONSE_OCTETS_MAX: Final = 12_288


Step = Reply | FindVerifiers | CheckIdentity


class SignIn:
    """How far a session has come with signing in. The shell says which claims are true."""

    def __init__(self) -> None:
        self.is_done = False
        self.failed = 0  # claims that were not true
        self._mechanism = self._helo = ""
        self._exchange: Exchange | None = None
        self._refusal: Reply | None = None  # said when the client has answered its last challenge

    @property
    def is_under_way(self) -> bool:
        """True when the client's next line is a response and no command."""
        return self._exchange is not None or self._refusal is not None

    def begin(self, auth: Auth, helo: str, binding: bytes | None) -> Step:
        """Take an AUTH command, whose mechanism is one of those offered. Raises PeerError, as `take`.

        binding: `tls-server-end-point` of what the client was shown (RFC 5929 §4.1); None: no -PLUS.
        """
        self._mechanism, self._helo = auth.mechanism, helo
        return self._go_on(begin(auth.mechanism, binding), auth.initial)

    def take(self, response: bytes) -> Step:
        """Take a response, a line without its CRLF.

        Raises PeerError when the client cancels or breaks the exchange, which is over then.
        """
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            return self._go_on(exchange, response)
        refusal, self._refusal = self._refusal, None
        assert refusal is not None, "no sign-in is under way"
        return self._ended(refusal)

    def found(self, verifiers: Verifiers | Reply) -> Reply:
        """Answer FindVerifiers: what to send. A Reply: nobody can say now, and the exchange is over."""
        if isinstance(verifiers, Reply):
            self._exchange = None
            return verifiers
        assert self._exchange is not None, "verifiers are of an exchange"
        return _reply(self._exchange.found(verifiers))

    def checked(self, verdict: Reply) -> Reply:
        """Answer CheckIdentity: what to send, the verdict or a challenge before it."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None, "a claim is of an exchange"
        told = exchange.refused() if verdict.is_permanent else None
        if told is None:
            return self._ended(verdict)
        self._refusal = verdict
        return _reply(told)

    def _go_on(self, exchange: Exchange, response: bytes | None) -> Step:
        """response: None: the client sent no initial response."""
        if response == b"*":
            raise PeerError(replies.CANCELLED, "the client cancelled AUTH")
        try:
            step = exchange.answer(None if response is None else _decoded(response))
        except BadResponse as error:
            raise PeerError(replies.BAD_RESPONSE, str(error)) from None
        self._exchange = exchange
        match step:
            case Challenge():
                return _reply(step)
            case VerifiersWanted(username):
                return FindVerifiers(username)
            case claim:
                return CheckIdentity(self._mechanism, self._helo, claim)

    def _ended(self, verdict: Reply) -> Reply:
        self.is_done = verdict.is_success
        self.failed += verdict.is_permanent
        return verdict


def _reply(challenge: Challenge) -> Reply:
    return reply(334, None, base64.b64encode(challenge.octets).decode())


def _decoded(response: bytes) -> bytes:
    if len(response) > RESPONSE_OCTETS_MAX:
        raise PeerError(replies.RESPONSE_TOO_LONG, "a response is too long")
    if response == b"=":  # RFC 4954 §4: an initial response that is empty
        return b""
    try:
        return base64.b64decode(response, validate=True)
    except binascii.Error:
        raise PeerError(replies.NOT_BASE64, "a response is not base64") from None
