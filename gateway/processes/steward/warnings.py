"""The mail that warns of a trial's end, and to whom it goes: content first, event second, as any other mail.

Source: RFC 5321 §4.5.5 (the null reverse-path: nobody answers a machine).
"""

from collections.abc import Sequence
from typing import Final

from gateway.domain.agency import Agency
from gateway.domain.events import EnvelopeSecret, Fact, Stamp
from gateway.mail import notice
from gateway.mail.address import Address
from gateway.mail.ids import ID_ENTROPY_OCTETS, AgencyId, new_mail_id
from gateway.mail.mime import StructureScanner
from gateway.ports import ContentStore, Entropy, KeyStore
from gateway.processes.intake import Incoming, Intake
from gateway.processes.storing import Octets
from projections.directory import trials
from projections.readmodel import Pool

RECIPIENTS_MAX: Final = 100  # RFC 5321 §4.5.3.1.8


class People:
    """Who answers for an agency, by the rows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def agencies(self) -> Sequence[AgencyId]:
        async with self._pool.rows() as rows:
            return await trials.on_trial(rows)

    async def answering(self, agency_id: AgencyId) -> Sequence[Address]:
        async with self._pool.rows() as rows:
            return await trials.answering(rows, agency_id)


class TrialWarnings:
    """The port Warnings."""

    def __init__(
        self,
        *,
        people: People,
        content: ContentStore,
        keys: KeyStore,
        entropy: Entropy,
        hostname: str,
        grace_days: int,
    ) -> None:
        self._people, self._entropy = people, entropy
        self._intake = Intake(content, keys, entropy)
        self._hostname, self._grace_days = hostname, grace_days

    async def warning(self, agency: Agency, stamp: Stamp) -> Sequence[Fact]:
        """None where nobody answers for it: an agency may have no account yet."""
        assert agency.trial is not None, agency.id
        recipients = (await self._people.answering(AgencyId(agency.id)))[:RECIPIENTS_MAX]
        if not recipients:
            return []
        mail_id = new_mail_id(stamp.at, self._entropy(ID_ENTROPY_OCTETS))
        rendered = notice.render(
            notice.TrialEnds(
                mail_id=mail_id,
                at=stamp.at,
                hostname=self._hostname,
                recipients=recipients,
                agency_name=agency.name,
                ends_at=agency.trial.ends_at,
                grace_days=self._grace_days,
            )
        )
        scanner = StructureScanner()
        scanner.feed(rendered)
        is_ascii = all(recipient.is_ascii for recipient in recipients)
        return await self._intake.take(
            Incoming(
                mail_id=mail_id,
                stamp=stamp,
                agency_id=AgencyId(agency.id),
                envelope=EnvelopeSecret(mail_from=None, rcpt_to=tuple(map(str, recipients))),
                agencies=[AgencyId(agency.id)] * len(recipients),
                message=Octets(rendered),
                tree=scanner.finish(),
                front=b"Return-Path: <>\r\n",  # RFC 5321 §4.4
                smtputf8=not is_ascii,
                eight_bit=not is_ascii,
            )
        )
