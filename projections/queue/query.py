"""What is due for an attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from gateway.domain import codec
from gateway.domain.agency import NextHop
from gateway.domain.events import MailQueued
from gateway.mail.ids import AgencyId, MailId
from projections.queue.project import QueueModel
from projections.queue.turns import Turn
from projections.readmodel import Rows, schema_of

_SCHEMA = schema_of(QueueModel)
# RFC 6710 §5.1: what is urgent goes first, and nothing waits for ever behind it. A level for so long.
LIFTED_AFTER: Final = timedelta(minutes=10)
_MAIL_DOMAIN: Final = "CASE WHEN r.agency_id IS NULL THEN r.domain ELSE '' END"


@dataclass(frozen=True, slots=True)
class Due:
    """Recipients of one mail.queued that wait for an attempt; of one domain, where no agency has it.

    attempts: made so far, side by side with recipients; tried_at: when the last of them was. is_held: by a
    person. next_hop: what a person said; None: the agency's own. domain: "" where an agency has it, or nobody
    can read it any more. changed_at: position of the last event that changed each row.
    """

    position: int  # of mail.queued
    mail_id: MailId
    queued: MailQueued
    recipients: tuple[int, ...]
    attempts: tuple[int, ...]
    tried_at: tuple[datetime | None, ...]
    is_held: bool
    next_hop: NextHop | None
    domain: str
    changed_at: tuple[int, ...]
    destination: str  # as in pace.py

    @property
    def agency_id(self) -> AgencyId | None:
        return self.queued.agency_id


async def due(
    rows: Rows, at: datetime, share: Mapping[Turn, int], *, limit: int, leased_too: bool = False
) -> list[Due]:
    """Who is due by `at` and not leased to a relay. share: how many mails of whom.

    limit: recipients, not mails.

    The first mail of each sender for each destination comes before anybody's second; among them, and among
    those of one sender for one destination, the most urgent first, then who waits longest. Of a destination
    no more mails than its share. leased_too: as if nobody had a lease.
    """
    free = "" if leased_too else UNLEASED
    turns = list(share)
    found = await rows.fetch(
        f"""WITH mail AS (
            SELECT t.destination, t.accepted_by, t.priority, t.share, m.mail_id, m.next_attempt_at,
                t.priority + floor(extract(epoch FROM $5 - m.next_attempt_at) / $7) AS level
            FROM unnest($1::text[], $2::text[], $3::int[], $4::int[])
                AS t (destination, accepted_by, priority, share)
            CROSS JOIN LATERAL (SELECT DISTINCT ON (r.next_attempt_at, r.mail_id) r.next_attempt_at, r.mail_id
                FROM {_SCHEMA}.recipient AS r WHERE r.outcome = 'waiting'
                AND r.destination = t.destination AND r.accepted_by = t.accepted_by
                AND r.priority = t.priority AND r.next_attempt_at <= $5 {free}
                ORDER BY r.next_attempt_at, r.mail_id LIMIT t.share) AS m
        ), fair AS (
            SELECT *, row_number() OVER (PARTITION BY destination, accepted_by
                ORDER BY level DESC, next_attempt_at, mail_id) AS nth FROM mail
        ), chosen AS (
            SELECT *, row_number() OVER (PARTITION BY destination
                ORDER BY nth, level DESC, next_attempt_at, mail_id) AS place FROM fair
        )
        SELECT r.position, r.mail_id, array_agg(r.recipient ORDER BY r.recipient) AS recipients,
            array_agg(r.attempt ORDER BY r.recipient) AS attempts,
            array_agg(r.tried_at ORDER BY r.recipient) AS tried_at, r.is_held, r.hop_host, r.hop_port,
            {_MAIL_DOMAIN} AS domain, array_agg(r.changed_at ORDER BY r.recipient) AS changed_at, q.state,
            r.destination
        FROM (SELECT r.*, c.nth, c.level FROM (
                SELECT * FROM chosen WHERE place <= share
                ORDER BY nth, level DESC, next_attempt_at, mail_id LIMIT $6) AS c
              CROSS JOIN LATERAL (SELECT * FROM {_SCHEMA}.recipient AS r WHERE r.mail_id = c.mail_id
                  AND r.outcome = 'waiting' AND r.destination = c.destination
                  AND r.next_attempt_at = c.next_attempt_at {free}) AS r
              ORDER BY c.nth, c.level DESC, c.next_attempt_at, r.mail_id, r.recipient LIMIT $6) AS r
        JOIN {_SCHEMA}.queued AS q ON q.position = r.position
        GROUP BY r.position, r.mail_id, r.is_held, r.hop_host, r.hop_port, {_MAIL_DOMAIN}, q.state,
            r.destination
        ORDER BY min(r.nth), max(r.level) DESC, min(r.next_attempt_at), r.position""",
        [turn.destination for turn in turns],
        [turn.accepted_by for turn in turns],
        [turn.priority for turn in turns],
        list(share.values()),
        at,
        limit,
        LIFTED_AFTER.total_seconds(),
    )
    return [_due(row) for row in found]


UNLEASED = """AND NOT EXISTS (
    SELECT FROM leases.relay_lease AS l
    WHERE l.mail_id = r.mail_id AND l.recipient = r.recipient AND l.until > statement_timestamp())"""


async def unchanged(rows: Rows, due: Sequence[Due]) -> set[tuple[int, int]]:
    """Look again: those (position of mail.queued, recipient) whose rows nothing has changed since."""
    seen = [
        (one.position, recipient, changed_at)
        for one in due
        for recipient, changed_at in zip(one.recipients, one.changed_at, strict=True)
    ]
    if not seen:
        return set()
    found = await rows.fetch(
        f"""SELECT r.position, r.recipient
        FROM unnest($1::bigint[], $2::int[], $3::bigint[]) AS seen (position, recipient, changed_at)
        JOIN {_SCHEMA}.queued AS q USING (position)
        JOIN {_SCHEMA}.recipient AS r ON (r.mail_id, r.recipient) = (q.mail_id, seen.recipient)
            AND (r.position, r.changed_at) = (q.position, seen.changed_at)
        WHERE r.outcome = 'waiting'""",
        *map(list, zip(*seen, strict=True)),
    )
    return {(row["position"], row["recipient"]) for row in found}


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
        row["is_held"],
        NextHop(row["hop_host"], row["hop_port"]) if row["hop_host"] else None,
        row["domain"],
        tuple(row["changed_at"]),
        row["destination"],
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


async def waiting_by_destination(rows: Rows, *, limit: int) -> dict[str, int]:
    """How many recipients wait for each domain, of those for which most do."""
    found = await rows.fetch(
        f"""SELECT domain, count(*) AS recipients FROM {_SCHEMA}.recipient WHERE outcome = 'waiting'
        GROUP BY domain ORDER BY count(*) DESC, domain LIMIT $1""",
        limit,
    )
    return {row["domain"]: row["recipients"] for row in found}


async def bounced_by_reason(rows: Rows) -> dict[str, int]:
    """How many recipients that were queued have bounced, by why."""
    found = await rows.fetch(
        f"""SELECT reason, sum(recipients)::bigint AS recipients FROM {_SCHEMA}.bounced
        GROUP BY reason ORDER BY reason"""
    )
    return {row["reason"]: row["recipients"] for row in found}


async def bounced_by_destination(rows: Rows, *, limit: int) -> dict[str, dict[str, int]]:
    """How many have bounced at each domain, by why, of those where most did."""
    found = await rows.fetch(
        f"""SELECT domain, array_agg(reason ORDER BY reason) AS reasons,
            array_agg(recipients ORDER BY reason) AS recipients FROM {_SCHEMA}.bounced
        GROUP BY domain ORDER BY sum(recipients) DESC, domain LIMIT $1""",
        limit,
    )
    return {row["domain"]: dict(zip(row["reasons"], row["recipients"], strict=True)) for row in found}
