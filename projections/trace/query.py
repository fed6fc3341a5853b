"""The story of a mail, and finding the mail by what a person remembers of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from gateway.domain.events import MailAccepted
from gateway.mail.ids import AccountId, AgencyId, MailId
from projections.directory.project import DirectoryModel
from projections.readmodel import Rows, schema_of
from projections.trace.project import TraceModel, address_key

_SCHEMA, _DIRECTORY = schema_of(TraceModel), schema_of(DirectoryModel)


@dataclass(frozen=True, slots=True)
class Step:
    """One fact about one mail. addresses: of `recipients`, blank when erased."""

    position: int
    mail_id: MailId
    at: datetime
    topic: str
    actor_kind: str
    actor_id: str
    role: str
    version: str
    settings: str
    cause: str
    recipients: tuple[int, ...]
    agency_id: AgencyId | None
    account_id: AccountId | None
    attempt: int | None
    code: int | None
    status: str | None
    reason: str | None
    next_attempt_at: datetime | None
    remote_host: str
    reply_text: str
    tls: str
    verified: str
    tls_failure: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MailRow:
    mail_id: MailId
    position: int
    at: datetime
    octets: int
    mail_from: str
    header_from: str
    subject: str
    message_id: str
    helo: str
    remote_ip: str
    report_of: MailId | None


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """A recipient that was refused at RCPT. Its addresses are blank when erased."""

    position: int
    at: datetime
    agency_id: AgencyId
    reason: str
    code: int
    status: str
    valid_since: datetime
    owner_since: datetime | None  # None: it is nobody's own
    mail_from: str
    rcpt_to: str
    remote_ip: str
    helo: str
    unrecorded: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a mail must match, all of it; None: no matter.

    from_: of envelope or header. subject: a part of it, in any case.
    """

    mail_id: str | None = None
    message_id: str | None = None  # with or without its angle brackets
    from_: str | None = None
    to: str | None = None
    remote_ip: str | None = None
    subject: str | None = None
    since: datetime | None = None
    from_too: tuple[str, ...] = ()  # other names of the same address, where its domain was replaced
    to_too: tuple[str, ...] = ()

    @property
    def senders(self) -> list[str] | None:
        """Normalised, all names of it; None: no matter."""
        return _keys(self.from_, self.from_too)

    @property
    def recipients(self) -> list[str] | None:
        """The same of the recipient."""
        return _keys(self.to, self.to_too)


def _keys(text: str | None, too: tuple[str, ...]) -> list[str] | None:
    return [address_key(each) for each in (text, *too)] if text else None


_STEPS = ", ".join(field.name for field in fields(Step) if field.name != "addresses")
_MAILS = ", ".join(field.name for field in fields(MailRow))
_REFUSALS = ", ".join(field.name for field in fields(RefusalRow))

# What makes a mail one of the agencies $2 (sight.py says why each).
_OURS: Final = f"""(EXISTS (SELECT FROM {_SCHEMA}.step LEFT JOIN {_DIRECTORY}.account AS a USING (account_id)
        WHERE step.mail_id = mail.mail_id AND (step.agency_id = ANY($2) OR a.agency_id = ANY($2)))
    OR EXISTS (SELECT FROM {_SCHEMA}.recipient AS r
        JOIN {_DIRECTORY}.domain AS d ON d.domain = split_part(r.address_key, '@', -1)
        WHERE r.mail_id = mail.mail_id AND d.agency_id = ANY($2)))"""
# Recipients these agencies see: nobody learns by asking who else got a mail.
_SEEN: Final = f"""(EXISTS (SELECT FROM {_DIRECTORY}.domain AS d
        WHERE d.domain = split_part(r.address_key, '@', -1) AND d.agency_id = ANY($2))
    OR EXISTS (SELECT FROM {_SCHEMA}.step AS s WHERE s.mail_id = r.mail_id
        AND s.topic = '{MailAccepted.TOPIC}' AND s.agency_id = ANY($2)))"""


async def find_mails(
    rows: Rows,
    wanted: Wanted,
    *,
    after: int = 0,
    limit: int = 1_000,
    newest: bool = False,
    agencies: Collection[AgencyId] | None = None,
) -> list[MailRow]:
    """Mails that match, in log order; after: position of the last one of the page before.

    newest: of more than `limit`, the last ones instead of the first. agencies: accepted by one of them, or
    with a recipient of it; None: no matter.
    """
    conditions, values = ["position > $1"], list[object]([after])
    seen = "true"
    if agencies is not None:  # else the directory is not asked: figures are taken without it
        conditions.append(_OURS)
        values.append(list(agencies))
        seen = _SEEN

    def want(condition: str, value: object) -> None:
        if value is not None:
            values.append(value)
            conditions.append(condition.replace("#", f"${len(values)}"))

    want("mail_id = #", wanted.mail_id)
    want("message_id = #", wanted.message_id and f"<{wanted.message_id.strip().strip('<>')}>")
    want("(sender_key = ANY(#) OR lower(header_from) = ANY(#))", wanted.senders)
    want(
        f"""mail_id IN (SELECT mail_id FROM {_SCHEMA}.recipient AS r
            WHERE address_key = ANY(#) AND {seen})""",
        wanted.recipients,
    )
    want("remote_ip = #", wanted.remote_ip)
    want("subject ILIKE #", wanted.subject and f"%{_literally(wanted.subject)}%")
    want("at >= #", wanted.since)
    found = await rows.fetch(
        f"""SELECT {_MAILS} FROM {_SCHEMA}.mail
        WHERE {" AND ".join(conditions)} ORDER BY position {"DESC" if newest else "ASC"}
        LIMIT {limit:d}""",
        *values,
    )
    return sorted((MailRow(*row.values()) for row in found), key=lambda mail: mail.position)


async def find_refusals(
    rows: Rows,
    wanted: Wanted,
    *,
    after: int = 0,
    limit: int = 1_000,
    agencies: Collection[AgencyId] | None = None,
) -> list[RefusalRow]:
    """The last refusals that match, in log order; none for what only a mail has: an id, a subject.

    after: position of the last one seen. agencies: of recipients of these; None: no matter.
    """
    if wanted.mail_id is not None or wanted.message_id is not None or wanted.subject is not None:
        return []
    found = await rows.fetch(
        f"""SELECT {_REFUSALS} FROM {_SCHEMA}.refusal
        WHERE ($1::text[] IS NULL OR sender_key = ANY($1)) AND ($2::text[] IS NULL OR recipient_key = ANY($2))
            AND ($3::text IS NULL OR remote_ip = $3) AND ($4::timestamptz IS NULL OR at >= $4)
            AND position > $5 AND ($6::text[] IS NULL OR agency_id = ANY($6))
        ORDER BY position DESC LIMIT {limit:d}""",
        wanted.senders,
        wanted.recipients,
        wanted.remote_ip,
        wanted.since,
        after,
        None if agencies is None else list(agencies),
    )
    return sorted((RefusalRow(*row.values()) for row in found), key=lambda refused: refused.position)


def _literally(text: str) -> str:
    """Text in which LIKE finds no pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def story_of(rows: Rows, mails: Sequence[MailId], *, after: int = 0, limit: int = 10_000) -> list[Step]:
    """Every step of these mails, in log order; after: position of the last step seen."""
    found = await rows.fetch(
        f"""SELECT {_STEPS}, ARRAY(
            SELECT coalesce(address, '')
            FROM unnest(step.recipients) WITH ORDINALITY AS named (recipient, nth)
            LEFT JOIN {_SCHEMA}.recipient AS r ON r.mail_id = step.mail_id AND r.recipient = named.recipient
            ORDER BY nth) AS addresses
        FROM {_SCHEMA}.step WHERE mail_id = ANY($1::text[]) AND position > $2 ORDER BY position LIMIT $3""",
        list(mails),
        after,
        limit,
    )
    return [_step(list(row.values())) for row in found]


def _step(values: list[object]) -> Step:
    named = dict(zip((field.name for field in fields(Step)), values, strict=True))
    named["recipients"] = tuple(named["recipients"])  # type: ignore[arg-type]
    named["addresses"] = tuple(named["addresses"])  # type: ignore[arg-type]
    return Step(**named)  # type: ignore[arg-type]


async def count_steps(rows: Rows, after: int, up_to: int) -> dict[str, int]:
    """How many steps of each topic there are behind one position, up to another."""
    found = await rows.fetch(
        f"SELECT topic, count(*) FROM {_SCHEMA}.step WHERE position > $1 AND position <= $2 GROUP BY topic",
        after,
        up_to,
    )
    return {row["topic"]: row["count"] for row in found}
