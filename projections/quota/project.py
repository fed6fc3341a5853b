"""What each account uses, and since when it is full: folded from accounts and deliveries.

Source: architecture §9 (quota use is a projection), RFC 9208 §5.
"""

from collections.abc import Sequence
from typing import Final

from gateway.domain.account import AccountCreated
from gateway.domain.events import MailDelivered
from gateway.ports import Recorded
from projections.keyring import Keys
from projections.readmodel import ReadModel, Rows

LIMIT: Final = """
INSERT INTO usage (account_id, octets, messages, quota_octets, kind)
SELECT account_id, 0, 0, quota_octets, kind
FROM unnest($1::text[], $2::bigint[], $3::text[]) AS made (account_id, quota_octets, kind)
ON CONFLICT (account_id) DO UPDATE SET quota_octets = excluded.quota_octets, kind = excluded.kind
"""
# The first delivery of a mail to an account counts, whichever event it came by. The first of those that reach
# the quota says since when it is full, wherever batches end.
COUNT: Final = """
WITH delivered AS (
    SELECT DISTINCT ON (account_id, mail_id) account_id, mail_id, octets, at, nth
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[])
        WITH ORDINALITY AS d (account_id, mail_id, octets, at, nth)
    ORDER BY account_id, mail_id, nth
), fresh AS (
    INSERT INTO counted SELECT account_id, mail_id FROM delivered
    ON CONFLICT DO NOTHING RETURNING account_id, mail_id
), filling AS (
    SELECT account_id, delivered.octets, at, nth, quota_octets, coalesce(usage.octets, 0)
        + sum(delivered.octets) OVER (PARTITION BY account_id ORDER BY nth) AS reached
    FROM fresh JOIN delivered USING (account_id, mail_id) LEFT JOIN usage USING (account_id)
)
INSERT INTO usage (account_id, octets, messages, full_since)
SELECT account_id, sum(octets), count(*),
    (array_agg(at ORDER BY nth) FILTER (WHERE reached >= quota_octets))[1]
FROM filling GROUP BY account_id
ON CONFLICT (account_id) DO UPDATE SET octets = usage.octets + excluded.octets,
    messages = usage.messages + excluded.messages,
    full_since = coalesce(usage.full_since, excluded.full_since)
"""


class QuotaModel(ReadModel):
    name = "quota"
    version = 2
    topics = frozenset({AccountCreated.TOPIC, MailDelivered.TOPIC})
    is_sharded = True

    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        """An account is made before anything is delivered to it, so all of a batch may be made first."""
        made = [event.event for event in batch if isinstance(event.event, AccountCreated)]
        if made:
            await rows.execute(
                LIMIT,
                [event.originator_id for event in made],
                [event.quota_octets for event in made],
                [event.kind for event in made],
            )
        delivered = [event.event for event in batch if isinstance(event.event, MailDelivered)]
        if delivered:
            await rows.execute(
                COUNT,
                [event.account_id for event in delivered],
                [event.mail_id for event in delivered],
                [event.message.presented_octets for event in delivered],
                [event.at for event in delivered],
            )
