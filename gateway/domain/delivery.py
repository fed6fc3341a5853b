"""What one delivery attempt means for a recipient: relayed, deferred or bounced.

Source: RFC 5321 §4.5.4.1 (sending strategy), §4.2.1 (4yz is transient, 5yz permanent); RFC 3463 §3;
RFC 3461 §5.2.2 (a report of our own when the host tells nobody); RFC 2852 §4 (deadlines).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, assert_never

from gateway.domain.events import (
    Attempted,
    AttemptSecret,
    Fact,
    MailBounced,
    MailDeferred,
    MailQueued,
    MailRelayed,
    Stamp,
)
from gateway.domain.histories import mail_history
from gateway.domain.retries import RetrySchedule, hindrance_of
from gateway.domain.routing import attempt_label
from gateway.domain.sealing import seal
from gateway.domain.tls_policy import NO_TLS_SEEN, TlsSeen
from gateway.mail.dsn_options import DELAY, NEVER, SUCCESS, wants
from gateway.mail.reply import Reply, reply

Reason = Literal["mailbox", "full", "policy", "spam", "protocol", "network", "expired", "route"]

DEMO: Final = reply(451, "4.4.4", "demo: mail does not leave this machine")
NO_ROUTE: Final = reply(451, "4.4.4", "no route: no agency has this domain")
HELD: Final = reply(451, "4.4.7", "held in the queue by its postmaster until its time was over")
# Once, to a sender that asked to be told (RFC 3461 §4.1). Precedent: sendmail warns after 4 hours.
DELAY_REPORTED_AFTER: Final = timedelta(hours=4)
REPLY_TEXT_OCTETS_MAX: Final = 2_000  # of what a host said, kept in the event

# RFC 3463 §3: what the subject of a status is about, where it alone tells.
_REASONS: Final[Mapping[int, Reason]] = {
    1: "mailbox", 2: "mailbox", 3: "policy", 4: "network", 5: "protocol", 6: "protocol", 7: "policy",
}  # fmt: skip
# And what the registry of RFC 5248 tells more closely. 5.7.1 alone says no more than policy, and the text
# beside it is no protocol. "spam" is what a host says by its status: that it doubts whose the mail is, or
# that there is too much of it. DKIM (20 to 22, RFC 7372), SPF (23, 24), reverse DNS (25), several of these
# (26), a sender that takes no mail (27, RFC 7505), a flood (28), ARC (29).
_REASONS_BY_DETAIL: Final[Mapping[tuple[int, int], Reason]] = {
    (1, 2): "route",  # no such domain
    (2, 2): "full",
    (4, 4): "route",
    (4, 7): "expired",
    (7, 17): "mailbox",  # RFC 7293: it has another owner
    (7, 18): "mailbox",
    **dict.fromkeys(((7, detail) for detail in range(20, 30)), "spam"),
}
# Without a status: RFC 5321 §4.2.3.
_REASONS_BY_CODE: Final[Mapping[int, Reason]] = {
    521: "policy", 550: "mailbox", 551: "mailbox", 552: "full", 553: "mailbox", 556: "mailbox",
}  # fmt: skip
# And the status of what has only one meaning: RFC 7504 §3 (a host takes no mail), RFC 7505 §4.1 (a domain).
_STATUS_BY_CODE: Final[Mapping[int, str]] = {521: "3.2", 556: "1.10"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried for one recipient, and what was said.

    is_ours: the host has not said it. is_about_mail: said to this mail, not to the connection.
    has_dsn: the host reports from now on what the sender asked to be told. tried_at: the attempt before.
    is_at_rcpt: said to RCPT.
    """

    recipient: int
    number: int  # 1, 2, …
    reply: Reply
    is_ours: bool = False
    is_about_mail: bool = True
    has_dsn: bool = False
    tried_at: datetime | None = None
    is_at_rcpt: bool = False


@dataclass(frozen=True, slots=True)
class Relayed:
    pass


@dataclass(frozen=True, slots=True)
class Deferred:
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True)
class Bounced:
    reason: Reason


Outcome = Relayed | Deferred | Bounced


def conclude(
    attempt: Attempt,
    *,
    at: datetime,
    expires_at: datetime,
    schedule: RetrySchedule,
    chance: float,
    late_from: datetime | None = None,
    not_before: datetime | None = None,
) -> Outcome:
    """The fate of a recipient. A host that refuses the connection for good may be back tomorrow: only what
    it says to a mail is permanent. late_from: an attempt is wanted then, so that its sender is told.
    not_before: no host is asked until then, whatever the schedule says."""
    if attempt.reply.is_success:
        return Relayed()
    if attempt.reply.is_permanent and attempt.is_about_mail:
        return Bounced(_reason(attempt.reply))
    hindrance = hindrance_of(
        attempt.reply, is_ours=attempt.is_ours, is_at_rcpt=attempt.is_at_rcpt, attempt=attempt.number
    )
    next_attempt_at = at + schedule.delay_after(attempt.number, chance, hindrance)
    if not_before is not None:  # and then not all at once
        next_attempt_at = max(next_attempt_at, not_before + chance * schedule.first_delay)
    if late_from is not None and at < late_from:
        next_attempt_at = min(next_attempt_at, late_from)
    if at < expires_at:
        return Deferred(min(next_attempt_at, expires_at))
    return Bounced("route" if attempt.reply in (DEMO, NO_ROUTE) else "expired")


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt to deliver a mail, for all recipients it was made for."""

    queued: MailQueued
    position: int  # of mail.queued
    attempts: tuple[Attempt, ...]
    remote_host: str  # "" when there was nowhere to go
    tls: TlsSeen = NO_TLS_SEEN
    not_before: datetime | None = None  # no host is asked until then


def outcome_facts(
    tried: Tried,
    *,
    stamp: Stamp,
    schedule: RetrySchedule,
    chance: float,
    data_key: bytes,
    nonce: Callable[[], bytes],
) -> list[Fact]:
    """The facts of an attempt: one for all recipients that have the same outcome for the same reason."""
    queued, seen = tried.queued, tried.tls
    alike: dict[tuple[Outcome, int, Reply, bool], list[int]] = {}
    reported = set[int]()
    for attempt in tried.attempts:
        outcome = conclude(
            attempt,
            at=stamp.at,
            expires_at=queued.expires_at,
            schedule=schedule,
            chance=chance,
            late_from=_notified_at(queued),
            not_before=tried.not_before,
        )
        key = (outcome, attempt.number, attempt.reply, attempt.is_ours)
        alike.setdefault(key, []).append(attempt.recipient)
        if is_reported(outcome, attempt, queued, at=stamp.at):
            reported.add(attempt.recipient)

    facts = []
    for (outcome, number, said, is_ours), recipients in alike.items():
        secret = AttemptSecret(tried.remote_host, _text(said), seen.text, seen.verified, seen.failure)
        carried = stamp.answering(tried.position) | {
            "mail_id": queued.mail_id,
            "recipients": tuple(recipients),
            "attempt": number,
            "code": 0 if is_ours else said.code,
            "status": _status(said, outcome),
            "keys": queued.keys,
            "sealed": seal(secret, data_key, nonce=nonce(), label=attempt_label(queued.mail_id)),
        }
        report = tuple(recipient for recipient in recipients if recipient in reported)
        facts.append(Fact(mail_history(queued.mail_id), _event(outcome, carried, report)))
    return facts


def is_reported(outcome: Outcome, attempt: Attempt, queued: MailQueued, *, at: datetime) -> bool:
    """True when the sender is told of it and had asked for that. (Of a bounce the router decides.)

    A success is ours to report when the host tells nobody. A delay is reported by the first attempt that is
    late: the one before was not, so it is told once whatever is killed.
    """
    if queued.is_report or not (queued.notify or queued.deliver_by_mode):
        return False
    notify = queued.notify[queued.recipients.index(attempt.recipient)] if queued.notify else ""
    notified_at = _notified_at(queued)
    match outcome:
        case Relayed():
            is_traced = queued.deliver_by_mode in ("RT", "NT") and notify != NEVER
            return is_traced or (wants(notify, SUCCESS) and not attempt.has_dsn)
        case Deferred():
            late_from = notified_at or queued.accepted_at + DELAY_REPORTED_AFTER
            is_first = attempt.tried_at is None or attempt.tried_at < late_from
            is_wanted = wants(notify, DELAY) or (notified_at is not None and not notify)
            return is_wanted and at >= late_from and is_first
        case Bounced():
            return False
        case _:
            assert_never(outcome)


def _notified_at(queued: MailQueued) -> datetime | None:
    """The deadline after which a mail goes on and its sender is told (RFC 2852 §4, by-mode N)."""
    return queued.deliver_by if queued.deliver_by_mode in ("N", "NT") else None


def erased_fact(queued: MailQueued, position: int, recipients: tuple[int, ...], stamp: Stamp) -> Fact:
    """The end of a mail whose keys were destroyed while it waited: nobody can open it any more."""
    event = MailBounced(
        **stamp.answering(position),
        mail_id=queued.mail_id,
        recipients=recipients,
        attempt=1,
        code=0,
        status="5.7.0",
        reason="policy",
        keys=(),
        sealed=b"",
    )
    return Fact(mail_history(queued.mail_id), event)


def suspended(why: str) -> Reply:
    """Said of a mail for a destination nobody connects to now. why: what was said when somebody did."""
    return reply(451, "4.4.1", f"suspended, connections came to nothing: {why}")


def relayed_front(front: bytes) -> bytes:
    """What we put before a message that goes on: Return-Path belongs to final delivery (RFC 5321 §4.4)."""
    first, line_break, rest = front.partition(b"\r\n")
    return rest if first.lower().startswith(b"return-path:") and line_break else front


def _event(outcome: Outcome, carried: dict[str, Any], report: tuple[int, ...]) -> Attempted:
    match outcome:
        case Relayed():
            return MailRelayed(**carried, report_success=report)
        case Deferred(next_attempt_at=next_attempt_at):
            return MailDeferred(**carried, next_attempt_at=next_attempt_at, report_delay=report)
        case Bounced(reason=reason):
            return MailBounced(**carried, reason=reason)
        case _:
            assert_never(outcome)


def _reason(said: Reply) -> Reason:
    if said.status is None:
        return _REASONS_BY_CODE.get(said.code, "policy" if said.code == 554 else "protocol")
    subject, detail = said.status.subject, said.status.detail
    return _REASONS_BY_DETAIL.get((subject, detail)) or _REASONS.get(subject, "protocol")


def _status(said: Reply, outcome: Outcome) -> str:
    """RFC 3463 §2: the class is that of our conclusion, the rest is what was said; §3.5: X.4.7 is expired."""
    detail = _STATUS_BY_CODE.get(said.code, "0.0")
    if said.status is not None:
        detail = f"{said.status.subject}.{said.status.detail}"
    match outcome:
        case Relayed():
            return f"2.{detail}"
        case Deferred():
            return f"4.{detail}"
        case Bounced(reason="expired"):
            return "5.4.7"
        case Bounced():
            return f"5.{detail}"
        case _:
            assert_never(outcome)


def _text(said: Reply) -> str:
    text = " / ".join(said.text)
    return text.encode()[:REPLY_TEXT_OCTETS_MAX].decode(errors="ignore")
