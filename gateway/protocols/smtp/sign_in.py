"""AUTH in an SMTP session: responses in base64 lines, challenges as 334 replies.

Source: RFC 4954 §4 (exchange, cancelling, line length), RFC 4422 §3.
"""

import base64
import binascii
from typing import Final

from gateway.mail.reply import PeerError, Reply, reply
from gateway.protocols.sasl.exchange import BadResponse, Challenge, Claim, Verifiers, VerifiersWanted
from gateway.protocols.sasl.mechanisms import begin
from gateway.protocols.smtp import replies

# RFC 4954 §4: "The maximum length of lines sent by the client or server, excluding CRLF, is 12288".
RESPONSE_OCTETS_MAX: Final = 12_288


class SignIn:
    """One AUTH command until its claim is known."""

    def __init__(self, mechanism: str, binding: bytes | None) -> None:
        self.mechanism = mechanism
        self._exchange = begin(mechanism, binding)

    def answer(self, response: bytes | None) -> Reply | VerifiersWanted | Claim:
        """A challenge to send, or what the client claims. response: a line; None: no initial response.

        Raises PeerError when the client cancels or breaks the exchange, which is over then.
        """
        if response == b"*":
            raise PeerError(replies.CANCELLED, "the client cancelled AUTH")
        try:
            step = self._exchange.answer(None if response is None else _decoded(response))
        except BadResponse as error:
            raise PeerError(replies.BAD_RESPONSE, str(error)) from None
        return _reply(step) if isinstance(step, Challenge) else step

    def refused(self) -> Reply | None:
        """The claim is not true: a challenge to send before that is said; None: there is none."""
        challenge = self._exchange.refused()
        return _reply(challenge) if challenge else None

    def found(self, verifiers: Verifiers) -> Reply:
        """The challenge to go on with."""
        return _reply(self._exchange.found(verifiers))


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
