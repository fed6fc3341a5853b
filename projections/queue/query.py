"""What is due, what waits, what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from gateway.domain import codec
from gateway.domain.events import MailQueued
from gateway.mail.ids import AgencyId, MailId
from projections.queue.project import QueueModel, Recipient
from projections.readmodel import Rows, schema_of

_SCHEMA = schema_of(QueueModel)
# RFC 6710 §5. Each has its own look into the index, so that what is not due yet is not walked over.
PRIORITY_MIN: Final = -9
PRIORITY_MAX: Final = 9


@dataclass(frozen=True, slots=True)
class Due:
    """Recipients of one mail.queued that wait for an attempt.

    attempts: made so far, side by side with recipients; tried_at: when the last of them was.
    """

    position: int  # of mail.queued
    mail_id: MailId
    queued: MailQueued
    recipients: tuple[int, ...]
    attempts: tuple[int, ...]
    tried_at: tuple[datetime | None, ...]

    @property
    def agency_id(self) -> AgencyId | None:
        return self.queued.agency_id


async def due(rows: Rows, at: datetime, *, limit: int, leased_too: bool = False) -> list[Due]:
    """Who is due by `at` and not leased to a relay, most urgent first, then longest waiting.

    limit: recipients, not mails.

    leased_too: as if nobody had a lease, for the relay that has just taken its own.
    """
    free = "" if leased_too else _UNLEASED
    found = await rows.fetch(
        f"""SELECT r.position, r.mail_id, array_agg(r.recipient ORDER BY r.recipient) AS recipients,
            array_agg(r.attempt ORDER BY r.recipient) AS attempts,
            array_agg(r.tried_at ORDER BY r.recipient) AS tried_at, q.state
        FROM (SELECT r.* FROM generate_series({PRIORITY_MIN}, {PRIORITY_MAX}) AS urgent (priority)
              CROSS JOIN LATERAL (SELECT * FROM {_SCHEMA}.recipient AS r
                  WHERE outcome = 'waiting' AND r.priority = urgent.priority AND next_attempt_at <= $1 {free}
                  ORDER BY next_attempt_at, mail_id, recipient LIMIT $2) AS r
              ORDER BY r.priority DESC, next_attempt_at, mail_id, recipient LIMIT $2) AS r
        JOIN {_SCHEMA}.queued AS q ON q.position = r.position
        GROUP BY r.position, r.mail_id, q.state
        ORDER BY max(r.priority) DESC, min(r.next_attempt_at), r.position""",
        at,
        limit,
    )
    return [_due(row) for row in found]


_UNLEASED = """AND NOT EXISTS (
    SELECT FROM leases.relay_lease AS l
    WHERE l.mail_id = r.mail_id AND l.recipient = r.recipient AND l.until > statement_timestamp())"""


async def still_due(
    rows: Rows, at: datetime, due: Sequence[Due]
) -> dict[int, dict[int, tuple[int, datetime | None]]]:
    """Look again: by position of mail.queued, who still waits and is due, with the attempts made so far and
    when the last of them was."""
    pairs = [(one.position, recipient) for one in due for recipient in one.recipients]
    found = await rows.fetch(
        f"""SELECT r.position, r.recipient, r.attempt, r.tried_at
        FROM unnest($2::bigint[], $3::int[]) AS seen (position, recipient)
        JOIN {_SCHEMA}.queued AS q USING (position)
        JOIN {_SCHEMA}.recipient AS r ON (r.mail_id, r.recipient) = (q.mail_id, seen.recipient)
            AND r.position = q.position
        WHERE r.outcome = 'waiting' AND r.next_attempt_at <= $1""",
        at,
        [position for position, _ in pairs],
        [recipient for _, recipient in pairs],
    )
    still: dict[int, dict[int, tuple[int, datetime | None]]] = {}
    for position, recipient, attempt, tried_at in found:
        still.setdefault(position, {})[recipient] = attempt, tried_at
    return still


def _due(row: asyncpg.Record) -> Due:
    event = codec.decode(MailQueued.TOPIC, row["state"])
    assert isinstance(event, MailQueued), event
    return Due(
        row["position"],
        MailId(row["mail_id"]),
        event,
        tuple(row["recipients"]),
        tuple(row["attempts"]),
        tuple(row["tried_at"]),
    )


async def held_until(rows: Rows, at: datetime, *, limit: int) -> list[tuple[int, MailId]]:
    """Held mails whose time has come by `at`: position of mail.accepted and id, the longest due first."""
    found = await rows.fetch(
        f"""SELECT position, mail_id FROM {_SCHEMA}.held
        WHERE hold_until <= $1 ORDER BY hold_until, position LIMIT $2""",
        at,
        limit,
    )
    return [(row["position"], MailId(row["mail_id"])) for row in found]


async def waiting(rows: Rows) -> int:
    """How many recipients wait."""
    count: int = await rows.fetchval(f"SELECT count(*) FROM {_SCHEMA}.recipient WHERE outcome = 'waiting'")
    return count


async def list_waiting(
    rows: Rows, *, after: tuple[str, int] = ("", -1), agency_id: AgencyId | None = None, limit: int = 1_000
) -> list[Recipient]:
    """Who waits, by mail and recipient; after: the last (mail_id, recipient) of the page before."""
    found = await rows.fetch(
        f"""SELECT * FROM {_SCHEMA}.recipient
        WHERE outcome = 'waiting' AND (mail_id, recipient) > ($1, $2) AND ($3::text IS NULL OR agency_id = $3)
        ORDER BY mail_id, recipient LIMIT $4""",
        *after,
        agency_id,
        limit,
    )
    return [Recipient(*row.values()) for row in found]
