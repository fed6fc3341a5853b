"""Paces and connections of destinations, of all relays together.

Beside the leases: no projection and never rebuilt, and time is the database's (architecture §2). Whoever
changes a destination has its row to themselves until the transaction ends, so what is decided by the pure
functions of pace.py holds over any number of relays. A connection has a place here before it is made and
until it is closed; of a relay that died it is free again when its time has run out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from gateway.domain.pace import Grant, Granted, Pace, ask
from projections.readmodel import Rows


class Place(NamedTuple):
    """A connection's. token: made for it (entropy)."""

    destination: str
    token: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A destination as it was when its row was ours. others: open connections of all relays but one's own."""

    pace: Pace
    others: int
    at: datetime  # by the database's clock


@dataclass(frozen=True, slots=True)
class Shown:
    """A suspended destination, for people."""

    destination: str
    suspended_at: datetime
    probe_at: datetime
    probes: int
    why: str


LOCK = """
INSERT INTO leases.destination AS d (name, connections, failures, probes, why) VALUES ($1, $2, 0, 0, '')
ON CONFLICT (name) DO UPDATE SET name = excluded.name
RETURNING d.connections, d.failures, d.suspended_at, d.probe_at, d.probes, d.why
"""
# Only now, when whoever had the row has gone, is it seen what they did.
COUNT = """
SELECT count(*) AS taken, count(*) FILTER (WHERE is_open AND token <> $2) AS others,
    statement_timestamp() AS at
FROM leases.connection WHERE destination = $1 AND until > statement_timestamp()
"""
WRITE = """
UPDATE leases.destination SET connections = $2, failures = $3, suspended_at = $4, probe_at = $5, probes = $6,
    why = $7 WHERE name = $1
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
# What ran out is nobody's.
SWEEP_CONNECTIONS = "DELETE FROM leases.connection WHERE until <= statement_timestamp()"
SUSPENDED = """
SELECT name, suspended_at, probe_at, probes, why FROM leases.destination
WHERE suspended_at IS NOT NULL ORDER BY suspended_at, name LIMIT $1
"""


async def take(rows: Rows, place: Place, *, connections_max: int, seconds: float) -> tuple[Grant, Pace]:
    """A place for one more connection, for so long. Returns what is known of the destination, too. Within a
    transaction."""
    pace, (taken, _, at) = await _lock(rows, place)
    grant = ask(pace, taken, at=at, connections_max=connections_max)
    if isinstance(grant, Granted):
        await rows.execute(TAKE, place.token, place.destination, timedelta(seconds=seconds))
    return grant, pace


async def change(
    rows: Rows, place: Place, what: Callable[[Seen], Pace], *, is_open: bool
) -> tuple[Pace, Pace]:
    """What is known of a destination, before and after. is_open: the place is that of an open connection from
    here on. Within a transaction."""
    before, (_, others, at) = await _lock(rows, place)
    after = what(Seen(before, others, at))
    if is_open:
        await rows.execute(OPEN, place.token)
    if after != before:
        await rows.execute(
            WRITE,
            place.destination,
            after.window,
            after.failures,
            after.suspended_at,
            after.probe_at,
            after.probes,
            after.why,
        )
    return before, after


async def renew(rows: Rows, tokens: Sequence[str], *, seconds: float) -> set[str]:
    """Those whose time had not run out have so much of it again."""
    found = await rows.fetch(RENEW, sorted(tokens), timedelta(seconds=seconds))
    return {row["token"] for row in found}


async def release(rows: Rows, tokens: Sequence[str]) -> None:
    await rows.execute(RELEASE, list(tokens))


async def sweep(rows: Rows) -> None:
    """Remove the places of relays that died."""
    await rows.execute(SWEEP_CONNECTIONS)


async def suspended(rows: Rows, *, limit: int) -> list[Shown]:
    """Destinations that nobody connects to but to see whether they answer, the longest suspended first."""
    return [Shown(*row.values()) for row in await rows.fetch(SUSPENDED, limit)]


async def suspended_count(rows: Rows) -> int:
    """How many of them there are."""
    count: int = await rows.fetchval("SELECT count(*) FROM leases.destination WHERE suspended_at IS NOT NULL")
    return count


async def _lock(rows: Rows, place: Place) -> tuple[Pace, tuple[int, int, datetime]]:
    found = await rows.fetchrow(LOCK, place.destination, Pace().window)
    counted = await rows.fetchrow(COUNT, place.destination, place.token)
    assert found is not None, place
    assert counted is not None, place
    return Pace(*found.values()), (counted["taken"], counted["others"], counted["at"])
