"""Mail to a list: may it be posted, and then, in parts, the mails that take it to the members.

A mail of a list is a mail of its own, accepted as any other: with the list's return path and header fields,
the same stored content, and 500 members at most, without those whom the mail names itself. Who they are was
fixed by list.expanded, so that a crash between the parts changes nothing about the others.

Source: architecture §2.2; RFC 5321 §3.9.2, RFC 2919, RFC 2369, RFC 9228; RFC 3463 §3.6, §3.8.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.domain import sealing
from gateway.domain.account import Account, account_key_name
from gateway.domain.account_status import own_address
from gateway.domain.aggregate import replay
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
from gateway.domain.histories import history_of, mail_history
from gateway.domain.maillist import ListExpanded, MailList, bounces_of, list_id
from gateway.domain.routing import (
    Expanding,
    Hosted,
    Listed,
    NotAllowed,
    OpenedMail,
    envelope_label,
    message_label,
    traffic_key_name,
    traffic_label,
    transit_key_name,
)
from gateway.mail import listing
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import ID_ENTROPY_OCTETS, AccountId, new_mail_id
from gateway.mail.presented import presented_octets
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

# 254 octets each at most: the envelope stays below the 128 KiB that its event takes.
PART_MEMBERS_MAX: Final = 500
HEADER_OCTETS_MAX: Final = 256 * 1024
POSTMASTER: Final = "postmaster"
NO_LOOPS: Final = "This list has passed this mail on before"
NO_POSTING: Final = "The sender may not post to this list"


@dataclass(frozen=True, slots=True)
class _Found:
    """A list as its history tells of it, and what opens it."""

    mail_list: MailList
    address: Address
    key: bytes

    @property
    def identifier(self) -> str:
        return listing.list_identifier(self.address, self.mail_list.account_id)


class Lists:
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

    async def look(
        self, mail: OpenedMail, recipient: Address, listed: Listed
    ) -> Expanding | NotAllowed | Hosted:
        """What becomes of a list's recipient. Reports about its mails go to its own mailbox."""
        inbox = Hosted(listed.agency_id, listed.account_id, listed.mailbox_id, listed.room, listed.owner)
        found = await self._find(listed.account_id)
        if found is None or recipient.normalise() == bounces_of(found.address).normalise():
            return inbox
        if mail.envelope.mail_from is None or recipient.local_part.lower() == POSTMASTER:
            return inbox  # for the list's keeper: reports, answers by machines, and RFC 5321 §4.5.1
        secret = sealing.unseal(
            MessageSecret,
            mail.accepted.message.sealed,
            mail.data_key,
            label=message_label(mail.accepted.mail_id),
        )
        header = secret.front + await self._header(mail.accepted.message, mail.data_key, secret.salt)
        if listing.has_been_at(header, found.address, found.identifier):
            return NotAllowed(listed.agency_id, "5.4.6", NO_LOOPS)
        if not found.mail_list.may_post(parse_address(mail.envelope.mail_from), found.key):
            return NotAllowed(listed.agency_id, "5.7.2", NO_POSTING)
        count = len(found.mail_list.members(found.key))
        version = found.mail_list.version
        return Expanding(listed.agency_id, listed.account_id, version, count, listed.owner)

    async def on(self, recorded: Recorded, ended: Collection[int]) -> list[Fact]:
        """The mails to the members. ended: parts that are in the log already."""
        expanded = recorded.event
        assert isinstance(expanded, ListExpanded), expanded
        accepted = (await self._log.read(Position(int(expanded.cause)))).event
        assert isinstance(accepted, MailAccepted), f"{expanded.cause} is no mail to expand"
        found = await self._find(expanded.account_id, expanded.version)
        wrap = accepted.keys[0]
        try:
            data_key = sealing.unwrap(wrap.wrapped, await self._keys.get(wrap.key))
        except KeyForgotten:
            found = None
        if found is None:  # it was erased meanwhile, and with it who its members were
            return []
        secret = sealing.unseal(
            MessageSecret, accepted.message.sealed, data_key, label=message_label(accepted.mail_id)
        )
        header = await self._header(accepted.message, data_key, secret.salt)
        hidden = listing.hidden_of_lists(header, accepted.message.hidden)
        front = listing.list_front(secret.front, found.address, found.identifier, bounces_of(found.address))
        passed_on = msgspec.structs.replace(
            accepted.message,
            hidden=hidden,
            presented_octets=presented_octets(len(front), hidden, accepted.message.content.octets),
        )
        secret = msgspec.structs.replace(secret, front=front)
        envelope = sealing.unseal(
            EnvelopeSecret, accepted.sealed, data_key, label=envelope_label(accepted.mail_id)
        )
        has_it = {str(parse_address(address).normalise()) for address in envelope.rcpt_to}
        members = [
            member for name, member in found.mail_list.members(found.key).items() if name not in has_it
        ]
        parts = [members[at : at + PART_MEMBERS_MAX] for at in range(0, len(members), PART_MEMBERS_MAX)]
        return [
            await self._accepted(recorded, accepted, passed_on, secret, data_key, some, number, found)
            for number, some in enumerate(parts)
            if number not in ended
        ]

    async def _accepted(
        self,
        recorded: Recorded,
        accepted: MailAccepted,
        message: Message,
        secret: MessageSecret,
        data_key: bytes,
        members: Sequence[Address],
        part: int,
        found: _Found,
    ) -> Fact:
        """One of the mails, wrapped for the list's agency."""
        expanded = recorded.event
        assert isinstance(expanded, ListExpanded), expanded
        at, agency_id = self._clock.now(), expanded.agency_id
        mail_id = new_mail_id(at, self._entropy(ID_ENTROPY_OCTETS))
        stamp = Stamp(at=at, actor=Actor("system", "router"), by=self._by, cause=str(recorded.position))
        envelope = EnvelopeSecret(mail_from=str(bounces_of(found.address)), rcpt_to=tuple(map(str, members)))
        transit, traffic = transit_key_name(agency_id, at), traffic_key_name(agency_id, at)
        transit_key = await self._keys.get_or_make(transit)
        traffic_key = await self._keys.get_or_make(traffic)
        event = MailAccepted(
            **stamp.fields(),
            mail_id=mail_id,
            agency_id=agency_id,
            recipients=tuple(Recipient(id=number) for number in range(len(members))),
            message=msgspec.structs.replace(
                message, sealed=self._seal(data_key, secret, message_label(mail_id))
            ),
            keys=(Wrap(transit, sealing.wrap(data_key, transit_key)),),
            sealed=self._seal(data_key, envelope, envelope_label(mail_id)),
            traffic=self._seal(traffic_key, envelope, traffic_label(mail_id)),
            traffic_key=traffic,
            smtputf8=accepted.smtputf8 or not all(each.is_ascii for each in (found.address, *members)),
            eight_bit=accepted.eight_bit,
            binary=accepted.binary,
            report_of=accepted.report_of,
            secrecy=accepted.secrecy,
            requiretls=accepted.requiretls,
            priority=accepted.priority,
            expands=accepted.mail_id,
            part=part,
        )
        return Fact(mail_history(mail_id), event)

    async def _find(self, account_id: AccountId, version: int | None = None) -> _Found | None:
        """The list as it is, or was at a version; None: it was erased, or is no list yet."""
        try:
            key = await self._keys.get(account_key_name(account_id))
        except KeyForgotten:
            return None
        history = [recorded.event for recorded in await self._log.history(history_of(list_id(account_id)))]
        mail_list = replay(MailList, history[:version])
        account = replay(Account, [r.event for r in await self._log.history(history_of(account_id))])
        if mail_list is None or account is None:
            return None
        return _Found(mail_list, own_address(account, key), key)

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
