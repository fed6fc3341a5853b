"""What each account uses, folded from its deliveries.

Source: architecture §9 (quota use is a projection), RFC 9208 §5.
"""

from collections.abc import Sequence

from gateway.domain.events import MailDelivered
from gateway.ports import Recorded
from projections.keyring import Keys
from projections.readmodel import ReadModel, Rows

# The first delivery of a mail to an account counts, whichever event it came by.
COUNT = """
WITH delivered AS (
    SELECT DISTINCT ON (account_id, mail_id) account_id, mail_id, octets
    FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS d (account_id, mail_id, octets, nth)
    ORDER BY account_id, mail_id, nth
), fresh AS (
    INSERT INTO counted SELECT account_id, mail_id FROM delivered
    ON CONFLICT DO NOTHING RETURNING account_id, mail_id
)
INSERT INTO usage
SELECT account_id, sum(octets), count(*)
FROM fresh JOIN delivered USING (account_id, mail_id) GROUP BY account_id
ON CONFLICT (account_id) DO UPDATE
SET octets = usage.octets + excluded.octets, messages = usage.messages + excluded.messages
"""


class QuotaModel(ReadModel):
    name = "quota"
    topics = frozenset({MailDelivered.TOPIC})
    is_sharded = True

    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        delivered = [event.event for event in batch if isinstance(event.event, MailDelivered)]
        await rows.execute(
            COUNT,
            [event.account_id for event in delivered],
            [event.mail_id for event in delivered],
            [event.message.presented_octets for event in delivered],
        )
