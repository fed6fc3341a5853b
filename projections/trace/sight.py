"""What an agency may see of mails: those it accepted whole, of all others what befell its own recipients.

A mail is an agency's when it accepted it, when an account of it got it or passed it on, when it waited for
its next hop, and when an address in one of its domains is a recipient: any of these outlives the others.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.events import MailAccepted
from gateway.domain.forwarding import MailForwarded
from gateway.mail.ids import AccountId, AgencyId, MailId
from projections.directory.project import DirectoryModel
from projections.readmodel import Rows, schema_of
from projections.trace.project import TraceModel
from projections.trace.query import Step

_TRACE, _DIRECTORY = schema_of(TraceModel), schema_of(DirectoryModel)

# Recipients of an agency: $1 mails, $2 agencies, $3 the topic that names all recipients and means none.
_OWN: Final = f"""
SELECT mail_id, recipient FROM {_TRACE}.recipient
    JOIN {_DIRECTORY}.domain ON domain = split_part(address_key, '@', -1)
    WHERE mail_id = ANY($1::text[]) AND agency_id = ANY($2::text[])
UNION SELECT mail_id, unnest(recipients)
    FROM {_TRACE}.step LEFT JOIN {_DIRECTORY}.account AS a USING (account_id)
    WHERE mail_id = ANY($1) AND topic <> $3 AND (step.agency_id = ANY($2) OR a.agency_id = ANY($2))
"""
_ACCEPTED: Final = f"""
SELECT mail_id FROM {_TRACE}.step
    WHERE mail_id = ANY($1::text[]) AND agency_id = ANY($2::text[]) AND topic = $3
"""
_ACCOUNTS: Final = f"""
SELECT DISTINCT account_id FROM {_TRACE}.step JOIN {_DIRECTORY}.account AS a USING (account_id)
    WHERE mail_id = ANY($1::text[]) AND a.agency_id = ANY($2::text[])
"""


@dataclass(frozen=True, slots=True)
class Sight:
    """accepted: mails that are seen whole. recipients: of all mails, which are the agencies' own."""

    agencies: frozenset[AgencyId]
    accepted: frozenset[MailId]
    recipients: frozenset[tuple[MailId, int]]
    accounts: frozenset[AccountId]

    def see(self, steps: Sequence[Step]) -> list[Step]:
        """Without what is about others alone, and without what tells of their accounts."""
        return [told for step in steps if (told := self._see(step)) is not None]

    def _see(self, step: Step) -> Step | None:
        seen = step
        if step.mail_id not in self.accepted:
            own = [
                (number, address)
                for number, address in zip(step.recipients, step.addresses, strict=True)
                if (step.mail_id, number) in self.recipients
            ]
            if step.recipients and not own:
                return None
            numbers, addresses = zip(*own, strict=True) if own else ((), ())
            seen = replace(seen, recipients=numbers, addresses=addresses)
        if step.agency_id not in self.agencies:
            seen = replace(seen, agency_id=None)
        if step.account_id not in self.accounts:
            # By whose rule a mail was forwarded, and to whom, is for the agency of the rule.
            text = "" if step.topic == MailForwarded.TOPIC else step.reply_text
            seen = replace(seen, account_id=None, reply_text=text)
        return seen


async def sight_of(rows: Rows, mails: Sequence[MailId], agencies: Collection[AgencyId]) -> Sight:
    """What these agencies may see of these mails."""
    asked = list(mails), list(agencies)
    accepted = await rows.fetch(_ACCEPTED, *asked, MailAccepted.TOPIC)
    own = await rows.fetch(_OWN, *asked, MailAccepted.TOPIC)
    accounts = await rows.fetch(_ACCOUNTS, *asked)
    return Sight(
        frozenset(agencies),
        frozenset(row["mail_id"] for row in accepted),
        frozenset((row["mail_id"], row["recipient"]) for row in own),
        frozenset(row["account_id"] for row in accounts),
    )
