"""From a received message to `250`: content durable, event durable, then yes (architecture §2.1, §7).

Nothing is half accepted: an object or a content without its event is garbage the sweep finds, and an
event never names content that is not there.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from gateway.domain import sealing
from gateway.domain.events import (
    Actor,
    By,
    ContentStored,
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
from gateway.mail import carving, presented, summary
from gateway.mail.address import Address
from gateway.mail.ids import ID_ENTROPY_OCTETS, AgencyId, MailId, new_mail_id
from gateway.mail.mime import Part
from gateway.mail.reply import Reply, reply
from gateway.ports import Clock, ContentStore, Entropy, Full, KeyStore, Lane, Spooled, Unavailable
from gateway.processes import maillog

SALT_OCTETS: Final = 16
# Above this, carving (decoding and hashing) is done in a thread, so that other sessions go on.
INLINE_OCTETS_MAX: Final = 256 * 1024

SHORT_OF_SPACE = reply(452, "4.3.1", "Short of space, try again later")
HEADER_TOO_LARGE = reply(552, "5.3.4", "Message header too large")
TOO_MANY_TRACES = reply(554, "5.6.0", "Too many Return-Path or Authentication-Results fields")
CANNOT_ANSWER = reply(451, "4.3.0", "Temporary local problem, try again later")


@dataclass(frozen=True, slots=True)
class Transaction:
    """What the session learnt before the message: envelope, and who is talking to us how."""

    mail_from: Address | None  # None is the null reverse-path
    rcpt_to: tuple[Address, ...]
    agencies: tuple[AgencyId, ...]  # whose domain each recipient is in, in the same order
    helo: str
    remote_ip: str
    protocol: str  # RFC 3848 and RFC 6531 §4.3: ESMTP, ESMTPS, UTF8SMTP, …
    smtputf8: bool = False
    eight_bit: bool = False


class Acceptance:
    """Makes mails durable, one `accept` per message; as many at once as there are sessions."""

    def __init__(
        self,
        *,
        hostname: str,
        by: By,
        lane: Lane,
        content: ContentStore,
        keys: KeyStore,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._hostname, self._by = hostname, by
        self._lane, self._content, self._keys = lane, content, keys
        self._clock, self._entropy = clock, entropy

    async def accept(self, transaction: Transaction, spool: Spooled, tree: Part) -> Reply:
        """`250 2.0.0 <mail_id>` when content and event are on disk; 451 or 452 when neither counts.

        tree: the structure that `StructureScanner` found while the octets came. Raises Deposed when this
        edge lost its lane: the session must close unanswered.
        """
        started = self._clock.monotonic()
        hidden = presented.hidden_ranges(tree.header_octets, self._hostname)
        if tree.is_cut:  # what is beyond the cut could claim to be ours, and nobody looked
            return HEADER_TOO_LARGE
        if len(hidden) > presented.HIDDEN_RANGES_MAX:
            return TOO_MANY_TRACES
        at = self._clock.now()
        mail_id = new_mail_id(at, self._entropy(ID_ENTROPY_OCTETS))
        try:
            facts = await self._make_durable(mail_id, at, transaction, spool, tree, hidden)
            position = await self._lane.append(facts)
        except Full as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="accept")
            return SHORT_OF_SPACE
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="accept")
            return CANNOT_ANSWER
        maillog.mail_accepted(
            mail_id=mail_id,
            octets=spool.octets,
            recipients=len(transaction.rcpt_to),
            position=position,
            took_s=self._clock.monotonic() - started,
        )
        return reply(250, "2.0.0", mail_id)

    async def _make_durable(
        self,
        mail_id: MailId,
        at: datetime,
        transaction: Transaction,
        spool: Spooled,
        tree: Part,
        hidden: tuple[tuple[int, int], ...],
    ) -> Sequence[Fact]:
        """Store the content; give the facts that say so, for one append."""
        # Until people sign in (2/9) a sender's domain is only a claim: the first recipient's agency keeps
        # the keys and shares the attachments.
        agency_id = transaction.agencies[0]
        data_key = self._entropy(sealing.DATA_KEY_OCTETS)
        salt = self._entropy(SALT_OCTETS)
        if spool.octets <= INLINE_OCTETS_MAX:
            skeleton = carving.carve(tree, spool.read)
        else:
            skeleton = await asyncio.to_thread(carving.carve, tree, spool.read)
        stored = await self._content.put(
            spool, skeleton=skeleton, data_key=data_key, salt=salt, agency_id=agency_id
        )

        front = self._front(mail_id, at, transaction, tree.header_octets)
        secret = MessageSecret(front=front, salt=salt, summary=summary.encode(summary.summarise(tree)))
        message = Message(
            content=stored.content,
            presented_octets=presented.presented_octets(len(front), hidden, spool.octets),
            sealed=self._seal(data_key, secret, f"message:{mail_id}"),
            hidden=hidden,
        )
        envelope = EnvelopeSecret(
            mail_from=None if transaction.mail_from is None else str(transaction.mail_from),
            rcpt_to=tuple(str(address) for address in transaction.rcpt_to),
            helo=transaction.helo,
            remote_ip=transaction.remote_ip,
        )
        transit, traffic = f"transit.{agency_id}.{at:%Y%m%d}", f"traffic.{agency_id}.{at:%Y%m}"
        stamp = Stamp(at=at, actor=Actor("remote"), by=self._by, cause=mail_id).fields()
        accepted = MailAccepted(
            **stamp,
            mail_id=mail_id,
            agency_id=agency_id,
            recipients=tuple(Recipient(id=i, agency_id=a) for i, a in enumerate(transaction.agencies)),
            message=message,
            keys=(Wrap(transit, sealing.wrap(data_key, await self._keys.get_or_make(transit))),),
            sealed=self._seal(data_key, envelope, f"envelope:{mail_id}"),
            traffic=self._seal(await self._keys.get_or_make(traffic), envelope, f"traffic:{mail_id}"),
            traffic_key=traffic,
            smtputf8=transaction.smtputf8,
            eight_bit=transaction.eight_bit,
        )
        objects = [
            Fact(
                "content",
                ContentStored(**stamp, name=o.name, octets=o.octets, digest=o.digest),
            )
            for o in stored.objects
        ]
        return [*objects, Fact(mail_history(mail_id), accepted)]

    def _front(self, mail_id: MailId, at: datetime, transaction: Transaction, header: bytes) -> bytes:
        reception = presented.Reception(
            helo=transaction.helo,
            remote_ip=transaction.remote_ip,
            by_host=self._hostname,
            protocol=transaction.protocol,
            mail_id=mail_id,
            at=at,
        )
        mail_from = transaction.mail_from
        return presented.front(None if mail_from is None else str(mail_from), reception, header)

    def _seal(self, key: bytes, secret: msgspec.Struct, label: str) -> bytes:
        return sealing.seal(secret, key, nonce=self._entropy(sealing.NONCE_OCTETS), label=label)
