"""The queue: recipients for another host, folded from what was queued, tried and steered; and held mails.

A recipient that has ended stays ended: an outcome told twice, or late, changes nothing. Touched rows are
read, folded in memory in order, and written back in one statement.

Source: architecture §1 (the queue is a projection), RFC 5321 §4.5.4.1.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import lru_cache
from operator import attrgetter

from gateway.domain.events import (
    Attempted,
    EnvelopeSecret,
    MailBounced,
    MailDeferred,
    MailHeld,
    MailQueued,
    MailRelayed,
    MailReleased,
)
from gateway.domain.pace import destination_name
from gateway.domain.routing import envelope_label
from gateway.domain.standing import DestinationSteered
from gateway.domain.steering import (
    DeliveryHeld,
    DeliveryReleased,
    DeliveryRerouted,
    DeliveryRetried,
    MailCancelled,
    Steered,
)
from gateway.mail.address import normalise_domain
from gateway.mail.ids import AgencyId
from gateway.ports import Recorded
from projections.keyring import Keyring, Keys, clear
from projections.queue import standing
from projections.readmodel import ReadModel, Rows

Key = tuple[str, int]  # mail_id, recipient


@dataclass(frozen=True, slots=True)
class Recipient:
    """One row. Order and names are those of the table."""

    mail_id: str
    recipient: int
    position: int
    agency_id: str | None
    address: str
    domain: str
    sender: str
    outcome: str
    attempt: int
    next_attempt_at: datetime
    accepted_at: datetime
    expires_at: datetime
    code: int
    status: str
    changed_at: int
    tried_at: datetime | None
    priority: int
    is_held: bool = False
    hop_host: str = ""
    hop_port: int = 0
    accepted_by: str = ""
    destination: str = ""
    released_at: int = 0


READ = """
SELECT r.* FROM recipient AS r
JOIN unnest($1::text[], $2::int[]) AS touched (mail_id, recipient) USING (mail_id, recipient)
"""
_COLUMNS = [field.name for field in fields(Recipient)]
_VALUES = attrgetter(*_COLUMNS)
_CHANGING = [
    "outcome", "attempt", "next_attempt_at", "code", "status", "changed_at", "tried_at",
    "is_held", "hop_host", "hop_port", "destination", "released_at",
]  # fmt: skip
WRITE = f"""
INSERT INTO recipient ({", ".join(_COLUMNS)})
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::int[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::int[],
    $14::text[], $15::bigint[], $16::timestamptz[], $17::int[], $18::boolean[], $19::text[], $20::int[],
    $21::text[], $22::text[], $23::bigint[])
ON CONFLICT (mail_id, recipient) DO UPDATE
SET {", ".join(f"{column} = excluded.{column}" for column in _CHANGING)}
"""
KEEP = "INSERT INTO queued SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::int[])"
FORGET = """
DELETE FROM queued AS q USING unnest($1::bigint[], $2::int[]) AS ended (position, count)
WHERE q.position = ended.position AND q.waiting = ended.count
RETURNING q.position
"""
END = """
UPDATE queued AS q SET waiting = q.waiting - ended.count
FROM unnest($1::bigint[], $2::int[]) AS ended (position, count) WHERE q.position = ended.position
"""
HOLD = """
INSERT INTO held SELECT * FROM unnest($1::bigint[], $2::text[], $3::timestamptz[]) ON CONFLICT DO NOTHING
"""
RELEASE = "DELETE FROM held WHERE position = ANY($1::bigint[])"
BOUNCED = """
INSERT INTO bounced AS b SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (domain, reason) DO UPDATE SET recipients = b.recipients + excluded.recipients
"""


class QueueModel(ReadModel):
    name = "queue"
    version = 7  # since it knows standing holds
    outcomes = frozenset({MailRelayed.TOPIC, MailDeferred.TOPIC, MailBounced.TOPIC})
    deeds = frozenset(
        kind.TOPIC
        for kind in (DeliveryHeld, DeliveryReleased, DeliveryRetried, DeliveryRerouted, MailCancelled)
    )
    topics = outcomes | deeds | standing.TOPICS | {MailQueued.TOPIC, MailHeld.TOPIC, MailReleased.TOPIC}

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    async def keys_for(self, batch: Sequence[Recorded]) -> Keys:
        queued = [event.event for event in batch if isinstance(event.event, MailQueued)]
        names = {wrap.key for event in queued for wrap in event.keys}
        return await self._ring.fetch_named(names | standing.key_names(batch))

    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        batch = await self._hold(batch, rows, keys)
        touched = {key for event in batch for key in _touches(event)}
        found = await rows.fetch(READ, [key[0] for key in touched], [key[1] for key in touched])
        before = {(row["mail_id"], row["recipient"]): Recipient(*row.values()) for row in found}
        bounced = Counter[tuple[str, str]]()
        after, kept = _fold(batch, before, keys, bounced)
        if bounced:
            counts = [(*key, number) for key, number in sorted(bounced.items())]
            await rows.execute(BOUNCED, *map(list, zip(*counts, strict=True)))
        if kept:
            await rows.execute(KEEP, *map(list, zip(*kept, strict=True)))
        changed = [row for key, row in after.items() if row != before.get(key)]
        if not changed:
            return
        await rows.execute(WRITE, *map(list, zip(*map(_VALUES, changed), strict=True)))
        ended = Counter(row.position for row in changed if row.outcome != "waiting")
        if ended:
            await _forget(ended, rows)

    async def _hold(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> list[Recorded]:
        """Fold what is about held mails and destinations; the rest. A mail.held is the fact right behind its
        mail.accepted."""
        rest, held, released = list[Recorded](), list[tuple[int, str, datetime]](), list[int]()
        for recorded in batch:
            match recorded.event:
                case MailHeld(mail_id=mail_id, hold_until=hold_until):
                    held.append((recorded.position - 1, mail_id, hold_until))
                case MailReleased(accepted=accepted):
                    released.append(accepted)
                case DestinationSteered():
                    await standing.fold(recorded, rows, keys)
                case _:
                    rest.append(recorded)
        if held:
            await rows.execute(HOLD, *map(list, zip(*held, strict=True)))
        if released:
            await rows.execute(RELEASE, released)
        return rest


async def _forget(ended: Counter[int], rows: Rows) -> None:
    """Let each mail.queued go whose last recipient has ended; most have one. ended: counts by position."""
    for gone in await rows.fetch(FORGET, list(ended.keys()), list(ended.values())):
        del ended[gone["position"]]
    if ended:
        await rows.execute(END, list(ended.keys()), list(ended.values()))


def _fold(
    batch: Sequence[Recorded],
    before: dict[Key, Recipient],
    keys: Keys,
    bounced: Counter[tuple[str, str]],
) -> tuple[dict[Key, Recipient], list[tuple[int, str, bytes, int]]]:
    """The rows after the batch, and what the relay needs of each new mail.queued.

    bounced: counts recipients by destination and reason.
    """
    after, kept = dict(before), list[tuple[int, str, bytes, int]]()
    for recorded in batch:
        event = recorded.event
        if isinstance(event, MailQueued):
            fresh = _queue(recorded.position, event, after, keys)
            if fresh:
                kept.append((recorded.position, event.mail_id, recorded.state, fresh))
        elif isinstance(event, Attempted):
            _conclude(recorded.position, event, after, bounced)
        elif isinstance(event, Steered):
            _steer(recorded.position, event, after)
    return after, kept


def _queue(position: int, event: MailQueued, after: dict[Key, Recipient], keys: Keys) -> int:
    """How many recipients it adds: one that was queued before is not queued again."""
    fresh = [
        (place, number)
        for place, number in enumerate(event.recipients)
        if (event.mail_id, number) not in after
    ]
    if not fresh:
        return 0
    label = envelope_label(event.mail_id)
    secret = keys.unseal(EnvelopeSecret, event.sealed, event.keys, label=label)
    for place, number in fresh:
        domain = _in_a_labels(secret.rcpt_to[place].rpartition("@")[2]) if secret else ""
        after[event.mail_id, number] = Recipient(
            mail_id=event.mail_id,
            recipient=number,
            position=position,
            agency_id=event.agency_id,
            address=clear(secret.rcpt_to[place]) if secret else "",
            domain=domain,
            sender=clear(secret.mail_from or "") if secret else "",
            outcome="waiting",
            attempt=0,
            next_attempt_at=event.at,
            accepted_at=event.accepted_at,
            expires_at=event.expires_at,
            code=0,
            status="",
            changed_at=position,
            tried_at=None,
            priority=event.priority,
            accepted_by=event.accepted_by,
            destination=destination_name(event.agency_id, None, domain),
        )
    return len(fresh)


def _conclude(
    position: int, event: Attempted, after: dict[Key, Recipient], bounced: Counter[tuple[str, str]]
) -> None:
    for number in event.recipients:
        row = after.get((event.mail_id, number))
        if row is None or row.outcome != "waiting":
            continue  # a hosted recipient that bounced was never queued; an end is an end
        tried = replace(
            row,
            attempt=event.attempt,
            code=event.code,
            status=event.status,
            changed_at=position,
            tried_at=event.at,
        )
        match event:
            case MailRelayed():
                after[event.mail_id, number] = replace(tried, outcome="relayed")
            case MailBounced(reason=reason):
                after[event.mail_id, number] = replace(tried, outcome="bounced")
                bounced[row.domain, reason] += 1
            case MailDeferred(next_attempt_at=next_attempt_at):
                after[event.mail_id, number] = replace(tried, next_attempt_at=next_attempt_at)


def _steer(position: int, event: Steered, after: dict[Key, Recipient]) -> None:
    for number in event.recipients:
        row = after.get((event.mail_id, number))
        if row is None or row.outcome != "waiting":
            continue
        row = replace(row, changed_at=position)
        match event:
            case DeliveryHeld():
                row = replace(row, is_held=True, next_attempt_at=row.expires_at)
            case DeliveryReleased():
                row = replace(row, is_held=False, next_attempt_at=event.at, released_at=position)
            case DeliveryRetried():
                row = replace(row, next_attempt_at=event.at)
            case DeliveryRerouted(next_hop=hop):
                destination = destination_name(AgencyId(row.agency_id or "") or None, hop, row.domain)
                row = replace(row, destination=destination)
                row = replace(row, hop_host=hop.host if hop else "", hop_port=hop.port if hop else 0)
            case MailCancelled():
                row = replace(row, outcome="cancelled")
        after[event.mail_id, number] = row


@lru_cache(maxsize=10_000)
def _in_a_labels(domain: str) -> str:
    """In A-labels and lower case, as agencies' domains are."""
    try:
        return normalise_domain(domain)
    except ValueError:
        return clear(domain).lower()


def _touches(recorded: Recorded) -> list[Key]:
    event = recorded.event
    assert isinstance(event, MailQueued | Attempted | Steered), event
    return [(event.mail_id, number) for number in event.recipients]
