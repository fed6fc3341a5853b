"""The traffic log as rows: sessions, sign-ins, passwords that were set and accepted mails.

There is a partition for each day of `at` (UTC).

Partitions are made by the fold and dropped by it, because of trace.expired alone: rows folded anew are the
same. What comes late for a day that has expired is not kept.

Source: architecture §4 (Sealed), §6.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from typing import Final

from gateway.domain.app_passwords import AppPasswordMade
from gateway.domain.credentials import PasswordSet
from gateway.domain.events import EnvelopeSecret, Event, MailAccepted
from gateway.domain.sessions import SESSIONS, NetworkSecret, SessionEnded, SessionSecret, SessionsEnded
from gateway.domain.signin import SIGN_INS, SignIn, SignInAccepted, SignInRefused, SignInSecret
from gateway.domain.traffic import TraceExpired
from gateway.ports import Recorded
from projections.keyring import Keys, clear
from projections.readmodel import Rows
from projections.trace import app_passwords, expiry

TOPICS: Final = frozenset(
    kind.TOPIC
    for kind in (
        SignInAccepted,
        SignInRefused,
        AppPasswordMade,
        PasswordSet,
        SessionEnded,
        SessionsEnded,
        TraceExpired,
    )
)
ROW_TOPICS: Final = TOPICS | {MailAccepted.TOPIC}  # what rows are made of, or removed for

MISSING: Final = """
SELECT day FROM unnest($1::text[]) AS wanted (day) WHERE to_regclass('traffic_' || day) IS NULL ORDER BY day
"""


@dataclass(frozen=True, slots=True)
class Traffic:
    """One row. Names and order are those of the table; text is blank when it is erased, or there is none."""

    position: int
    day: date
    at: datetime
    kind: str  # session, sessions (many, counted), sign-in, password (it was set), mail
    agency_id: str | None
    account_id: str | None = None
    listener: str = ""
    began_at: datetime | None = None
    remote_ip: str = ""
    remote_port: int = 0
    helo: str = ""
    tls: str = ""
    identity: str = ""  # as who signed in, or tried to; of a password, who set it
    mechanism: str = ""
    app_id: str = ""  # of the app password that was shown to be known
    app_password: str = ""  # what its owner calls it
    mail_id: str = ""
    mail_from: str = ""
    rcpt_to: Sequence[str] = ()
    octets: int = 0
    outcome: str = ""  # how a session ended, why a sign-in was refused, how a password was set
    limit_met: str = ""
    sessions: int = 0
    transactions: int = 0
    accepted: int = 0
    recipients: int = 0
    refused_recipients: int = 0
    refused: Sequence[str] = ()


COLUMNS: Final = tuple(field.name for field in fields(Traffic))
_values = attrgetter(*COLUMNS)


async def fold(
    batch: Sequence[Recorded], envelopes: dict[int, EnvelopeSecret | None], rows: Rows, keys: Keys
) -> None:
    """envelopes: of accepted mails, by position."""
    if not any(recorded.topic in ROW_TOPICS for recorded in batch):
        return
    known = await expiry.read(rows)
    waiting = list[Traffic]()
    labels = await app_passwords.labels(batch, rows, keys)
    for recorded in batch:
        event = recorded.event
        if isinstance(event, TraceExpired):
            await _write(waiting, rows)
            waiting = []
            known = await expiry.expire(event, known, rows)
            continue
        row = _row(recorded, event, envelopes.get(recorded.position), labels, keys)
        if row is not None and not known.has_ended(row.day, row.agency_id):
            waiting.append(row)
    await _write(waiting, rows)


async def _write(traffic: Sequence[Traffic], rows: Rows) -> None:
    if not traffic:
        return
    days = {f"{row.day:%Y%m%d}": row.day for row in traffic}
    for found in await rows.fetch(MISSING, sorted(days)):
        day = days[found["day"]]
        await rows.execute(
            f"""CREATE TABLE traffic_{day:%Y%m%d} PARTITION OF traffic
            FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"""
        )
    await rows.copy_records_to_table("traffic", records=map(_values, traffic), columns=COLUMNS)


def keys_of(event: Event) -> Iterator[str]:
    """The names of the keys that the rows of sessions and sign-ins want."""
    if isinstance(event, SignIn | SessionEnded | SessionsEnded):
        yield event.sealed_key
    yield from app_passwords.keys_of(event)


def _row(
    recorded: Recorded, event: Event, envelope: EnvelopeSecret | None, labels: Mapping[str, str], keys: Keys
) -> Traffic | None:
    match event:
        case SessionEnded():
            return _session(recorded, event, keys)
        case SessionsEnded():
            return _sessions(recorded, event, keys)
        case SignInAccepted() | SignInRefused():
            return _sign_in(recorded, event, labels.get(event.app_id, ""), keys)
        case PasswordSet():
            return _password(recorded, event)
        case MailAccepted():
            return _mail(recorded, event, envelope or EnvelopeSecret(None, ()))
    return None


def _session(recorded: Recorded, event: SessionEnded, keys: Keys) -> Traffic:
    secret = keys.unseal_with(SessionSecret, event.sealed, event.sealed_key, label=SESSIONS)
    return Traffic(
        position=recorded.position,
        day=_day(event),
        at=event.at,
        kind="session",
        agency_id=_agency(recorded),
        account_id=event.account_id,
        listener=event.listener,
        began_at=event.began_at,
        remote_ip=secret.remote_ip if secret else "",
        remote_port=secret.remote_port if secret else 0,
        helo=clear(secret.helo) if secret else "",
        tls=secret.tls if secret else "",
        mechanism=event.mechanism,
        outcome=event.ended,
        limit_met=event.limit,
        sessions=1,
        transactions=event.transactions,
        accepted=event.accepted,
        recipients=event.recipients,
        refused_recipients=event.refused_recipients,
        refused=[" ".join(filter(None, (str(r.code), r.status, r.reason))) for r in event.refused],
    )


def _sessions(recorded: Recorded, event: SessionsEnded, keys: Keys) -> Traffic:
    secret = keys.unseal_with(NetworkSecret, event.sealed, event.sealed_key, label=SESSIONS)
    return Traffic(
        position=recorded.position,
        day=_day(event),
        at=event.at,
        kind="sessions",
        agency_id=_agency(recorded),
        began_at=event.since,
        remote_ip=secret.network if secret else "",
        outcome=" ".join(f"{one.ended}:{one.sessions}" for one in event.ended),
        sessions=event.sessions,
        transactions=event.transactions,
        accepted=event.accepted,
        recipients=event.recipients,
        refused_recipients=event.refused_recipients,
    )


def _sign_in(
    recorded: Recorded, event: SignInAccepted | SignInRefused, app_password: str, keys: Keys
) -> Traffic:
    secret = keys.unseal_with(SignInSecret, event.sealed, event.sealed_key, label=SIGN_INS)
    return Traffic(
        position=recorded.position,
        day=_day(event),
        at=event.at,
        kind="sign-in",
        agency_id=_agency(recorded),
        account_id=event.account_id,
        listener=event.protocol,
        remote_ip=secret.remote_ip if secret else "",
        helo=clear(secret.helo) if secret else "",
        identity=clear(secret.username) if secret else "",
        mechanism=event.mechanism,
        app_id=event.app_id,
        app_password=app_password,
        outcome=event.reason if isinstance(event, SignInRefused) else "accepted",
    )


def _password(recorded: Recorded, event: PasswordSet) -> Traffic:
    return Traffic(
        position=recorded.position,
        day=_day(event),
        at=event.at,
        kind="password",
        agency_id=_agency(recorded),
        account_id=event.account_id,
        identity=clear(f"{event.actor.kind} {event.actor.id}".strip()),
        outcome=event.how,
    )


def _mail(recorded: Recorded, event: MailAccepted, envelope: EnvelopeSecret) -> Traffic:
    return Traffic(
        position=recorded.position,
        day=_day(event),
        at=event.at,
        kind="mail",
        agency_id=event.agency_id,
        account_id=event.sender_account_id,
        remote_ip=envelope.remote_ip,
        remote_port=envelope.remote_port,
        helo=clear(envelope.helo),
        tls=envelope.tls,
        identity=clear(envelope.identity),
        mechanism=envelope.mechanism,
        mail_id=event.mail_id,
        mail_from=clear(envelope.mail_from or ""),
        rcpt_to=list(_cleared(envelope.rcpt_to)),
        octets=event.message.content.octets,
        outcome="accepted",
        recipients=len(event.recipients),
    )


def _cleared(texts: Iterable[str]) -> Iterator[str]:
    return (clear(text) for text in texts)


def _day(event: Event) -> date:
    return event.at.astimezone(UTC).date()


def _agency(recorded: Recorded) -> str | None:
    """Of `ev.access.<agency_id>`."""
    agency = recorded.subject.rpartition(".")[2]
    return None if agency == "none" else agency
