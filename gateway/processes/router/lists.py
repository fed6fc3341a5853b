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
    EnvelopeSecret,
    Fact,
    MailAccepted,
    Message,
    MessageSecret,
)
from gateway.domain.histories import history_of
from gateway.domain.maillist import ListExpanded, MailList, bounces_of, list_id
from gateway.domain.routing import (
    Expanding,
    Hosted,
    Listed,
    NotAllowed,
    OpenedMail,
    envelope_label,
    message_label,
)
from gateway.mail import listing
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AccountId
from gateway.mail.presented import presented_octets
from gateway.ports import (
    KeyForgotten,
    Position,
    Recorded,
)
from gateway.processes.router.passing_on import PassingOn

# 254 octets each at most: the envelope stays below the 128 KiB that its event takes.
PART_MEMBERS_MAX: Final = 500
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


class Lists(PassingOn):
    """All raise Unavailable."""

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
        # Whose mail it is that an account forwards here.
        sender = await self.return_paths.opened(parse_address(mail.envelope.mail_from))
        if not found.mail_list.may_post(sender, found.key):
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
            await self._to_members(recorded, accepted, passed_on, secret, data_key, some, number, found)
            for number, some in enumerate(parts)
            if number not in ended
        ]

    async def _to_members(
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
        envelope = EnvelopeSecret(mail_from=str(bounces_of(found.address)), rcpt_to=tuple(map(str, members)))
        return await self._take_further(
            accepted, recorded.position, expanded.agency_id, envelope, message, secret, data_key, part=part
        )

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
