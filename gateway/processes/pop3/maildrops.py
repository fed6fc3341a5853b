"""INBOX as POP3 has it: opened, read with a fact before the first octet leaves, and expunged at the end.

Source: architecture §2 and §9 (reads), RFC 1939 §5, §6.
"""

from array import array
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gateway.domain.changes import MessageExpunged, MessageFlagged, in_parts
from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.histories import box_history
from gateway.mail.ids import AccountId, MailboxId
from gateway.mail.uids import uids_text
from gateway.ports import Clock, ContentMissing, ContentStore, KeyStore, Lane, Unavailable
from gateway.processes.changing import Changing
from gateway.processes.presenting import open_message
from gateway.processes.reading import Reader, Reading
from gateway.protocols.pop3.maildrop import Maildrop
from projections.mailbox.query import list_mailboxes, read_messages, sizes_of
from projections.readmodel import Pool

OUTCOME_S: Final = 60.0  # architecture §2


@dataclass(frozen=True, slots=True)
class OpenMaildrop:
    """reader: who fetches, and from where."""

    account_id: AccountId
    mailbox_id: MailboxId
    maildrop: Maildrop
    reader: Reader


class Maildrops:
    """For all sessions of one process."""

    def __init__(
        self,
        *,
        pool: Pool,
        content: ContentStore,
        keys: KeyStore,
        lane: Lane,
        changing: Changing,
        reading: Reading,
        clock: Clock,
        by: By,
    ) -> None:
        self._pool, self._content, self._keys = pool, content, keys
        self._lane, self._changing, self._reading = lane, changing, reading
        self._clock, self._by = clock, by

    async def open(self, account_id: AccountId, remote_ip: str) -> OpenMaildrop:
        """What is in INBOX now. Raises Unavailable, also when the account is so new that it has none."""
        async with self._pool.snapshot() as rows:
            inbox = next((row for row in await list_mailboxes(rows, account_id) if row.role == "inbox"), None)
            if inbox is None:
                raise Unavailable("projector", f"{account_id} has no INBOX yet")
            there = await sizes_of(rows, account_id, inbox.mailbox_id)
        maildrop = Maildrop(
            inbox.uidvalidity,
            array("I", [uid for uid, _ in there]),
            array("Q", [octets for _, octets in there]),
        )
        return OpenMaildrop(account_id, inbox.mailbox_id, maildrop, Reader("retr", "", remote_ip))

    async def read(self, drop: OpenMaildrop, uid: int, *, is_peek: bool) -> AsyncIterator[bytes]:
        """The message in pieces; the fact that it was read is durable before the first of them.

        is_peek: it does not count as seen. Raises KeyForgotten, ContentMissing, ContentCorrupt, Unavailable:
        in the middle of a message too, which must not look whole then.
        """
        async with self._pool.rows() as rows:
            found = await read_messages(rows, drop.account_id, drop.mailbox_id, [(uid, uid)])
        if not found:
            raise ContentMissing(f"{drop.account_id} has no message {uid}")
        (row,) = found
        opened = await open_message(self._keys, row.head.mail_id, row.message, row.keys)
        pieces = opened.octets(self._content)
        first = await anext(pieces, b"")
        await self._note_read(drop, uid, is_peek=is_peek)
        yield first
        async for piece in pieces:
            yield piece

    async def _note_read(self, drop: OpenMaildrop, uid: int, *, is_peek: bool) -> None:
        stamp, history = self._stamp(drop), box_history(drop.account_id)
        read = await self._reading.event(
            drop.account_id, drop.mailbox_id, [(uid, uid)], drop.reader, stamp, is_peek=is_peek
        )
        facts = [Fact(history, read)]
        if not is_peek:  # precedent: Dovecot, unless pop3_no_flag_updates is set
            seen = MessageFlagged(
                **stamp.fields(),
                account_id=drop.account_id,
                mailbox_id=drop.mailbox_id,
                uids=str(uid),
                how="add",
                flags=("\\Seen",),
            )
            facts.append(Fact(history, seen))
        await self._lane.append(facts)

    async def expunge(self, drop: OpenMaildrop) -> None:
        """What the session has deleted is gone: durable when this returns, and shown to nobody any more if
        the rows follow within a minute. Raises Unavailable and Full (nothing was deleted), Deposed."""
        deleted = drop.maildrop.deleted
        if not deleted:
            return
        events = [
            MessageExpunged(
                **self._stamp(drop).fields(),
                account_id=drop.account_id,
                mailbox_id=drop.mailbox_id,
                uids=uids_text(part),
            )
            for part in in_parts(deleted)
        ]
        position = (await self._changing.append(drop.account_id, events))[-1]
        with suppress(Unavailable):  # it stands in the log all the same
            await self._changing.await_rows(drop.account_id, position, OUTCOME_S)

    def _stamp(self, drop: OpenMaildrop) -> Stamp:
        return Stamp(self._clock.now(), Actor("account", drop.account_id), self._by)
