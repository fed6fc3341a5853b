"""That somebody reads messages: a fact, appended by whoever lets content out before its first octet leaves.

Used wherever people read: IMAP, POP3, the command line, exports (architecture §2, §9 "reads").
"""

from dataclasses import dataclass

from gateway.domain import sealing
from gateway.domain.account import account_key_name
from gateway.domain.events import MessageRead, ReadHow, ReadSecret, Stamp
from gateway.mail.ids import AccountId, MailboxId
from gateway.mail.uids import Ranges, uids_text
from gateway.ports import Entropy, KeyStore


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, with what, and why. client: as it names itself; "": it does not."""

    how: ReadHow
    client: str = ""
    remote_ip: str = ""
    reason: str = ""


class Reading:
    """Makes the facts; appending them is the caller's."""

    def __init__(self, keys: KeyStore, entropy: Entropy) -> None:
        self._keys, self._entropy = keys, entropy

    async def event(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Ranges,
        reader: Reader,
        stamp: Stamp,
        *,
        is_peek: bool = False,
    ) -> MessageRead:
        """account_id: whose mailbox it is; `stamp` says who reads. Raises KeyForgotten, Unavailable."""
        key_name = account_key_name(account_id)
        sealed = sealing.seal(
            ReadSecret(client=reader.client, remote_ip=reader.remote_ip, reason=reader.reason),
            await self._keys.get(key_name),
            nonce=self._entropy(sealing.NONCE_OCTETS),
            label=f"read:{account_id}",
        )
        return MessageRead(
            **stamp.fields(),
            account_id=account_id,
            mailbox_id=mailbox_id,
            uids=uids_text(uids),
            how=reader.how,
            sealed=sealed,
            sealed_key=key_name,
            peek=is_peek,
        )
