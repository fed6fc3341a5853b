"""Leases of the relay: who is trying which recipient now.

A table of its own, no projection and never rebuilt (architecture §2). The database's clock decides when a
lease is over; the holder counts from *before* it asked by its own monotonic clock, so it never believes
longer than the database does. A lease that ran out while its recipient still waited may have been a delivery
nobody could record: a possible double, written down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from gateway.mail.ids import MailId
from projections.readmodel import Pool, Rows


@dataclass(frozen=True, slots=True)
class Lease:
    """holder: made for this one lease (process and entropy), so it is its token too.

    ends_s: by the holder's monotonic clock.
    """

    mail_id: MailId
    recipients: tuple[int, ...]
    holder: str
    ends_s: float


TAKE = """
WITH taken AS (
    INSERT INTO leases.relay_lease AS l (mail_id, recipient, holder, until)
    SELECT $1, recipient, $3, statement_timestamp() + $4
    FROM (SELECT DISTINCT unnest($2::int[]) AS recipient ORDER BY recipient) AS wanted
    ON CONFLICT (mail_id, recipient) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE l.until <= clock_timestamp()
    RETURNING recipient
), doubtful AS (
    INSERT INTO leases.ran_out (mail_id, recipient, holder, until)
    SELECT l.mail_id, l.recipient, l.holder, l.until
    FROM leases.relay_lease AS l JOIN taken USING (recipient) WHERE l.mail_id = $1
)
SELECT recipient FROM taken ORDER BY recipient
"""


async def create(pool: Pool) -> None:
    async with pool.transaction() as rows:
        await rows.execute("SELECT pg_advisory_xact_lock(hashtext('saraban schemas'))")
        await rows.execute(Path(__file__).with_name("leases.sql").read_text(encoding="utf-8"))


async def take(
    rows: Rows, mail_id: MailId, recipients: Sequence[int], *, holder: str, seconds: float, now_s: float
) -> Lease | None:
    """Those of the recipients nobody else has, for so long; None: none.

    now_s: the monotonic clock, read before this call.
    """
    found = await rows.fetch(TAKE, mail_id, list(recipients), holder, timedelta(seconds=seconds))
    if not found:
        return None
    return Lease(mail_id, tuple(row["recipient"] for row in found), holder, now_s + seconds)


async def renew(rows: Rows, lease: Lease, *, seconds: float, now_s: float) -> Lease | None:
    """The lease with a new end; None: some of it has run out, stop before the final dot."""
    async with rows.transaction():
        found = await rows.fetch(
            """UPDATE leases.relay_lease SET until = statement_timestamp() + $4
            WHERE mail_id = $1 AND recipient = ANY($2::int[]) AND holder = $3 AND until > clock_timestamp()
            RETURNING recipient""",
            lease.mail_id,
            list(lease.recipients),
            lease.holder,
            timedelta(seconds=seconds),
        )
    if len(found) < len(lease.recipients):
        return None
    return Lease(lease.mail_id, lease.recipients, lease.holder, now_s + seconds)


async def release(rows: Rows, lease: Lease) -> None:
    """When the rows have the outcome, or nothing was tried. One that somebody else has by now stays."""
    await rows.execute(
        "DELETE FROM leases.relay_lease WHERE mail_id = $1 AND recipient = ANY($2::int[]) AND holder = $3",
        lease.mail_id,
        list(lease.recipients),
        lease.holder,
    )


async def sweep(rows: Rows, *, schema: str) -> int:
    """Remove leases that ran out and whose recipient has an outcome: their relay died before releasing."""
    done = await rows.execute(
        f"""DELETE FROM leases.relay_lease AS l WHERE until <= clock_timestamp() AND NOT EXISTS (
            SELECT FROM {schema}.recipient AS r
            WHERE r.mail_id = l.mail_id AND r.recipient = l.recipient AND outcome = 'waiting')"""
    )
    return int(done.rsplit(" ", 1)[1])


async def ran_out(rows: Rows) -> int:
    """How many leases ran out without an outcome so far: possible doubles."""
    count: int = await rows.fetchval("SELECT count(*) FROM leases.ran_out")
    return count
