"""Mails in the log behind the API, as edge and router put them there."""

import os
from dataclasses import dataclass

from gateway.domain import sealing
from gateway.domain.account import account_key_name
from gateway.domain.events import (
    Actor,
    Content,
    EnvelopeSecret,
    Event,
    Fact,
    MailAccepted,
    MailDelivered,
    Message,
    MessageSecret,
    Recipient,
    Stamp,
    Wrap,
)
from gateway.domain.group import encode_group
from gateway.domain.histories import box_history, mail_history
from gateway.domain.refusals import REFUSALS, RecipientRefused, RefusalSecret
from gateway.domain.routing import envelope_label, message_label, traffic_key_name, traffic_label
from gateway.domain.signin import access_history
from gateway.mail.address import parse_address
from gateway.mail.ids import MailboxId, MailId, new_mail_id
from gateway.mail.summary import Envelope, PartSummary, Summary, encode
from projections.directory.query import account_of
from projections.trace.project import TraceModel
from tests.processes.web.world import BY, World

CONTENT = Content("0" * 64, 300)
SUMMARY = Summary(Envelope(subject="ประชุม"), PartSummary("text", "plain", "7bit", 0, 100, 200))


@dataclass
class Mails:
    """Puts them into a world's log and waits for the rows."""

    world: World

    async def accept(self, domain: str, mail_from: str, *rcpt_to: str) -> MailId:
        """A mail that the agency of this domain accepted."""
        stamp, key = self._stamp(), os.urandom(32)
        mail_id, agency_id = new_mail_id(stamp.at, os.urandom(10)), self.world.agencies[domain]
        envelope = EnvelopeSecret(mail_from, rcpt_to, "client.example", "192.0.2.7")
        secret = MessageSecret(front=b"", salt=b"", summary=encode(SUMMARY))
        traffic = traffic_key_name(agency_id, stamp.at)
        traffic_key = await self.world.keys.get_or_make(traffic)
        transit_key = await self.world.keys.get_or_make(f"transit.{agency_id}")
        accepted = MailAccepted(
            mail_id=mail_id,
            agency_id=agency_id,
            recipients=tuple(Recipient(number) for number in range(len(rcpt_to))),
            message=Message(CONTENT, 300, self._seal(secret, key, message_label(mail_id))),
            keys=(Wrap(f"transit.{agency_id}", sealing.wrap(key, transit_key)),),
            sealed=self._seal(envelope, key, envelope_label(mail_id)),
            traffic=self._seal(envelope, traffic_key, traffic_label(mail_id)),
            traffic_key=traffic,
            **stamp.fields(),
        )
        await self._put(mail_history(mail_id), accepted)
        return mail_id

    async def deliver(self, mail_id: MailId, to: str, recipient: int) -> None:
        async with self.world.office.pool.rows() as rows:
            account = await account_of(rows, parse_address(to))
        assert account is not None, to
        key = await self.world.keys.get_or_make(account_key_name(account.account_id))
        delivered = MailDelivered(
            mail_id=mail_id,
            account_id=account.account_id,
            mailbox_id=MailboxId("mbx_inbox"),
            recipients=(recipient,),
            message=Message(CONTENT, 300, b""),
            keys=(Wrap(account_key_name(account.account_id), sealing.wrap(os.urandom(32), key)),),
            internal_date=self._stamp().at,
            **self._stamp().fields(),
        )
        await self._put(box_history(account.account_id), delivered)

    async def refuse(self, domain: str, mail_from: str, rcpt_to: str) -> None:
        stamp, agency_id = self._stamp(), self.world.agencies[domain]
        name = traffic_key_name(agency_id, stamp.at)
        secret = RefusalSecret(mail_from, rcpt_to, "192.0.2.9", "client.example")
        refused = RecipientRefused(
            agency_id=agency_id,
            reason="owner-changed",
            code=550,
            status="5.7.17",
            valid_since=stamp.at,
            owner_since=stamp.at,
            sealed=self._seal(secret, await self.world.keys.get_or_make(name), REFUSALS),
            sealed_key=name,
            **stamp.fields(),
        )
        await self._put(access_history(agency_id), refused)

    async def _put(self, history: str, event: Event) -> None:
        self.world.log.store(encode_group([Fact(history, event)]))
        await self.world.office.follow(TraceModel)

    def _stamp(self) -> Stamp:
        return Stamp(at=self.world.office.clock.now(), actor=Actor("remote"), by=BY)

    def _seal(self, secret: EnvelopeSecret | MessageSecret | RefusalSecret, key: bytes, label: str) -> bytes:
        return sealing.seal(secret, key, nonce=os.urandom(sealing.NONCE_OCTETS), label=label)
