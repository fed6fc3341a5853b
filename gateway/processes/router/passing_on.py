"""What lists and forwarding share: reading a mail's header, and accepting the mail that takes it further.

Such a mail is accepted as any other, with the same stored content and another front, for the agency in whose
name it goes on.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.domain import sealing
from gateway.domain.events import (
    Actor,
    By,
    EnvelopeSecret,
    Fact,
    MailAccepted,
    Message,
    MessageSecret,
    Recipient,
    Stamp,
    Wrap,
)
from gateway.domain.histories import mail_history
from gateway.domain.routing import (
    envelope_label,
    message_label,
    traffic_key_name,
    traffic_label,
    transit_key_name,
)
from gateway.mail.ids import ID_ENTROPY_OCTETS, AgencyId, new_mail_id
from gateway.ports import (
    Clock,
    ContentCorrupt,
    ContentMissing,
    ContentStore,
    Entropy,
    EventLog,
    KeyStore,
    Position,
)
from gateway.processes.return_paths import ReturnPaths

HEADER_OCTETS_MAX: Final = 256 * 1024


class PassingOn:
    """All raise Unavailable."""

    def __init__(
        self,
        *,
        log: EventLog,
        content: ContentStore,
        keys: KeyStore,
        clock: Clock,
        entropy: Entropy,
        by: By,
    ) -> None:
        self._log, self._content, self._keys = log, content, keys
        self._clock, self._entropy, self._by = clock, entropy, by
        self.return_paths = ReturnPaths(log=log, keys=keys, clock=clock)

    async def _take_further(
        self,
        accepted: MailAccepted,
        cause: Position,
        agency_id: AgencyId,
        envelope: EnvelopeSecret,
        message: Message,
        secret: MessageSecret,
        data_key: bytes,
        *,
        recipients: Sequence[Recipient] | None = None,
        **more: Any,
    ) -> Fact:
        """The mail that takes an accepted one further. message, secret: as they are then; recipients: in the
        order of the envelope, None when nothing is asked about any; more: fields of mail.accepted."""
        at = self._clock.now()
        mail_id = new_mail_id(at, self._entropy(ID_ENTROPY_OCTETS))
        stamp = Stamp(at=at, actor=Actor("system", "router"), by=self._by, cause=str(cause))
        transit, traffic = transit_key_name(agency_id, at), traffic_key_name(agency_id, at)
        transit_key = await self._keys.get_or_make(transit)
        traffic_key = await self._keys.get_or_make(traffic)
        for_traffic = msgspec.structs.replace(envelope, orcpt=(), envid="")
        if recipients is None:
            recipients = [Recipient(id=number) for number in range(len(envelope.rcpt_to))]
        event = MailAccepted(
            **stamp.fields(),
            mail_id=mail_id,
            agency_id=agency_id,
            recipients=tuple(recipients),
            message=msgspec.structs.replace(
                message, sealed=self._seal(data_key, secret, message_label(mail_id))
            ),
            keys=(Wrap(transit, sealing.wrap(data_key, transit_key)),),
            sealed=self._seal(data_key, envelope, envelope_label(mail_id)),
            traffic=self._seal(traffic_key, for_traffic, traffic_label(mail_id)),
            traffic_key=traffic,
            smtputf8=accepted.smtputf8 or not all(map(str.isascii, _local_parts(envelope))),
            eight_bit=accepted.eight_bit,
            binary=accepted.binary,
            report_of=accepted.report_of,
            secrecy=accepted.secrecy,
            requiretls=accepted.requiretls,
            tls_optional=accepted.tls_optional,
            priority=accepted.priority,
            expands=accepted.mail_id,
            **more,
        )
        return Fact(mail_history(mail_id), event)

    async def _header(self, message: Message, data_key: bytes, salt: bytes) -> bytes:
        """The header as stored, b"" when the content cannot be had any more."""
        beginning, end = bytearray(), min(message.content.octets, HEADER_OCTETS_MAX)
        try:
            async for octets in self._content.open(message.content, data_key=data_key, salt=salt, end=end):
                beginning += octets
                if b"\r\n\r\n" in beginning:
                    break
        except (ContentMissing, ContentCorrupt):
            return b""
        header, blank, _ = bytes(beginning).partition(b"\r\n\r\n")
        return header + blank[:2]

    def _seal(self, key: bytes, secret: msgspec.Struct, label: str) -> bytes:
        return sealing.seal(secret, key, nonce=self._entropy(sealing.NONCE_OCTETS), label=label)


def _local_parts(envelope: EnvelopeSecret) -> list[str]:
    """Of sender and recipients; a domain goes on in A-labels."""
    return [address.rpartition("@")[0] for address in (envelope.mail_from or "", *envelope.rcpt_to)]
