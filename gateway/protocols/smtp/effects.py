"""What the SMTP server core asks of its shell, as values.

An effect that asks for an answer is always the last of its list; the core goes on when it has the answer.
"""

from dataclasses import dataclass

from gateway.mail.address import Address
from gateway.mail.envelope import Envelope
from gateway.protocols.sasl.exchange import Claim


@dataclass(frozen=True, slots=True)
class Send:
    """Write these octets to the client."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class CheckSender:
    """May this sender begin a mail? Answer by `sender_checked`."""

    mail_from: Address | None
    octets: int | None  # of the message, as declared by SIZE


@dataclass(frozen=True, slots=True)
class CheckRecipient:
    """May this mail go to this recipient? Answer by `recipient_checked`."""

    rcpt_to: Address
    mail_from: Address | None
    rrvs: str = ""  # since when it must have been the same person (RFC 7293); "": not said
    helo: str = ""  # as the client named itself


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin TLS on the connection, now that everything before is sent. Answer by `tls_started`."""


@dataclass(frozen=True, slots=True)
class CheckIdentity:
    """Is this claim true? Answer by `identity_checked`."""

    mechanism: str
    helo: str  # as the client named itself
    claim: Claim


@dataclass(frozen=True, slots=True)
class FindVerifiers:
    """What is kept of this user's passwords? Answer by `verifiers_found`, also of one that is not there."""

    username: str


@dataclass(frozen=True, slots=True)
class MessageBegin:
    """A message begins; its octets follow, until MessageEnd, MessageDropped or Close."""

    envelope: Envelope
    helo: str  # as the client named itself, printable ASCII without spaces
    protocol: str  # for the Received field: SMTP, ESMTP or UTF8SMTP, then S (TLS), then A (signed in)


@dataclass(frozen=True, slots=True)
class MessageOctets:
    """The next octets of the message: without dot-stuffing, line ends as they came (CRLF)."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class MessageDropped:
    """Forget the message. It has passed the limit (the core reads to its end and refuses it), or the client
    has given it up between two chunks."""


@dataclass(frozen=True, slots=True)
class MessageEnd:
    """The message is complete. Keep it, then answer by `message_concluded`."""

    octets: int  # of the whole message


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection when everything is written; forget a message that is not complete."""

    reason: str | None  # why, for our log; None after QUIT


Effect = (
    Send
    | CheckSender
    | CheckRecipient
    | StartTls
    | CheckIdentity
    | FindVerifiers
    | MessageBegin
    | MessageOctets
    | MessageDropped
    | MessageEnd
    | Close
)
