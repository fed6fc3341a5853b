"""A shell around the SMTP server core, in memory: answers its questions at once and keeps what it does.

Its directory: everybody at example.org is known, except nobody (550), later (451) and closing (421); all
other domains are not ours. moved@example.org has had its owner since 2020-03-01 only, as has
first@example.org, where nobody is on record before; catchall@example.org is nobody's own (RFC 7293). A sender
at refused.example is refused, one at full.example has no space.
Sessions begin on 2026-11-23. suda@example.org signs in with the password "right"; nobody can say of
later@example.org.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.mail import valid_since
from gateway.mail.address import Address
from gateway.mail.envelope import Envelope
from gateway.mail.reply import Reply, reply
from gateway.protocols.sasl.exchange import Claim, PasswordClaim, ProofClaim, TokenClaim, Verifiers
from gateway.protocols.sasl.scram import make_verifier
from gateway.protocols.smtp import replies
from gateway.protocols.smtp.config import SessionConfig
from gateway.protocols.smtp.effects import (
    CheckIdentity,
    CheckRecipient,
    CheckSender,
    Close,
    Effect,
    FindVerifiers,
    MessageBegin,
    MessageDropped,
    MessageEnd,
    MessageOctets,
    Send,
    StartTls,
)
from gateway.protocols.smtp.server import Session

SALT = bytes(16)
BEGAN_AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
MOVED_AT = datetime(2020, 3, 1, 9, tzinfo=UTC)
OWNERS = {
    "moved": valid_since.Owner(MOVED_AT),
    "first": valid_since.Owner(MOVED_AT, is_first=True),
    "catchall": valid_since.NOBODYS,
}
KEPT = reply(250, "2.0.0", "Kept")
VERDICTS = {
    "nobody@example.org": reply(550, "5.1.1", "No such mailbox"),
    "later@example.org": reply(451, "4.3.0", "Try again later"),
    "closing@example.org": reply(421, "4.3.2", "Going down"),
}


def recipient_verdict(address: Address, rrvs: str) -> Reply:
    if (refused := valid_since.refusal(address, rrvs, OWNERS.get(address.local_part))) is not None:
        return refused
    known = VERDICTS.get(str(address.normalise()))
    if known is not None:
        return known
    ours = ("example.org", "mx.example", "xn--o3cw4h.example")
    return replies.RECIPIENT_OK if address.normalise().domain in ours else reply(550, "5.7.1", "Not ours")


def sender_verdict(address: Address | None) -> Reply:
    match address and address.domain:
        case "refused.example":
            return reply(550, "5.7.1", "Not you")
        case "full.example":
            return reply(452, "4.3.1", "No space")
        case _:
            return replies.SENDER_OK


def verifiers_of(username: str) -> Verifiers | Reply:
    if username.startswith("later"):
        return reply(454, "4.7.0", "Cannot say now")
    known = (make_verifier("app_1", "right", SALT),) if username == "suda@example.org" else ()
    return Verifiers(SALT, 4096, "server", known)


def identity_verdict(claim: Claim) -> Reply:
    match claim:
        case ProofClaim("suda@example.org", "app_1", "") | TokenClaim("suda@example.org", "good.token"):
            return replies.SIGNED_IN
        case PasswordClaim("suda@example.org", "right", "" | "suda@example.org"):
            return replies.SIGNED_IN
        case PasswordClaim("later@example.org"):
            return reply(454, "4.7.0", "Cannot say now")
        case _:
            return replies.BAD_CREDENTIALS


@dataclass
class Shell:
    """One session, its conversation and the messages it kept."""

    config: SessionConfig
    sent: bytes = b""  # by the server
    kept: list[tuple[Envelope, str, bytes]] = field(default_factory=list)
    close: Close | None = None
    is_tls_wanted: bool = False
    channel_binding: bytes | None = None

    def __post_init__(self) -> None:
        self.session = Session(self.config, BEGAN_AT)
        self._message: list[bytes] = []
        self._begin: MessageBegin | None = None
        self._do(self.session.connected(self.channel_binding))

    def feed(self, octets: bytes) -> None:
        self._do(self.session.feed(octets))

    def start_tls(self) -> None:
        assert self.is_tls_wanted, "no STARTTLS was agreed on"
        self.is_tls_wanted = False
        self._do(self.session.tls_started(self.channel_binding))

    def _do(self, effects: list[Effect]) -> None:
        pending = list(effects)
        while pending:
            effect = pending.pop(0)
            answers = list(self._carry_out(effect))
            assert not (answers and pending), "an effect that asks is the last of its list"
            pending.extend(answers)

    def _carry_out(self, effect: Effect) -> Iterator[Effect]:
        assert self.close is None, "nothing comes after Close"
        match effect:
            case Send(octets):
                self.sent += octets
            case CheckSender(mail_from):
                yield from self.session.sender_checked(sender_verdict(mail_from))
            case CheckRecipient(rcpt_to, rrvs=rrvs):
                yield from self.session.recipient_checked(recipient_verdict(rcpt_to, rrvs))
            case FindVerifiers(username):
                yield from self.session.verifiers_found(verifiers_of(username))
            case CheckIdentity(claim=claim):
                yield from self.session.identity_checked(identity_verdict(claim))
            case MessageBegin():
                self._begin, self._message = effect, []
            case MessageOctets(octets):
                self._message.append(octets)
            case MessageDropped():
                self._begin = None
            case MessageEnd(octets):
                message = b"".join(self._message)
                assert octets == len(message)
                assert self._begin is not None
                self.kept.append((self._begin.envelope, self._begin.protocol, message))
                yield from self.session.message_concluded(KEPT)
            case StartTls():
                self.is_tls_wanted = True
            case Close():
                self.close = effect
