"""The answer to what became of a mail: a report to its sender, where it wants one; a mail of its own.

Never to a null sender and never about a report, so that no two hosts answer each other for ever. The report
is accepted as any other mail: content first, event second, and then routed by whoever has its share.

Source: RFC 5321 §4.5.5, §6.1 (null reverse-path, no report of a report); RFC 3461 §4, §6 (what the sender
asked for), §5.2.7.1 (at a list a mail is delivered); RFC 3464.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from gateway.domain import sealing
from gateway.domain.events import (
    Actor,
    AttemptSecret,
    By,
    EnvelopeSecret,
    Fact,
    MailAccepted,
    MailBounced,
    MailDeferred,
    MailDelivered,
    MailQueued,
    MailRelayed,
    Message,
    MessageSecret,
    Stamp,
    Wrap,
)
from gateway.domain.forwarding import MailForwarded
from gateway.domain.maillist import ListExpanded
from gateway.domain.routing import attempt_label, envelope_label, message_label
from gateway.domain.steering import CANCELLED_STATUS, MailCancelled
from gateway.mail import dsn
from gateway.mail.address import Address, parse_address
from gateway.mail.demands import Demands
from gateway.mail.dsn_options import FAILURE, Ret, said_of, wants
from gateway.mail.ids import ID_ENTROPY_OCTETS, AgencyId, MailId, new_mail_id
from gateway.mail.mime import StructureScanner
from gateway.mail.status import EnhancedStatus, parse_status
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
from gateway.processes.return_paths import ReturnPaths
from gateway.processes.storing import Octets

# Of a mail's beginning, read to quote its header fields.
BEGINNING_OCTETS_MAX: Final = 64 * 1024
# Of a mail that its sender wants back whole (RET=FULL); a larger one goes back as its header fields. It is in
# memory here. Precedents: Postfix bounce_size_limit 50,000, exim return_size_limit 100 K.
FULL_OCTETS_MAX: Final = 1024 * 1024
DELIVERED: Final = EnhancedStatus(2, 0, 0)

Reported = (
    MailBounced | MailDelivered | MailForwarded | ListExpanded | MailRelayed | MailDeferred | MailCancelled
)
WITHDRAWN: Final = "withdrawn from the queue by its postmaster"


@dataclass(frozen=True, slots=True)
class Origin:
    """The mail a report is about, as its mail.accepted or mail.queued tells."""

    mail_id: MailId
    agency_id: AgencyId  # which accepted it
    is_report: bool
    accepted_at: datetime
    expires_at: datetime | None  # None: it was not queued
    message: Message
    keys: tuple[Wrap, ...]
    sealed: bytes
    recipients: tuple[int, ...]  # whose addresses the envelope has, in its order
    notify: tuple[str, ...]  # side by side with recipients; (): nobody's was said
    ret: Ret | None
    requires_tls: bool


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
        self._return_paths = ReturnPaths(log=log, keys=keys, clock=clock)

    async def on(self, recorded: Recorded) -> list[Fact]:
        """The report's facts, or none: for what the sender does not want to know, a null sender, a report,
        or a mail whose keys are destroyed.

        Raises Unavailable.
        """
        event = recorded.event
        assert isinstance(event, Reported), event
        origin = await self._origin(event)
        told = _told(event, origin)
        if origin.is_report or not told:
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
        # A report about what we forwarded is for whose mail it was.
        sender = await self._return_paths.opened(parse_address(envelope.mail_from))
        at = self._clock.now()
        # RFC 3461 §4.3: RET is about failures; in other reports only the header fields go back.
        # RFC 8689 §5: nor does what had to stay inside TLS.
        is_failure = _action(event) is dsn.Action.FAILED
        is_whole = is_failure and origin.ret == "FULL" and not origin.requires_tls
        message = await self._message(origin, data_key) if is_whole else b""
        report = dsn.Report(
            action=_action(event),
            report_id=new_mail_id(at, self._entropy(ID_ENTROPY_OCTETS)),
            mail_id=origin.mail_id,
            hostname=self._hostname,
            sender=sender,
            at=at,
            arrived_at=origin.accepted_at,
            outcomes=_outcomes(event, told, origin, envelope, data_key),
            header=b"" if message else await self._header(origin, data_key),
            message=message,
            envid=envelope.envid,
            retry_until=origin.expires_at if isinstance(event, MailDeferred) else None,
        )
        return await self._accepted(report, origin, sender, recorded.position)

    async def _origin(self, reported: Reported) -> Origin:
        event = (await self._log.read(Position(int(reported.cause)))).event
        assert isinstance(event, MailAccepted | MailQueued), f"{reported.cause} is no mail to report on"
        assert event.mail_id == reported.mail_id, f"{reported.cause} is another mail"
        if isinstance(event, MailQueued):
            return Origin(
                mail_id=event.mail_id,
                agency_id=event.accepted_by,
                is_report=event.is_report,
                accepted_at=event.accepted_at,
                expires_at=event.expires_at,
                message=event.message,
                keys=event.keys,
                sealed=event.sealed,
                recipients=event.recipients,
                notify=event.notify,
                ret=event.ret,
                requires_tls=event.requiretls,
            )
        return Origin(
            mail_id=event.mail_id,
            agency_id=event.agency_id,
            is_report=event.report_of is not None,
            accepted_at=event.at,
            expires_at=None,
            message=event.message,
            keys=event.keys,
            sealed=event.sealed,
            recipients=tuple(recipient.id for recipient in event.recipients),
            notify=tuple(recipient.notify for recipient in event.recipients),
            ret=event.ret,
            requires_tls=event.requiretls,
        )

    async def _header(self, origin: Origin, data_key: bytes) -> bytes:
        """The header fields of the mail, b"" when its content cannot be had any more."""
        beginning = bytearray()
        try:
            async for octets in self._octets(origin, data_key, BEGINNING_OCTETS_MAX):
                beginning += octets
                if b"\r\n\r\n" in beginning:
                    break
        except (ContentMissing, ContentCorrupt):
            return b""
        return bytes(beginning.partition(b"\r\n\r\n")[0])

    async def _message(self, origin: Origin, data_key: bytes) -> bytes:
        """The whole mail, b"" when it is too large or cannot be had any more."""
        if origin.message.content.octets > FULL_OCTETS_MAX:
            return b""
        message = bytearray()
        try:
            async for octets in self._octets(origin, data_key, FULL_OCTETS_MAX):
                message += octets
        except (ContentMissing, ContentCorrupt):
            return b""
        return bytes(message)

    def _octets(self, origin: Origin, data_key: bytes, octets_max: int) -> AsyncIterator[bytes]:
        """The mail as it came in, from its beginning."""
        secret = sealing.unseal(
            MessageSecret, origin.message.sealed, data_key, label=message_label(origin.mail_id)
        )
        content = origin.message.content
        end = min(content.octets, octets_max)
        return self._content.open(content, data_key=data_key, salt=secret.salt, end=end)

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
                demands=Demands(requires_tls=origin.requires_tls),
            )
        )


def _told(event: Reported, origin: Origin) -> tuple[int, ...]:
    """The recipients whose outcome the sender wants to know."""
    match event:
        case MailBounced():
            notify = dict(zip(origin.recipients, origin.notify, strict=True)) if origin.notify else {}
            return tuple(r for r in event.recipients if wants(notify.get(r, ""), FAILURE))
        case MailDelivered() | MailForwarded() | ListExpanded() | MailRelayed():
            return event.report_success
        case MailDeferred():
            return event.report_delay
        case MailCancelled():
            return event.report_failure
        case _:
            assert_never(event)


def _action(event: Reported) -> dsn.Action:
    match event:
        case MailBounced() | MailCancelled():
            return dsn.Action.FAILED
        case MailDelivered() | ListExpanded():
            return dsn.Action.DELIVERED
        case MailForwarded(targets=targets) if targets > 1:
            return dsn.Action.EXPANDED
        case MailForwarded() | MailRelayed():
            return dsn.Action.RELAYED
        case MailDeferred():
            return dsn.Action.DELAYED
        case _:
            assert_never(event)


def _outcomes(
    event: Reported, told: tuple[int, ...], origin: Origin, envelope: EnvelopeSecret, data_key: bytes
) -> tuple[dsn.Outcome, ...]:
    status, said, remote_host = DELIVERED, "", ""
    if isinstance(event, MailCancelled):  # why is between its postmaster and the log
        status, said = parse_status(CANCELLED_STATUS), f"{CANCELLED_STATUS} {WITHDRAWN}"
    elif not isinstance(event, MailDelivered | MailForwarded | ListExpanded):
        secret = sealing.unseal(AttemptSecret, event.sealed, data_key, label=attempt_label(event.mail_id))
        code = f"{event.code} " if event.code else ""
        status, remote_host = parse_status(event.status), secret.remote_host
        said = f"{code}{event.status} {secret.reply_text}"
    places = (origin.recipients.index(recipient) for recipient in told)
    return tuple(
        dsn.Outcome(
            recipient=parse_address(envelope.rcpt_to[place]),
            status=status,
            said=said,
            remote_host=remote_host,
            orcpt=said_of(envelope.orcpt, place),
        )
        for place in places
    )
