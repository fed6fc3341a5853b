"""Leases: who is trying which recipient now, or steers it.

A table of its own, no projection and never rebuilt (architecture §2). The database's clock decides when a
lease is over; the holder counts from *before* it asked by its own monotonic clock, so it never believes
longer than the database does. A lease that ran out and was taken over while its recipient still waited may
have been a delivery nobody could record: a possible double, written down until its holder, or who comes after
it, says that no host had the mail.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from gateway.mail.ids import MailId
from projections.readmodel import Pool, Rows


@dataclass(frozen=True, slots=True)
class Lease:
    """holder: made for one `take` (entropy), so it is the token of its leases too; a relay's begins alike.

    ends_s: by the holder's monotonic clock. is_wanted: somebody else waits for it.
    """

    mail_id: MailId
    recipients: tuple[int, ...]
    holder: str
    ends_s: float
    is_wanted: bool = False


PERSON = "person."  # a holder that begins so tries nothing: what it leaves behind is no possible double

TAKE = """
WITH taken AS (
    INSERT INTO leases.relay_lease AS l (mail_id, recipient, holder, until)
    SELECT mail_id, recipient, $3, statement_timestamp() + $4
    FROM unnest($1::text[], $2::int[]) AS wanted (mail_id, recipient) ORDER BY mail_id, recipient
    ON CONFLICT (mail_id, recipient)
    DO UPDATE SET holder = excluded.holder, until = excluded.until, is_wanted = false
    WHERE l.until <= statement_timestamp()
    RETURNING mail_id, recipient
), doubtful AS (
    INSERT INTO leases.ran_out (mail_id, recipient, holder, until, is_certain)
    SELECT l.mail_id, l.recipient, l.holder, l.until, false
    FROM leases.relay_lease AS l JOIN taken USING (mail_id, recipient)
    WHERE NOT starts_with(l.holder, 'person.')
)
SELECT mail_id, array_agg(recipient ORDER BY recipient) AS recipients FROM taken GROUP BY mail_id
"""
RENEW = """
UPDATE leases.relay_lease AS l SET until = statement_timestamp() + $4
FROM unnest($1::text[], $2::int[], $3::text[]) AS held (mail_id, recipient, holder)
WHERE (l.mail_id, l.recipient, l.holder) = (held.mail_id, held.recipient, held.holder)
RETURNING l.mail_id, l.recipient, l.holder, l.is_wanted
"""
WANT = """
UPDATE leases.relay_lease AS l SET is_wanted = true
FROM unnest($1::text[], $2::int[]) AS wanted (mail_id, recipient)
WHERE (l.mail_id, l.recipient) = (wanted.mail_id, wanted.recipient)
"""
RELEASE = """
DELETE FROM leases.relay_lease AS l
USING unnest($1::text[], $2::int[], $3::text[]) AS held (mail_id, recipient, holder)
WHERE (l.mail_id, l.recipient, l.holder) = (held.mail_id, held.recipient, held.holder)
"""
# Of the leases that others took over: whether a host may have had the mail.
SETTLE = """
WITH told AS (
    SELECT o.number, told.is_doubtful
    FROM leases.ran_out AS o
    JOIN unnest($1::text[], $2::int[], $3::text[], $4::boolean[])
        AS told (mail_id, recipient, holder, is_doubtful)
        USING (mail_id, recipient, holder)
    WHERE NOT o.is_certain
), cleared AS (
    DELETE FROM leases.ran_out WHERE number IN (SELECT number FROM told WHERE NOT is_doubtful)
)
UPDATE leases.ran_out SET is_certain = true WHERE number IN (SELECT number FROM told WHERE is_doubtful)
"""
INHERIT = """
WITH gone AS (
    DELETE FROM leases.relay_lease WHERE starts_with(holder, $1) RETURNING mail_id, recipient, holder, until
), doubtful AS (
    INSERT INTO leases.ran_out (mail_id, recipient, holder, until)
    SELECT gone.* FROM gone JOIN {schema}.recipient AS r USING (mail_id, recipient)
    WHERE r.outcome = 'waiting' AND ($2::bigint[] IS NULL OR r.position = ANY($2))
), told AS (
    SELECT o.number, $2::bigint[] IS NULL OR r.position = ANY($2) AS is_doubtful
    FROM leases.ran_out AS o JOIN {schema}.recipient AS r USING (mail_id, recipient)
    WHERE starts_with(o.holder, $1) AND NOT o.is_certain
), cleared AS (
    DELETE FROM leases.ran_out WHERE number IN (SELECT number FROM told WHERE NOT is_doubtful)
), kept AS (
    UPDATE leases.ran_out SET is_certain = true WHERE number IN (SELECT number FROM told WHERE is_doubtful)
)
SELECT count(*) FROM gone
"""


async def create(pool: Pool) -> None:
    async with pool.transaction() as rows:
        await rows.execute("SELECT pg_advisory_xact_lock(hashtext('saraban schemas'))")
        await rows.execute(Path(__file__).with_name("leases.sql").read_text(encoding="utf-8"))


async def take(
    rows: Rows, wanted: Mapping[MailId, Sequence[int]], *, holder: str, seconds: float, now_s: float
) -> list[Lease]:
    """Those of the wanted recipients nobody else has, for so long; one lease for each mail.

    now_s: the monotonic clock, read before this call.
    """
    pairs = [(mail_id, recipient) for mail_id, some in wanted.items() for recipient in some]
    found = await rows.fetch(
        TAKE, [m for m, _ in pairs], [r for _, r in pairs], holder, timedelta(seconds=seconds)
    )
    return [Lease(MailId(row["mail_id"]), tuple(row["recipients"]), holder, now_s + seconds) for row in found]


async def renew(rows: Rows, leases: Sequence[Lease], *, seconds: float, now_s: float) -> list[Lease | None]:
    """Each lease with a new end, also one that ran out; None: others have some of it, stop before the dot."""
    found = await rows.fetch(RENEW, *_columns(leases), timedelta(seconds=seconds))
    renewed = {(mail_id, recipient, holder): is_wanted for mail_id, recipient, holder, is_wanted in found}

    def answer(lease: Lease) -> Lease | None:
        held = [renewed.get((lease.mail_id, recipient, lease.holder)) for recipient in lease.recipients]
        return None if None in held else replace(lease, ends_s=now_s + seconds, is_wanted=any(held))

    return list(map(answer, leases))


async def want(rows: Rows, pairs: Sequence[tuple[MailId, int]]) -> None:
    """Ask whoever has them to give them back when nothing has been begun yet."""
    await rows.execute(WANT, [mail_id for mail_id, _ in pairs], [recipient for _, recipient in pairs])


async def release(rows: Rows, leases: Sequence[Lease]) -> None:
    """When the rows have the outcome, or nothing was tried. One that somebody else has by now stays."""
    await rows.execute(RELEASE, *_columns(leases))


async def settle(rows: Rows, lost: Sequence[Lease], doubtful: Sequence[bool]) -> None:
    """Say of leases that somebody else has by now whether a host may have had the mail, side by side."""
    told = sorted(
        (lease.mail_id, recipient, lease.holder, is_doubtful)
        for lease, is_doubtful in zip(lost, doubtful, strict=True)
        for recipient in lease.recipients
    )
    if told:
        await rows.execute(SETTLE, *map(list, zip(*told, strict=True)))


def _columns(leases: Sequence[Lease]) -> tuple[list[str], list[int], list[str]]:
    """mail_id, recipient, holder: side by side, in one order for all relays."""
    held = sorted((lease.mail_id, r, lease.holder) for lease in leases for r in lease.recipients)
    return [mail_id for mail_id, _, _ in held], [r for _, r, _ in held], [holder for _, _, holder in held]


async def sweep(rows: Rows, *, schema: str) -> int:
    """Remove leases that ran out and whose recipient has an outcome: their relay died before releasing."""
    done = await rows.execute(
        f"""DELETE FROM leases.relay_lease AS l WHERE until <= clock_timestamp() AND NOT EXISTS (
            SELECT FROM {schema}.recipient AS r
            WHERE r.mail_id = l.mail_id AND r.recipient = l.recipient AND outcome = 'waiting')"""
    )
    return int(done.rsplit(" ", 1)[1])


async def inherit(rows: Rows, *, token: str, doubtful: Collection[int] | None, schema: str) -> int:
    """End the leases of holders that begin so, whose process is dead; how many there were.

    doubtful: positions of mail.queued that hosts may have; None: nobody can tell which. Of these, who still
    waits is a possible double; and whom others took over meanwhile, but nobody else whom they did. The rows
    have reached all that the process has recorded.
    """
    number: int = await rows.fetchval(
        INHERIT.format(schema=schema), f"{token}.", None if doubtful is None else list(doubtful)
    )
    return number


async def ran_out(rows: Rows) -> int:
    """How many leases ran out, or were left at the final dot, without an outcome: possible doubles."""
    count: int = await rows.fetchval("SELECT count(*) FROM leases.ran_out")
    return count
