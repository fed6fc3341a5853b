"""The answer to mail.bounced: a report to the sender, which is a mail of its own.

Never to a null sender and never about a report, so that no two hosts answer each other for ever. The report
is accepted as any other mail: content first, event second, and then routed by whoever has its share.

Source: RFC 5321 §4.5.5, §6.1 (null reverse-path, no report of a report); RFC 3464.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain import sealing
from gateway.domain.events import (
    Actor,
    AttemptSecret,
    By,
    EnvelopeSecret,
    Fact,
    MailAccepted,
    MailBounced,
    MailQueued,
    Message,
    MessageSecret,
    Stamp,
    Wrap,
)
from gateway.domain.routing import attempt_label, envelope_label, message_label
from gateway.mail import dsn
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import ID_ENTROPY_OCTETS, AgencyId, MailId, new_mail_id
from gateway.mail.mime import StructureScanner
from gateway.mail.status import parse_status
from gateway.ports import (
    Clock,
    ContentCorrupt,
    ContentMissing,
    ContentStore,
    Entropy,
    EventLog,
    KeyForgotten,
    KeyStore,
    Position,
    Recorded,
)
from gateway.processes.intake import Incoming, Intake

# Of a mail's beginning, read to quote its header fields.
BEGINNING_OCTETS_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """The mail a report is about, as its mail.accepted or mail.queued tells."""

    mail_id: MailId
    agency_id: AgencyId  # which accepted it
    is_report: bool
    accepted_at: datetime
    message: Message
    keys: tuple[Wrap, ...]
    sealed: bytes
    recipients: tuple[int, ...]  # whose addresses the envelope has, in its order


class Octets:
    """A message in memory. The port Spooled."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self.octets = len(message)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        yield self._message[start:end]


class Reports:
    """Makes reports; their content is durable when `on` returns, they are mails once its facts are in."""

    def __init__(
        self,
        *,
        log: EventLog,
        content: ContentStore,
        keys: KeyStore,
        clock: Clock,
        entropy: Entropy,
        by: By,
        hostname: str,
    ) -> None:
        self._log, self._content, self._keys = log, content, keys
        self._intake = Intake(content, keys, entropy)
        self._clock, self._entropy, self._by = clock, entropy, by
        self._hostname = hostname

    async def on(self, recorded: Recorded) -> list[Fact]:
        """The report's facts, or none: for a null sender, a report, or a mail whose keys are destroyed.

        Raises Unavailable.
        """
        bounced = recorded.event
        assert isinstance(bounced, MailBounced), bounced
        origin = await self._origin(bounced)
        if origin.is_report:
            return []
        try:
            data_key = sealing.unwrap(origin.keys[0].wrapped, await self._keys.get(origin.keys[0].key))
        except KeyForgotten:
            return []
        envelope = sealing.unseal(
            EnvelopeSecret, origin.sealed, data_key, label=envelope_label(origin.mail_id)
        )
        if envelope.mail_from is None:
            return []
        sender = parse_address(envelope.mail_from)
        at = self._clock.now()
        report = dsn.Report(
            report_id=new_mail_id(at, self._entropy(ID_ENTROPY_OCTETS)),
            mail_id=origin.mail_id,
            hostname=self._hostname,
            sender=sender,
            at=at,
            arrived_at=origin.accepted_at,
            failures=_failures(bounced, origin, envelope, data_key),
            header=await self._header(origin, data_key),
        )
        return await self._accepted(report, origin, sender, recorded.position)

    async def _origin(self, bounced: MailBounced) -> Origin:
        event = (await self._log.read(Position(int(bounced.cause)))).event
        assert isinstance(event, MailAccepted | MailQueued), f"{bounced.cause} is no mail that can bounce"
        assert event.mail_id == bounced.mail_id, f"{bounced.cause} is another mail"
        if isinstance(event, MailQueued):
            return Origin(
                mail_id=event.mail_id,
                agency_id=event.accepted_by,
                is_report=event.is_report,
                accepted_at=event.accepted_at,
                message=event.message,
                keys=event.keys,
                sealed=event.sealed,
                recipients=event.recipients,
            )
        return Origin(
            mail_id=event.mail_id,
            agency_id=event.agency_id,
            is_report=event.report_of is not None,
            accepted_at=event.at,
            message=event.message,
            keys=event.keys,
            sealed=event.sealed,
            recipients=tuple(recipient.id for recipient in event.recipients),
        )

    async def _header(self, origin: Origin, data_key: bytes) -> bytes:
        """The header fields of the mail, b"" when its content cannot be had any more."""
        secret = sealing.unseal(
            MessageSecret, origin.message.sealed, data_key, label=message_label(origin.mail_id)
        )
        beginning = bytearray()
        try:
            async for octets in self._content.open(
                origin.message.content,
                data_key=data_key,
                salt=secret.salt,
                end=min(origin.message.content.octets, BEGINNING_OCTETS_MAX),
            ):
                beginning += octets
                if b"\r\n\r\n" in beginning:
                    break
        except (ContentMissing, ContentCorrupt):
            return b""
        return bytes(beginning.partition(b"\r\n\r\n")[0])

    async def _accepted(
        self, report: dsn.Report, origin: Origin, sender: Address, cause: Position
    ) -> list[Fact]:
        """Store the report and give the facts that accept it."""
        rendered = dsn.render(report)
        scanner = StructureScanner()
        scanner.feed(rendered)
        stamp = Stamp(at=report.at, actor=Actor("system", "router"), by=self._by, cause=str(cause))
        return await self._intake.take(
            Incoming(
                mail_id=report.report_id,
                stamp=stamp,
                agency_id=origin.agency_id,
                envelope=EnvelopeSecret(mail_from=None, rcpt_to=(str(sender),)),
                agencies=(None,),
                message=Octets(rendered),
                tree=scanner.finish(),
                front=b"Return-Path: <>\r\n",  # RFC 5321 §4.4
                smtputf8=not sender.is_ascii,
                eight_bit=not sender.is_ascii,
                report_of=origin.mail_id,
            )
        )


def _failures(
    bounced: MailBounced, origin: Origin, envelope: EnvelopeSecret, data_key: bytes
) -> tuple[dsn.Failure, ...]:
    said = sealing.unseal(AttemptSecret, bounced.sealed, data_key, label=attempt_label(bounced.mail_id))
    addresses = dict(zip(origin.recipients, envelope.rcpt_to, strict=True))
    code = f"{bounced.code} " if bounced.code else ""
    return tuple(
        dsn.Failure(
            recipient=parse_address(addresses[recipient]),
            status=parse_status(bounced.status),
            said=f"{code}{bounced.status} {said.reply_text}",
            remote_host=said.remote_host,
        )
        for recipient in bounced.recipients
    )
