"""Putting a message into a mailbox by hand: its content made durable, and the facts that say so.

Source: RFC 9051 §6.3.12 (APPEND). The message is stored as it came; nothing is put in front of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain import sealing
from gateway.domain.account import account_key_name
from gateway.domain.changes import MessageAppended
from gateway.domain.events import Fact, Stamp, Wrap
from gateway.domain.histories import box_history
from gateway.mail.ids import ID_ENTROPY_OCTETS, AccountId, AgencyId, MailboxId, new_mail_id
from gateway.mail.mime import Part
from gateway.ports import ContentStore, Entropy, KeyStore, Spooled
from gateway.processes.storing import store_message


@dataclass(frozen=True, slots=True)
class Appended:
    """A message to put into a mailbox. tree: its structure. agency_id: whose attachments it shares."""

    account_id: AccountId
    agency_id: AgencyId
    mailbox_id: MailboxId
    octets: Spooled
    tree: Part
    internal_date: datetime
    flags: Sequence[str] = ()


class Appending:
    """Makes messages durable and gives facts; appending them is the caller's."""

    def __init__(self, content: ContentStore, keys: KeyStore, entropy: Entropy) -> None:
        self._content, self._keys, self._entropy = content, keys, entropy

    async def take(self, appended: Appended, stamp: Stamp) -> list[Fact]:
        """content.stored of what is new, message.appended last.

        Raises Full, Unavailable, KeyForgotten where the account was erased.
        """
        key_name = account_key_name(appended.account_id)
        account_key = await self._keys.get(key_name)
        mail_id = new_mail_id(stamp.at, self._entropy(ID_ENTROPY_OCTETS))
        stored = await store_message(
            self._content,
            self._entropy,
            mail_id=mail_id,
            agency_id=appended.agency_id,
            stamp=stamp,
            octets=appended.octets,
            tree=appended.tree,
        )
        event = MessageAppended(
            **stamp.fields(),
            account_id=appended.account_id,
            mailbox_id=appended.mailbox_id,
            mail_id=mail_id,
            message=stored.message,
            keys=(Wrap(key_name, sealing.wrap(stored.data_key, account_key)),),
            internal_date=appended.internal_date,
            flags=tuple(appended.flags),
        )
        return [*stored.objects, Fact(box_history(appended.account_id), event)]
