"""A queued mail opened: who sends it to whom, and its octets as they go out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

from gateway.domain.delivery import relayed_front
from gateway.domain.events import EnvelopeSecret, MailQueued, Message, MessageSecret
from gateway.domain.routing import envelope_label, message_label
from gateway.domain.sealing import unseal, unwrap
from gateway.mail import presented
from gateway.mail.address import parse_address
from gateway.mail.demands import DeliverBy, Demands
from gateway.mail.dsn_options import DsnOptions, chosen
from gateway.mail.envelope import Body, Envelope
from gateway.ports import ContentStore, KeyStore


@dataclass(frozen=True, slots=True)
class OpenMail:
    """envelope: with the recipients of one job, in their order. front: as it goes out."""

    envelope: Envelope
    front: bytes = field(repr=False)
    data_key: bytes = field(repr=False)
    salt: bytes = field(repr=False)


async def open_mail(
    queued: MailQueued, recipients: tuple[int, ...], keys: KeyStore, at: datetime
) -> OpenMail:
    """at: now. Raises KeyForgotten when its key was destroyed, BrokenSeal, Unavailable."""
    wrap = queued.keys[0]
    data_key = unwrap(wrap.wrapped, await keys.get(wrap.key))
    sealed = unseal(EnvelopeSecret, queued.sealed, data_key, label=envelope_label(queued.mail_id))
    secret = unseal(MessageSecret, queued.message.sealed, data_key, label=message_label(queued.mail_id))
    places = tuple(queued.recipients.index(recipient) for recipient in recipients)
    front = relayed_front(secret.front)
    envelope = Envelope(
        mail_from=None if sealed.mail_from is None else parse_address(sealed.mail_from),
        rcpt_to=tuple(parse_address(sealed.rcpt_to[place]) for place in places),
        body=_body(queued),
        is_smtputf8=queued.smtputf8,
        octets=queued.message.presented_octets - len(secret.front) + len(front),
        dsn=DsnOptions(queued.ret, sealed.envid, chosen(queued.notify, places), chosen(sealed.orcpt, places)),
        rrvs=chosen(queued.rrvs, places),
        demands=_demands(queued, at),
    )
    return OpenMail(envelope, front, data_key, secret.salt)


def _body(queued: MailQueued) -> Body:
    if queued.binary:
        return Body.BINARY
    return Body.EIGHT_BIT if queued.eight_bit else Body.SEVEN_BIT


def _demands(queued: MailQueued, at: datetime) -> Demands:
    deliver_by = None
    if queued.deliver_by is not None and queued.deliver_by_mode is not None:
        seconds = int((queued.deliver_by - at).total_seconds())
        deliver_by = DeliverBy(seconds, queued.deliver_by_mode)
    return Demands(deliver_by, queued.priority or None, queued.requiretls)


async def content_of(opened: OpenMail, message: Message, store: ContentStore) -> AsyncIterator[bytes]:
    """The message as it goes out. Raises ContentMissing, ContentCorrupt, Unavailable."""
    content, front = message.content, opened.front
    for start, end in presented.stored_ranges(0, message.hidden, content.octets):
        async for octets in store.open(
            content, data_key=opened.data_key, salt=opened.salt, start=start, end=end
        ):
            yield front + octets
            front = b""
    if front:
        yield front
