"""Who is banned, until when: folded from what edges and operators imposed and lifted.

A ban goes with the traffic log of its first day, because of trace.expired alone; it has ended then.

Source: architecture §4 (`ev.access`), §6.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.domain.bans import BanImposed, BanLifted, BanSecret, LiftSecret, ban_label, lift_label
from gateway.domain.events import Actor
from gateway.domain.traffic import TraceExpired
from gateway.ports import Recorded
from projections.keyring import Keyring, Keys, clear
from projections.readmodel import ReadModel, Rows

IMPOSE: Final = """
INSERT INTO ban (ban_id, what, network, account_id, agency_id, reason, why, imposed_at, imposed_by, until,
    changed)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::timestamptz[], $9::text[], $10::timestamptz[], $11::bigint[])
ON CONFLICT DO NOTHING
"""
# The first who lifts a ban has lifted it.
LIFT: Final = """
WITH lifted AS (
    SELECT DISTINCT ON (ban_id) *
    FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::bigint[])
        AS l (ban_id, at, by_whom, why, position)
    ORDER BY ban_id, position
)
UPDATE ban SET lifted_at = at, lifted_by = by_whom, lift_reason = lifted.why, changed = position
FROM lifted WHERE ban.ban_id = lifted.ban_id AND lifted_at IS NULL
"""
EXPIRE: Final = "DELETE FROM ban WHERE (imposed_at AT TIME ZONE 'UTC')::date <= $1"


class BansModel(ReadModel):
    name = "bans"
    topics = frozenset({BanImposed.TOPIC, BanLifted.TOPIC, TraceExpired.TOPIC})

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    async def keys_for(self, batch: Sequence[Recorded]) -> Keys:
        return await self._ring.fetch_named(_key_names(batch))

    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        waiting = list[Recorded]()
        for recorded in batch:
            if isinstance(event := recorded.event, TraceExpired):
                if event.agency_id is not None:
                    continue  # of one agency's traffic alone
                await self._fold(waiting, rows, keys)
                await rows.execute(EXPIRE, event.day)
                waiting = []
            else:
                waiting.append(recorded)
        await self._fold(waiting, rows, keys)

    async def _fold(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        """A ban is imposed before it is lifted, so all of them may be imposed first."""
        imposed = [_imposed(r, r.event, keys) for r in batch if isinstance(r.event, BanImposed)]
        if imposed:
            await rows.execute(IMPOSE, *map(list, zip(*imposed, strict=True)))
        lifted = [_lifted(r, r.event, keys) for r in batch if isinstance(r.event, BanLifted)]
        if lifted:
            await rows.execute(LIFT, *map(list, zip(*lifted, strict=True)))


def _key_names(batch: Sequence[Recorded]) -> Iterator[str]:
    for recorded in batch:
        if isinstance(recorded.event, BanImposed | BanLifted):
            yield recorded.event.sealed_key


def _imposed(recorded: Recorded, event: BanImposed, keys: Keys) -> tuple[object, ...]:
    secret = keys.unseal_with(BanSecret, event.sealed, event.sealed_key, label=ban_label(event.ban_id))
    agency_id = recorded.subject.rpartition(".")[2] if event.what == "account" else None
    return (
        event.ban_id,
        event.what,
        (secret.network if secret else "") or None,
        event.account_id,
        agency_id,
        event.reason,
        clear(secret.why) if secret else "",
        event.at,
        _named(event.actor),
        event.until,
        recorded.position,
    )


def _lifted(recorded: Recorded, event: BanLifted, keys: Keys) -> tuple[object, ...]:
    secret = keys.unseal_with(LiftSecret, event.sealed, event.sealed_key, label=lift_label(event.ban_id))
    return event.ban_id, event.at, _named(event.actor), clear(secret.why) if secret else "", recorded.position


def _named(actor: Actor) -> str:
    """As a person says it: `operator somchai`."""
    return clear(f"{actor.kind} {actor.id}".rstrip())
