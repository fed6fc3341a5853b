"""Messages that go from one account's mailboxes to another's: copies, and the second half of moves.

What is there is sealed for one account. The other gets it under an id of its own, sealed and wrapped anew;
the octets, their data key and what is shared of them stay where they are.

A move is two facts in two histories: moved_out, whose fold decides who has won, then moved_in. Whoever
finishes one, finishes it with the ids that moved_out names, so it arrives once however often that is done.

Source: architecture §2 (imap), §5 (keys); ADR 0027.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.domain import sealing
from gateway.domain.account import account_key_name
from gateway.domain.changes import MessageAppended, MessageMovedIn
from gateway.domain.events import Actor, By, Message, Stamp, Wrap
from gateway.domain.routing import message_label
from gateway.mail.ids import ID_ENTROPY_OCTETS, AccountId, MailboxId, MailId, new_mail_id
from gateway.ports import Clock, Entropy, EventLog, Full, KeyForgotten, KeyStore, Unavailable
from gateway.processes import maillog
from gateway.processes.changing import Changing
from gateway.processes.presenting import open_message
from projections.mailbox.query import MessageRow, read_messages
from projections.mailbox.sharing import Departure, departures
from projections.readmodel import Pool

A_GROUP: Final = 60  # each with a summary of 8 KiB at most: half of the 1 MB of a group (architecture §4)
AT_ONCE: Final = 500  # that are finished before it is looked again
LOOK_EVERY_S: Final = 5.0
REACH_TIMEOUT_S: Final = 10.0
# Whose session is not gone has finished a move by then; if it has not, it finds that somebody else has.
LEFT_BEHIND_AFTER: Final = timedelta(seconds=20)
# Older ones are looked for as often: rows may have been away so long, or the key store.
LATELY: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Target:
    account_id: AccountId
    mailbox_id: MailboxId


class Transfers:
    """Makes the facts for the account that gets messages, and finishes what was left half done."""

    def __init__(
        self,
        *,
        log: EventLog,
        pool: Pool,
        keys: KeyStore,
        changing: Changing,
        clock: Clock,
        entropy: Entropy,
        by: By,
    ) -> None:
        self._log, self._pool, self._keys, self._changing = log, pool, keys, changing
        self._clock, self._entropy, self._by = clock, entropy, by
        self._erased = set[MailId]()  # what nobody can finish
        self._all_arrived_at: datetime | None = None  # when all that ever left was looked at

    def new_ids(self, count: int) -> tuple[MailId, ...]:
        now = self._clock.now()
        return tuple(new_mail_id(now, self._entropy(ID_ENTROPY_OCTETS)) for _ in range(count))

    async def copied(
        self, message: MessageRow, flags: Sequence[str], target: Target, stamp: Stamp
    ) -> MessageAppended:
        """Raises KeyForgotten, Unavailable."""
        (mail_id,) = self.new_ids(1)
        return MessageAppended(
            **stamp.fields(), **await self._sealed_for(message, mail_id, target), flags=tuple(flags)
        )

    async def moved_in(
        self, message: MessageRow, flags: Sequence[str], departure: Departure, stamp: Stamp
    ) -> MessageMovedIn:
        """Raises KeyForgotten, Unavailable."""
        target = Target(departure.to_account_id, departure.to_mailbox_id)
        return MessageMovedIn(
            **stamp.answering(departure.position),
            **await self._sealed_for(message, departure.mail_id, target),
            flags=tuple(flags),
            from_account_id=departure.account_id,
            from_position=departure.position,
        )

    async def _sealed_for(self, message: MessageRow, mail_id: MailId, target: Target) -> dict[str, Any]:
        """The fields of the fact that it is there: of a message, sealed for another account."""
        opened = await open_message(self._keys, message.head.mail_id, message.message, message.keys)
        key_name = account_key_name(target.account_id)
        wrapped = sealing.wrap(opened.data_key, await self._keys.get(key_name))
        sealed = sealing.seal(
            opened.secret,
            opened.data_key,
            nonce=self._entropy(sealing.NONCE_OCTETS),
            label=message_label(mail_id),
        )
        stored = message.message
        return {
            "account_id": target.account_id,
            "mailbox_id": target.mailbox_id,
            "mail_id": mail_id,
            "message": Message(stored.content, stored.presented_octets, sealed, stored.hidden),
            "keys": (Wrap(key_name, wrapped),),
            "internal_date": message.head.internal_date,
        }

    # --- what was left half done --------------------------------------------------------------------------

    async def run(self) -> None:
        """Finish moves whose process was killed in between, until cancelled. Raises Deposed."""
        while True:
            try:
                await self.finish()
            except Unavailable as error:
                maillog.service_unavailable(service=error.service, reason=error.reason, doing="finish moves")
            except Full as error:
                maillog.service_unavailable(service="log", reason=str(error), doing="finish moves")
            await self._clock.sleep(LOOK_EVERY_S)

    async def finish(self) -> int:
        """Finish what left some time ago and has not arrived; how many. Raises Unavailable, Full, Deposed."""
        now = self._clock.now()
        is_due = self._all_arrived_at is None or now - self._all_arrived_at >= LATELY
        since = None if is_due else now - LATELY
        left = await self._left_behind(since, now)
        if not left:
            self._all_arrived_at = now if is_due else self._all_arrived_at
            return 0
        # It may have arrived in the log, and only not in the rows.
        last = await self._log.last()
        reached = {
            account_id
            for account_id in {one.to_account_id for one in left}
            if await self._changing.await_rows(account_id, last, REACH_TIMEOUT_S)
        }
        left = [one for one in await self._left_behind(since, now) if one.to_account_id in reached]
        for departure in left:
            await self._finish(departure)
        return len(left)

    async def _left_behind(self, since: datetime | None, now: datetime) -> list[Departure]:
        async with self._pool.rows() as rows:
            before = now - LEFT_BEHIND_AFTER
            return await departures(rows, since=since, before=before, but=self._erased, limit=AT_ONCE)

    async def _finish(self, departure: Departure) -> None:
        stamp = Stamp(self._clock.now(), Actor("account", departure.mover), self._by)
        viewer = departure.mover if departure.mover != departure.account_id else None
        uids = [(departure.uid, departure.uid)]
        async with self._pool.rows() as rows:
            (message,) = await read_messages(
                rows, departure.account_id, departure.mailbox_id, uids, viewer=viewer
            )
        try:
            event = await self.moved_in(message, message.head.flags.split(), departure, stamp)
        except KeyForgotten:  # one of the two was erased, and what it takes to open this with it
            self._erased.add(departure.mail_id)
            return
        await self._changing.record(departure.to_account_id, [event])
