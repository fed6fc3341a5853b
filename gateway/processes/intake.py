"""Taking a mail into the gateway: its content made durable, and the facts that say so.

Used by whoever accepts mails: the edge for what senders give us, the router for its reports.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain import sealing
from gateway.domain.events import (
    EnvelopeSecret,
    Fact,
    MailAccepted,
    MailHeld,
    Message,
    Recipient,
    Stamp,
    Wrap,
)
from gateway.domain.histories import mail_history
from gateway.domain.routing import envelope_label, traffic_key_name, traffic_label, transit_key_name
from gateway.mail.demands import NO_DEMANDS, Demands
from gateway.mail.dsn_options import NOTHING_ASKED, DsnOptions, said_of
from gateway.mail.ids import AccountId, AgencyId, MailId
from gateway.mail.mime import Part
from gateway.ports import ContentStore, Entropy, KeyStore, Spooled
from gateway.processes.storing import store_message


@dataclass(frozen=True, slots=True)
class Incoming:
    """A mail to take in. tree: the structure of `message`. front, hidden: what makes the presented message.

    agency_id: who keeps its keys and shares its attachments. agencies: whose domain each recipient of the
    envelope is in, as far as is known.
    """

    mail_id: MailId
    stamp: Stamp
    agency_id: AgencyId
    envelope: EnvelopeSecret
    agencies: Sequence[AgencyId | None]
    message: Spooled
    tree: Part
    front: bytes
    hidden: tuple[tuple[int, int], ...] = ()
    smtputf8: bool = False
    eight_bit: bool = False
    binary: bool = False
    report_of: MailId | None = None
    sender_account_id: AccountId | None = None
    dsn: DsnOptions = NOTHING_ASKED
    rrvs: tuple[str, ...] = ()
    demands: Demands = NO_DEMANDS


class Intake:
    """Makes content durable and gives facts; appending them is the caller's."""

    def __init__(self, content: ContentStore, keys: KeyStore, entropy: Entropy) -> None:
        self._content, self._keys, self._entropy = content, keys, entropy

    async def take(self, incoming: Incoming) -> list[Fact]:
        """The group to append: content.stored of what is new, mail.accepted. Raises Full, Unavailable."""
        stored = await store_message(
            self._content,
            self._entropy,
            mail_id=incoming.mail_id,
            agency_id=incoming.agency_id,
            stamp=incoming.stamp,
            octets=incoming.message,
            tree=incoming.tree,
            front=incoming.front,
            hidden=incoming.hidden,
        )
        accepted = await self._accepted(incoming, stored.message, stored.data_key)
        history = mail_history(incoming.mail_id)
        if accepted.hold_until is None:
            return [*stored.objects, Fact(history, accepted)]
        held = MailHeld(**incoming.stamp.fields(), mail_id=incoming.mail_id, hold_until=accepted.hold_until)
        return [*stored.objects, Fact(history, accepted), Fact(history, held)]

    async def _accepted(self, incoming: Incoming, message: Message, data_key: bytes) -> MailAccepted:
        mail_id, agency_id, at = incoming.mail_id, incoming.agency_id, incoming.stamp.at
        envelope, dsn = incoming.envelope, incoming.dsn
        deliver_by = incoming.demands.deliver_by
        hold_until = incoming.demands.released_at(at)
        transit = transit_key_name(agency_id, hold_until or at)  # of the day it is decided on
        traffic = traffic_key_name(agency_id, at)
        traffic_key = await self._keys.get_or_make(traffic)
        return MailAccepted(
            **incoming.stamp.fields(),
            mail_id=mail_id,
            agency_id=agency_id,
            recipients=tuple(
                Recipient(
                    id=i,
                    agency_id=a,
                    notify=said_of(dsn.notify, i),
                    rrvs=said_of(incoming.rrvs, i),
                )
                for i, a in enumerate(incoming.agencies)
            ),
            message=message,
            keys=(Wrap(transit, sealing.wrap(data_key, await self._keys.get_or_make(transit))),),
            sealed=self._seal(
                data_key, replace(envelope, orcpt=dsn.orcpt, envid=dsn.envid), envelope_label(mail_id)
            ),
            traffic=self._seal(traffic_key, envelope, traffic_label(mail_id)),
            traffic_key=traffic,
            smtputf8=incoming.smtputf8,
            eight_bit=incoming.eight_bit,
            binary=incoming.binary,
            report_of=incoming.report_of,
            sender_account_id=incoming.sender_account_id,
            ret=dsn.ret,
            priority=incoming.demands.priority or 0,
            requiretls=incoming.demands.requires_tls,
            tls_optional=incoming.demands.is_tls_optional,
            hold_until=hold_until,
            deliver_by=None
            if deliver_by is None
            else (hold_until or at) + timedelta(seconds=deliver_by.seconds),
            deliver_by_mode=None if deliver_by is None else deliver_by.mode,
        )

    def _seal(self, key: bytes, secret: Struct, label: str) -> bytes:
        return sealing.seal(secret, key, nonce=self._entropy(sealing.NONCE_OCTETS), label=label)
