"""Which mail servers of agencies are silent, and since when: what all relays together have seen.

Beside the leases: no projection and never rebuilt, and time is the database's (architecture §2). What is
decided from it is an event (`agency.route_switched/1`).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from gateway.domain.agency import NextHop
from gateway.domain.route import Health, Seen
from projections.readmodel import Rows

# What nobody has looked at for so long may have been otherwise meanwhile. Probes come each minute (ADR 0020).
GAP: Final = timedelta(minutes=5)

SEE = """
INSERT INTO leases.hop AS h (host, port, is_silent, since, seen_at)
SELECT host, port, is_silent, statement_timestamp(), statement_timestamp()
FROM unnest($1::text[], $2::int[], $3::boolean[]) AS seen (host, port, is_silent) ORDER BY host, port
ON CONFLICT (host, port) DO UPDATE SET is_silent = excluded.is_silent, seen_at = excluded.seen_at,
    since = CASE WHEN h.is_silent = excluded.is_silent AND h.seen_at > excluded.seen_at - $4::interval
        THEN h.since ELSE excluded.since END
"""
HEALTH = """
SELECT host, port, is_silent, extract(epoch FROM statement_timestamp() - since)::float8 AS for_s
FROM leases.hop JOIN unnest($1::text[], $2::int[]) AS asked (host, port) USING (host, port)
"""
# Who comes second waits for the first, and then finds the time to be too near.
CLAIM = """
INSERT INTO leases.hop_probe AS p (host, port, at)
SELECT host, port, statement_timestamp()
FROM unnest($1::text[], $2::int[]) AS asked (host, port) ORDER BY host, port
ON CONFLICT (host, port) DO UPDATE SET at = excluded.at WHERE p.at <= excluded.at - $3::interval
RETURNING host, port
"""


async def see(rows: Rows, seen: Mapping[NextHop, bool]) -> None:
    """seen: whether each was silent just now."""
    await rows.execute(SEE, *_columns(list(seen)), list(seen.values()), GAP)


async def health(rows: Rows, hops: Sequence[NextHop]) -> Health:
    """Of those that somebody has looked at."""
    found = await rows.fetch(HEALTH, *_columns(hops))
    return {NextHop(row["host"], row["port"]): Seen(row["is_silent"], row["for_s"]) for row in found}


async def claim_probes(rows: Rows, hops: Sequence[NextHop], *, every_s: float) -> list[NextHop]:
    """Those that nobody has probed for so long: they are the caller's to probe, and nobody else's."""
    found = await rows.fetch(CLAIM, *_columns(hops), timedelta(seconds=every_s))
    return [NextHop(row["host"], row["port"]) for row in found]


def _columns(hops: Sequence[NextHop]) -> tuple[list[str], list[int]]:
    return [hop.host for hop in hops], [hop.port for hop in hops]
