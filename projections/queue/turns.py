"""Whose turn it is: who waits for whom, one after the other.

A turn is a sender's agency at a destination, with one priority. Its first mail is found by one look into the
index, and the next turn by another, so that what waits behind it costs nothing. How many turns are looked at
is bounded; the next look goes on where this one ended, and begins again at the end.
"""

from datetime import datetime
from typing import Final, NamedTuple

from projections.queue.project import QueueModel
from projections.readmodel import Rows, schema_of

TURNS_MAX: Final = 1_000  # of one look: 600 destinations, and who sends to them by hundreds


class Turn(NamedTuple):
    """Mails of one agency's senders for a destination. accepted_by: "" for other hosts' mail."""

    destination: str
    accepted_by: str
    priority: int


BEFORE_ALL: Final = Turn("", "", -10)

WAITING = f"""
WITH RECURSIVE turn AS (
    (SELECT r.destination, r.accepted_by, r.priority, r.next_attempt_at, 1 AS number
     FROM {schema_of(QueueModel)}.recipient AS r
     WHERE r.outcome = 'waiting' AND (r.destination, r.accepted_by, r.priority) > ($1, $2, $3)
     ORDER BY r.destination, r.accepted_by, r.priority, r.next_attempt_at LIMIT 1)
    UNION ALL
    SELECT next.*, turn.number + 1 FROM turn CROSS JOIN LATERAL (
        SELECT r.destination, r.accepted_by, r.priority, r.next_attempt_at
        FROM {schema_of(QueueModel)}.recipient AS r
        WHERE r.outcome = 'waiting' AND (r.destination, r.accepted_by, r.priority)
            > (turn.destination, turn.accepted_by, turn.priority)
        ORDER BY r.destination, r.accepted_by, r.priority, r.next_attempt_at LIMIT 1) AS next
    WHERE turn.number < $4
)
SELECT destination, accepted_by, priority, next_attempt_at <= $5 AS is_due, number FROM turn
WHERE next_attempt_at <= $5 OR number = $4 ORDER BY number
"""


async def of_whom_waits(rows: Rows, at: datetime, *, after: Turn = BEFORE_ALL) -> tuple[list[Turn], Turn]:
    """The turns with a mail that is due, and after which one the next look begins."""
    found = await rows.fetch(WAITING, *after, TURNS_MAX, at)
    seen = [Turn(row["destination"], row["accepted_by"], row["priority"]) for row in found]
    is_more = bool(found) and found[-1]["number"] == TURNS_MAX
    due = [turn for turn, row in zip(seen, found, strict=True) if row["is_due"]]
    return due, seen[-1] if is_more else BEFORE_ALL
