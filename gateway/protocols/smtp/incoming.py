"""A mail on its way in: the envelope so far, then its message, by DATA or in chunks.

Source: RFC 5321 §3.3, RFC 1870 §6.1 (limit), RFC 3030 §2 (BDAT), RFC 3461 (DSN).
"""

from dataclasses import dataclass, field

from gateway.mail.address import Address
from gateway.mail.demands import Demands
from gateway.mail.dsn_options import DsnOptions
from gateway.mail.envelope import Body, Envelope
from gateway.mail.reply import PeerError, Reply
from gateway.protocols.smtp import replies
from gateway.protocols.smtp.commands import Mail, Rcpt
from gateway.protocols.smtp.data import ChunkDecoder, DataDecoder
from gateway.protocols.smtp.effects import MessageDropped, MessageOctets

# An oversized message is read on to its end, but not for ever: so many times the limit.
OVERSIZE_FACTOR = 10


@dataclass(slots=True)
class Incoming:
    """One transaction."""

    mail: Mail
    demands: Demands  # those that are granted
    envelope_octets: int = field(init=False)
    rcpt_to: list[Address] = field(default_factory=list)
    notify: list[str] = field(default_factory=list)
    orcpt: list[str] = field(default_factory=list)
    rrvs: list[str] = field(default_factory=list)
    asked: Rcpt | None = None  # the recipient whose answer is awaited
    decoder: DataDecoder | ChunkDecoder | None = None  # None: the message has not begun
    message_octets: int = 0
    is_too_large: bool = False

    def __post_init__(self) -> None:
        self.envelope_octets = self.mail.path_octets

    @property
    def has_other_priority(self) -> bool:
        """Than it asked for."""
        return self.demands.priority != self.mail.demands.priority

    def add(self, rcpt: Rcpt) -> None:
        """A recipient that was said yes to."""
        self.rcpt_to.append(rcpt.rcpt_to)
        self.notify.append(rcpt.notify)
        self.orcpt.append(rcpt.orcpt)
        self.rrvs.append(rcpt.rrvs)
        self.envelope_octets += rcpt.envelope_octets

    def envelope(self) -> Envelope:
        mail = self.mail
        body = mail.body or Body.SEVEN_BIT
        notify = tuple(self.notify) if any(self.notify) else ()
        orcpt = tuple(self.orcpt) if any(self.orcpt) else ()
        dsn = DsnOptions(mail.ret, mail.envid, notify, orcpt)
        rrvs = tuple(self.rrvs) if any(self.rrvs) else ()
        rcpt_to, is_smtputf8 = tuple(self.rcpt_to), mail.is_smtputf8
        return Envelope(mail.mail_from, rcpt_to, body, is_smtputf8, mail.octets, dsn, rrvs, self.demands)

    def take(self, message: bytes, octets_max: int) -> MessageOctets | MessageDropped | None:
        """What the shell is to do with the next octets of the message.

        One that is too large is read on to its end: stopping early would make the rest of it look like
        commands, which is how smuggling starts. Raises PeerError when it does not end.
        """
        self.message_octets += len(message)
        if self.message_octets <= octets_max:
            return MessageOctets(message) if message else None
        if self.message_octets > OVERSIZE_FACTOR * octets_max:
            raise PeerError(replies.MESSAGE_TOO_LARGE, "endless message")
        if self.is_too_large:
            return None
        self.is_too_large = True
        return MessageDropped()


@dataclass(slots=True)
class Chunk:
    """What follows a BDAT. refusal: its octets are read and dropped, and then this is said."""

    left: int
    is_last: bool
    refusal: Reply | None
