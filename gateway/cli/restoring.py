"""Bringing expunged messages back: which can come back, and the facts that bring them.

Content stays after EXPUNGE as long as policy says, and the rows keep a tombstone of each message. One whose
message goes on elsewhere, moved or restored before, cannot come back a second time: the fold sees to it.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from gateway.cli.desk import stamp
from gateway.domain.changes import MessageRestored, in_parts
from gateway.domain.events import Fact
from gateway.domain.histories import box_history
from gateway.mail.ids import AccountId, MailboxId
from gateway.mail.uids import Ranges, count_uids, ranges_of, uids_text
from gateway.ports import Position, Unavailable
from gateway.wiring.desk import Desk
from projections.checkpoint import reached
from projections.mailbox.project import MailboxModel
from projections.mailbox.query import Head, list_restorable, outcome_of

PAGE: Final = 1_000
ROWS_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Lost:
    """A message that can come back."""

    head: Head
    expunged_at: datetime

    @property
    def mailbox_id(self) -> MailboxId:
        return self.head.mailbox_id


async def lost_messages(desk: Desk, account_id: AccountId, since: datetime | None) -> AsyncIterator[Lost]:
    """The latest first. since: expunged then or later; None: ever."""
    times: dict[Position, datetime] = {}
    last: Head | None = None
    while True:
        async with desk.pool.rows() as rows:
            page = await list_restorable(rows, account_id, before=last, limit=PAGE)
        for head in page:
            assert head.expunged_at is not None, head
            if head.expunged_at not in times:
                times[head.expunged_at] = (await desk.log.read(head.expunged_at)).event.at
            if since is not None and times[head.expunged_at] < since:
                return
            yield Lost(head, times[head.expunged_at])
        if len(page) < PAGE:
            return
        last = page[-1]


async def restore(
    desk: Desk, account_id: AccountId, chosen: Sequence[Lost], targets: Mapping[MailboxId, MailboxId]
) -> dict[MailboxId, int]:
    """How many came back, by where they arrived. targets: where to, by where they were.

    Somebody else may have brought some of them back meanwhile: those count there. Raises Unavailable.
    """
    events = [
        MessageRestored(
            account_id=account_id,
            mailbox_id=mailbox_id,
            uids=uids_text(ranges),
            to_mailbox_id=targets[mailbox_id],
            **stamp(desk).fields(),
        )
        for mailbox_id, ranges in _ranges(chosen)
    ]
    positions = []
    async with desk.lane() as lane:
        for event in events:
            positions.append(await lane.append([Fact(box_history(account_id), event)]))
    if not await reached(desk.pool, MailboxModel, positions[-1], ROWS_TIMEOUT_S):
        raise Unavailable("projector", "they will be back once the rows have followed, see `saraban status`")
    arrived: dict[MailboxId, int] = {}
    async with desk.pool.rows() as rows:
        for position in positions:
            outcome = await outcome_of(rows, account_id, position)
            if outcome is not None and outcome.applied:
                place = MailboxId(outcome.to_mailbox_id)
                arrived[place] = arrived.get(place, 0) + count_uids(outcome.applied)
    return arrived


def _ranges(chosen: Iterable[Lost]) -> Iterable[tuple[MailboxId, Ranges]]:
    """By mailbox, as many ranges as an event takes."""
    in_order = sorted(chosen, key=lambda one: (one.mailbox_id, one.head.uid))
    for mailbox_id, group in groupby(in_order, key=lambda one: one.mailbox_id):
        ranges = ranges_of(one.head.uid for one in group)
        for part in in_parts(ranges):
            yield mailbox_id, part
