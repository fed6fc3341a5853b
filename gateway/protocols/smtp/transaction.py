"""One mail offered to one host: which lines to send, and what became of each recipient.

Source: RFC 5321 §3.3 (transactions), RFC 6531 §3.2 (without SMTPUTF8), RFC 6152 §3 (without 8BITMIME),
RFC 3461 §5.2 (with DSN and without), RFC 7293 §5.1.1 and §6 (with RRVS and without),
RFC 9422 §4 (LIMITS), RFC 3030 §3 (BINARYMIME goes by BDAT).
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from gateway.mail.address import Address
from gateway.mail.dsn_options import said_of
from gateway.mail.envelope import Body, Envelope
from gateway.mail.reply import Reply, reply
from gateway.mail.valid_since import CANNOT_BE_ASKED, parse_valid_since
from gateway.protocols.smtp import demanding
from gateway.protocols.smtp.offers import Offers
from gateway.protocols.smtp.parameters import mail_parameters, rcpt_parameters

NEEDS_EIGHT_BIT = reply(554, "5.6.3", "The host takes no 8-bit messages")  # RFC 6152 §3
NEEDS_BINARY = reply(554, "5.6.3", "The host takes no binary messages")  # RFC 3030 §3
NEEDS_SMTPUTF8 = reply(550, "5.6.7", "The host takes no internationalised addresses")  # RFC 6531 §3.2
# RFC 9422 §4: more than the host says it takes are not sent; they come with the next attempt.
TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "More recipients than the host takes at once")
TOO_LARGE = reply(552, "5.3.4", "The message is larger than the host takes")  # RFC 1870 §6.1


class Stage(Enum):
    """The step of a session that an answer belongs to."""

    GREETING = auto()
    EHLO = auto()
    HELO = auto()
    STARTTLS = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    CONTENT = auto()  # while the message is sent, up to its last octets
    CONCLUSION = auto()  # after the final dot
    QUIT = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one recipient at this host."""

    recipient: Address
    reply: Reply
    stage: Stage
    is_ours: bool  # True when the host has not said it: connection lost, cannot be sent there
    has_dsn: bool = False  # the host was told what the sender wants to know, and tells it

    @property
    def is_uncertain(self) -> bool:
        """True when the host may have taken the mail and we did not hear it (RFC 5321 §4.5.4.1)."""
        return self.is_ours and self.stage is Stage.CONCLUSION


@dataclass(frozen=True, slots=True)
class Line:
    """A command line and what its reply will be about."""

    stage: Stage
    octets: bytes
    recipient: int | None = None  # of an RCPT, its place in the envelope


class Transaction:
    """The state of one mail at one host. What cannot be sent there is answered before anything is sent."""

    def __init__(self, envelope: Envelope, offers: Offers) -> None:
        assert envelope.rcpt_to, "a mail has a recipient"
        self.envelope = envelope
        self.accepted: list[int] = []  # places of the recipients the host said yes to
        self.is_begun = False  # the host said yes to MAIL
        self._has_dsn = offers.has_dsn
        self._answers: dict[int, Answer] = {}
        self._answer_unsendable(offers)
        self.lines: deque[Line] = deque(self._lines(offers))  # not sent yet

    @property
    def is_binary(self) -> bool:
        """True when the message has no lines, and goes in a chunk."""
        return self.envelope.body is Body.BINARY

    @property
    def is_answered(self) -> bool:
        """True when every recipient has its answer."""
        return len(self._answers) == len(self.envelope.rcpt_to)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """One for each recipient, in the order of the envelope."""
        assert self.is_answered
        return tuple(self._answers[i] for i in range(len(self.envelope.rcpt_to)))

    def answer(self, recipient: int, said: Reply, stage: Stage, *, is_ours: bool = False) -> None:
        """Settle one recipient. The first answer holds."""
        address = self.envelope.rcpt_to[recipient]
        self._answers.setdefault(recipient, Answer(address, said, stage, is_ours, self._has_dsn))

    def answer_all(self, said: Reply, stage: Stage, *, is_ours: bool = False) -> None:
        """Settle every recipient that has no answer yet."""
        for recipient in range(len(self.envelope.rcpt_to)):
            self.answer(recipient, said, stage, is_ours=is_ours)

    def _answer_unsendable(self, offers: Offers) -> None:
        envelope = self.envelope
        if offers.octets_max is not None and (envelope.octets or 0) > offers.octets_max:
            self.answer_all(TOO_LARGE, Stage.MAIL, is_ours=True)
        if envelope.body is Body.EIGHT_BIT and not offers.has_eight_bit:
            self.answer_all(NEEDS_EIGHT_BIT, Stage.MAIL, is_ours=True)
        if self.is_binary and not (offers.has_binary and offers.has_chunking):
            self.answer_all(NEEDS_BINARY, Stage.MAIL, is_ours=True)
        if (refusal := demanding.refusal_for(envelope.demands, offers)) is not None:
            self.answer_all(refusal, Stage.MAIL, is_ours=True)
        if not offers.has_smtputf8:
            if envelope.is_smtputf8 or _needs_smtputf8(envelope.mail_from):
                self.answer_all(NEEDS_SMTPUTF8, Stage.MAIL, is_ours=True)
            for i, address in enumerate(envelope.rcpt_to):
                if _needs_smtputf8(address):
                    self.answer(i, NEEDS_SMTPUTF8, Stage.RCPT, is_ours=True)

        for i in range(0 if offers.has_rrvs else len(envelope.rrvs)):
            if (asked := envelope.rrvs[i]) and not parse_valid_since(asked).goes_on:
                self.answer(i, CANNOT_BE_ASKED, Stage.RCPT, is_ours=True)

        self._answer_what_is_too_much(offers)

    def _answer_what_is_too_much(self, offers: Offers) -> None:
        """The recipients above the host's limits, in order; those that are answered do not count."""
        domains, recipients = set[str](), 0
        for i, address in enumerate(self.envelope.rcpt_to):
            if i in self._answers:
                continue
            wanted = domains | {address.normalise().domain}
            if recipients == offers.recipients_max or len(wanted) > (offers.domains_max or len(wanted)):
                self.answer(i, TOO_MANY_RECIPIENTS, Stage.RCPT, is_ours=True)
            else:
                domains, recipients = wanted, recipients + 1

    def _lines(self, offers: Offers) -> Iterable[Line]:
        if self.is_answered:
            return
        envelope = self.envelope
        sent = [i for i in range(len(envelope.rcpt_to)) if i not in self._answers]
        addresses = [envelope.mail_from, *(envelope.rcpt_to[i] for i in sent)]
        uses_smtputf8 = envelope.is_smtputf8 or any(map(_needs_smtputf8, addresses))

        parameters = ""
        if offers.has_size and envelope.octets is not None:
            parameters += f" SIZE={envelope.octets}"
        if offers.has_eight_bit and envelope.body is Body.EIGHT_BIT:
            parameters += " BODY=8BITMIME"
        if self.is_binary:
            parameters += " BODY=BINARYMIME"
        if uses_smtputf8:
            parameters += " SMTPUTF8"
        if offers.has_dsn:
            parameters += mail_parameters(envelope.dsn)
        parameters += demanding.written(envelope.demands, offers)
        yield Line(Stage.MAIL, command_line(f"MAIL FROM:<{_path(envelope.mail_from)}>{parameters}"))
        for i in sent:
            options = ""
            if offers.has_dsn:
                options = rcpt_parameters(envelope.dsn, i, is_smtputf8=uses_smtputf8)
            if offers.has_rrvs and (asked := said_of(envelope.rrvs, i)):
                options += f" RRVS={asked}"
            yield Line(Stage.RCPT, command_line(f"RCPT TO:<{_path(envelope.rcpt_to[i])}>{options}"), i)
        if not self.is_binary:
            yield Line(Stage.DATA, command_line("DATA"))

    def chunk_line(self) -> bytes:
        """The BDAT before a binary message: all of it is one chunk (RFC 3030 §2)."""
        assert self.envelope.octets is not None, "what is sent in a chunk has a size"
        return command_line(f"BDAT {self.envelope.octets} LAST")


def command_line(text: str) -> bytes:
    """A command as it is sent."""
    assert not any(character in text for character in "\r\n\0"), "a command is one line"
    return text.encode() + b"\r\n"


def _needs_smtputf8(address: Address | None) -> bool:
    """True when the address has no form in ASCII: a domain always has, a local part has not."""
    return address is not None and not address.local_part.isascii()


def _path(address: Address | None) -> str:
    return "" if address is None else str(address.with_ascii_domain())
