"""Paces and connections of destinations, of all relays together.

Beside the leases: no projection and never rebuilt, and time is the database's (architecture §2). Whoever
changes a destination has its row to themselves until the transaction ends, so what is decided by the pure
functions of pace.py holds over any number of relays. A connection has a place here before it is made and
until it is closed; of a relay that died it is free again when its time has run out, or its next process is
there.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from gateway.domain import pace
from gateway.domain.pace import Bounds, Grant, Granted, Later, Pace, Situation
from projections.directory.project import DirectoryModel
from projections.queue.project import QueueModel
from projections.readmodel import Rows, schema_of

# Nobody has asked for it for so long: it begins anew. A mail is tried each four hours at least.
FORGOTTEN_AFTER: Final = timedelta(days=1)


class PlaceKey(NamedTuple):
    """A connection's. token: made for it (entropy), behind that of its relay."""

    destination: str
    token: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A destination as it was when its row was ours. known: as the row has it, for whatever way.

    others: open connections of all relays but one's own.
    """

    known: Pace
    situation: Situation
    others: int
    at: datetime  # by the database's clock

    @property
    def pace(self) -> Pace:
        return self.situation.pace


Change = Callable[[Seen], Pace]


@dataclass(frozen=True, slots=True)
class Shown:
    """A suspended destination, for people."""

    destination: str
    suspended_at: datetime
    probe_at: datetime
    probes: int
    why: str


_PACE: Final = "d.connections, d.failures, d.suspended_at, d.probe_at, d.probes, d.why, d.way, d.next_mail_at"
# What is said of an agency: its bounds, and any text that is another when its mail goes another way.
_SAID: Final = f"""LEFT JOIN LATERAL (
    SELECT a.relay_connections_max, a.relay_mails_a_minute,
        md5(concat_ws(' ', a.relay_host, a.relay_port, a.route, a.way)) AS way
    FROM {schema_of(DirectoryModel)}.agency AS a WHERE a.agency_id = asked.name) AS said ON true"""
_TAKEN: Final = """FROM leases.connection AS c
    WHERE c.destination = asked.name AND c.until > statement_timestamp()"""

LOCK = f"""
INSERT INTO leases.destination AS d (name, connections, failures, probes, why, way, asked_at)
VALUES ($1, $2, 0, 0, '', '', statement_timestamp())
ON CONFLICT (name) DO UPDATE SET asked_at = excluded.asked_at
RETURNING {_PACE}
"""
# Only now, when whoever had the row has gone, is it seen what they did.
COUNT = f"""
SELECT taken.*, statement_timestamp() AS at, said.relay_connections_max, said.relay_mails_a_minute,
    coalesce(said.way, '') AS way
FROM (VALUES ($1::text)) AS asked (name) CROSS JOIN LATERAL (
    SELECT count(*) AS places, count(*) FILTER (WHERE is_open AND token <> $2) AS others {_TAKEN}
) AS taken {_SAID}
"""
LOOK = f"""
SELECT asked.name, {_PACE}, (SELECT count(*) {_TAKEN}) AS places, said.relay_connections_max,
    said.relay_mails_a_minute, coalesce(said.way, '') AS way_now
FROM unnest($1::text[]) AS asked (name) JOIN leases.destination AS d USING (name) {_SAID}
"""
WRITE = """
UPDATE leases.destination SET connections = $2, failures = $3, suspended_at = $4, probe_at = $5, probes = $6,
    why = $7, way = $8, next_mail_at = $9 WHERE name = $1
"""
TAKE = """
INSERT INTO leases.connection (token, destination, is_open, until)
VALUES ($1, $2, false, statement_timestamp() + $3)
"""
OPEN = "UPDATE leases.connection SET is_open = true WHERE token = $1"
RENEW = """
UPDATE leases.connection AS c SET until = statement_timestamp() + $2 FROM unnest($1::text[]) AS held (token)
WHERE c.token = held.token AND c.until > statement_timestamp() RETURNING c.token
"""
RELEASE = "DELETE FROM leases.connection WHERE token = ANY($1::text[])"
INHERIT = "DELETE FROM leases.connection WHERE starts_with(token, $1)"
PROBE_NOW = """
UPDATE leases.destination SET probe_at = statement_timestamp()
WHERE name = ANY($1::text[]) AND probe_at > statement_timestamp()
"""
# What ran out is nobody's.
SWEEP_CONNECTIONS = "DELETE FROM leases.connection WHERE until <= statement_timestamp()"
SWEEP_DESTINATIONS = "DELETE FROM leases.destination WHERE asked_at <= statement_timestamp() - $1::interval"
_SUSPENDED: Final = f"""FROM leases.destination AS d WHERE d.suspended_at IS NOT NULL AND EXISTS (
    SELECT FROM {schema_of(QueueModel)}.recipient AS r
    WHERE r.destination = d.name AND r.outcome = 'waiting')"""


async def take(rows: Rows, place: PlaceKey, bounds: Bounds, *, seconds: float) -> tuple[Grant, Situation]:
    """A place for one more connection, for so long. bounds: the gateway's. Returns how the destination
    stands, too. Within a transaction."""
    seen = await _lock(rows, place, bounds)
    grant, situation = pace.ask(seen.situation, at=seen.at), seen.situation
    if isinstance(grant, Granted):
        await rows.execute(TAKE, place.token, place.destination, timedelta(seconds=seconds))
        situation = replace(situation, pace=grant.pace, places=situation.places + 1)
        await _write(rows, place.destination, seen.known, grant.pace)
    return grant, situation


async def next_mail(rows: Rows, place: PlaceKey, bounds: Bounds) -> Granted | Later:
    """One mail more. Within a transaction."""
    seen = await _lock(rows, place, bounds)
    grant = pace.next_mail(seen.situation, at=seen.at)
    if isinstance(grant, Granted):
        await _write(rows, place.destination, seen.known, grant.pace)
    return grant


async def change(
    rows: Rows, place: PlaceKey, bounds: Bounds, what: Change, *, is_open: bool
) -> tuple[Pace, Situation]:
    """What is known of a destination before, and how it stands after. is_open: the place is that of an open
    connection from here on. Within a transaction."""
    seen = await _lock(rows, place, bounds)
    after = what(seen)
    if is_open:
        await rows.execute(OPEN, place.token)
    await _write(rows, place.destination, seen.known, after)
    return seen.known, replace(seen.situation, pace=after)


async def look(rows: Rows, destinations: Collection[str], bounds: Bounds) -> dict[str, Situation]:
    """How they stand now; without those that no relay has ever connected to."""
    found = await rows.fetch(LOOK, list(destinations))
    return {
        row["name"]: _situation(Pace(*list(row.values())[1:9]), row, row["way_now"], bounds) for row in found
    }


async def renew(rows: Rows, tokens: Sequence[str], *, seconds: float) -> set[str]:
    """Those whose time had not run out have so much of it again."""
    found = await rows.fetch(RENEW, sorted(tokens), timedelta(seconds=seconds))
    return {row["token"] for row in found}


async def release(rows: Rows, tokens: Sequence[str]) -> None:
    await rows.execute(RELEASE, list(tokens))


async def inherit(rows: Rows, holder: str) -> None:
    """Give up the places whose tokens begin so: the process that had them is dead."""
    await rows.execute(INHERIT, f"{holder}.")


async def probe_now(rows: Rows, destinations: Collection[str]) -> None:
    """Of those that are suspended the next probe is due at once."""
    await rows.execute(PROBE_NOW, sorted(destinations))


async def sweep(rows: Rows) -> None:
    """Remove the places of relays that died, and what is known of destinations nobody asks for any more."""
    await rows.execute(SWEEP_CONNECTIONS)
    await rows.execute(SWEEP_DESTINATIONS, FORGOTTEN_AFTER)


async def suspended(rows: Rows, *, limit: int) -> list[Shown]:
    """Destinations that mail waits for and nobody connects to but to see whether they answer, the longest
    suspended first."""
    found = await rows.fetch(
        f"""SELECT d.name, d.suspended_at, d.probe_at, d.probes, d.why {_SUSPENDED}
        ORDER BY d.suspended_at, d.name LIMIT $1""",
        limit,
    )
    return [Shown(*row.values()) for row in found]


async def suspended_count(rows: Rows) -> int:
    """How many of them there are."""
    count: int = await rows.fetchval(f"SELECT count(*) {_SUSPENDED}")
    return count


async def _lock(rows: Rows, place: PlaceKey, bounds: Bounds) -> Seen:
    kept = await rows.fetchrow(LOCK, place.destination, Pace().window)
    seen = await rows.fetchrow(COUNT, place.destination, place.token)
    assert kept is not None, place
    assert seen is not None, place
    known = Pace(*kept.values())
    return Seen(known, _situation(known, seen, seen["way"], bounds), seen["others"], seen["at"])


def _situation(known: Pace, row: asyncpg.Record, way: str, bounds: Bounds) -> Situation:
    said = bounds.within(row["relay_connections_max"], row["relay_mails_a_minute"])
    return Situation(said, known.by(way), row["places"])


async def _write(rows: Rows, destination: str, before: Pace, after: Pace) -> None:
    if after != before:
        await rows.execute(WRITE, destination, *astuple(after))
