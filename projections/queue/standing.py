"""Standing holds, as rows: folded from what began and ended them, and which recipients they are of.

A recipient that somebody released while a hold stood is not held by it again: the hold's position is before
the release's.

Source: ADR 0023.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.standing import (
    QUEUE_KEY,
    DestinationHeld,
    DestinationReleased,
    StandingSecret,
    Toward,
    What,
    standing_label,
)
from gateway.mail.ids import AgencyId
from gateway.ports import Recorded
from projections.keyring import Keys, clear
from projections.readmodel import Rows

TOPICS: Final = frozenset({DestinationHeld.TOPIC, DestinationReleased.TOPIC})

BEGIN: Final = """
INSERT INTO standing_hold (what, name, position, since, held_by, why) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (what, name) DO NOTHING
"""
END: Final = "DELETE FROM standing_hold WHERE (what, name) = ($1, $2)"


@dataclass(frozen=True, slots=True)
class StandingHold:
    """One that stands. position: of its destination.held."""

    what: What
    name: str
    position: int
    since: datetime
    held_by: str  # kind and id of who did it
    why: str

    @property
    def toward(self) -> Toward:
        return Toward(self.what, self.name)


def key_names(batch: Sequence[Recorded]) -> set[str]:
    return {QUEUE_KEY} if any(recorded.topic in TOPICS for recorded in batch) else set()


async def fold(recorded: Recorded, rows: Rows, keys: Keys) -> None:
    """One event of TOPICS, in the order of the log."""
    match event := recorded.event:
        case DestinationHeld():
            label = standing_label(Toward(event.what, event.name))
            secret = keys.unseal_with(StandingSecret, event.sealed, QUEUE_KEY, label=label)
            by = f"{event.actor.kind} {event.actor.id}".rstrip()
            why = clear(secret.why) if secret else ""
            await rows.execute(BEGIN, event.what, event.name, recorded.position, event.at, by, why)
        case DestinationReleased():
            await rows.execute(END, event.what, event.name)
        case _:
            raise AssertionError(event)


async def all_standing(
    rows: Rows, *, schema: str, agencies: frozenset[AgencyId] | None = None
) -> list[StandingHold]:
    """The longest first. agencies: of these alone; None: all there are."""
    found = await rows.fetch(
        f"""SELECT what, name, position, since, held_by, why FROM {schema}.standing_hold
        WHERE $1::text[] IS NULL OR what = 'agency' AND name = ANY($1) ORDER BY position""",
        None if agencies is None else sorted(agencies),
    )
    return [StandingHold(*row.values()) for row in found]


async def hold_of(
    rows: Rows, seen: Sequence[tuple[str, int]], *, schema: str
) -> dict[tuple[str, int], StandingHold]:
    """Which of these (mail_id, recipient) a standing hold is of, that nobody holds or has released since."""
    stand = {hold.position: hold for hold in await all_standing(rows, schema=schema)}
    if not stand or not seen:
        return {}
    found = await rows.fetch(
        f"""SELECT r.mail_id, r.recipient, max(h.position) AS position
        FROM unnest($1::text[], $2::int[]) AS seen (mail_id, recipient)
        JOIN {schema}.recipient AS r USING (mail_id, recipient)
        JOIN {schema}.standing_hold AS h ON h.position > r.released_at
            AND (h.what, h.name) IN (('domain', r.domain), ('agency', r.agency_id))
        WHERE NOT r.is_held GROUP BY 1, 2""",
        [mail_id for mail_id, _ in seen],
        [recipient for _, recipient in seen],
    )
    return {
        (row["mail_id"], row["recipient"]): stand[row["position"]]
        for row in found
        if row["position"] in stand
    }
