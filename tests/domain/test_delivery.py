"""What an attempt means for a recipient (RFC 5321 §4.5.4.1, RFC 3463)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from gateway.domain.delivery import (
    DEMO,
    NO_ROUTE,
    Attempt,
    Bounced,
    Deferred,
    Outcome,
    Relayed,
    conclude,
    is_reported,
    relayed_front,
)
from gateway.domain.events import MailQueued
from gateway.domain.retries import RetrySchedule
from gateway.mail.reply import Reply, reply
from tests.domain.samples import least

AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
IN_TIME, TOO_LATE = AT + timedelta(days=1), AT
SCHEDULE = RetrySchedule()
LATER = Deferred(AT + timedelta(minutes=1))

CASES: list[tuple[Reply, datetime, Outcome]] = [
    # RFC 5321 §4.2.1: the first digit decides, also after the time is over.
    (reply(250, "2.0.0", "taken"), IN_TIME, Relayed()),
    (reply(250, None, "taken"), TOO_LATE, Relayed()),
    (reply(451, "4.3.0", "later"), IN_TIME, LATER),
    (reply(451, "4.3.0", "later"), TOO_LATE, Bounced("expired")),
    # RFC 3463 §3: what the status is about.
    (reply(550, "5.1.1", "no such user"), IN_TIME, Bounced("mailbox")),
    (reply(550, "5.2.1", "disabled"), IN_TIME, Bounced("mailbox")),
    (reply(552, "5.2.2", "full"), IN_TIME, Bounced("full")),
    (reply(552, "5.3.4", "too large"), IN_TIME, Bounced("policy")),
    (reply(550, "5.4.4", "no route"), IN_TIME, Bounced("route")),
    (reply(550, "5.4.6", "a loop"), IN_TIME, Bounced("network")),
    (reply(554, "5.4.7", "too late"), IN_TIME, Bounced("expired")),
    (reply(554, "5.6.3", "8-bit"), IN_TIME, Bounced("protocol")),
    (reply(550, "5.7.1", "no"), IN_TIME, Bounced("policy")),
    # RFC 5248's registry: whose the mail is, or how much there is of it, is doubted.
    (reply(550, "5.7.23", "SPF validation failed"), IN_TIME, Bounced("spam")),
    (reply(550, "5.7.28", "mail flood"), IN_TIME, Bounced("spam")),
    (reply(550, "5.7.30", "no REQUIRETLS"), IN_TIME, Bounced("policy")),
    (reply(550, "5.7.17", "another owner"), IN_TIME, Bounced("mailbox")),
    (reply(554, "5.7.1", "looks like spam"), IN_TIME, Bounced("policy")),
    # RFC 5321 §4.2.3: without a status, the code.
    (reply(550, None, "no"), IN_TIME, Bounced("mailbox")),
    (reply(552, None, "no"), IN_TIME, Bounced("full")),
    (reply(554, None, "no"), IN_TIME, Bounced("policy")),
    (reply(501, None, "no"), IN_TIME, Bounced("protocol")),
    (reply(521, None, "no mail here"), IN_TIME, Bounced("policy")),
    (reply(556, None, "no mail there"), IN_TIME, Bounced("mailbox")),
    # Nowhere to go: when the time is over the reason is not the clock.
    (DEMO, IN_TIME, LATER),
    (NO_ROUTE, TOO_LATE, Bounced("route")),
]


@pytest.mark.parametrize(("said", "expires_at", "outcome"), CASES)
def test_what_was_said_decides(said: Reply, expires_at: datetime, outcome: Outcome) -> None:
    attempt = Attempt(recipient=0, number=1, reply=said)
    concluded = conclude(attempt, at=AT, expires_at=expires_at, schedule=SCHEDULE, chance=0.5)
    assert concluded == outcome


def test_a_host_that_refuses_the_connection_for_good_is_asked_again() -> None:
    attempt = Attempt(0, 1, reply(554, "5.7.1", "no mail here"), is_about_mail=False)
    later = conclude(attempt, at=AT, expires_at=IN_TIME, schedule=SCHEDULE, chance=0.5)
    assert later == Deferred(AT + timedelta(minutes=10))
    given_up = conclude(attempt, at=AT, expires_at=TOO_LATE, schedule=SCHEDULE, chance=0.5)
    assert given_up == Bounced("expired")


def test_what_stood_in_the_way_says_how_soon() -> None:
    """RFC 5321 §4.5.4.1: the reason is known. How soon each is: test_retries.py."""
    full = Attempt(0, 1, reply(452, "4.2.2", "full"), is_at_rcpt=True)
    concluded = conclude(full, at=AT, expires_at=IN_TIME, schedule=SCHEDULE, chance=0.5)
    assert concluded == Deferred(AT + timedelta(minutes=30))


def test_the_last_attempt_is_made_when_the_time_is_over_not_before() -> None:
    attempt = Attempt(0, 9, reply(451, None, "later"))
    soon = AT + timedelta(minutes=10)
    assert conclude(attempt, at=AT, expires_at=soon, schedule=SCHEDULE, chance=0.5) == Deferred(soon)


LATE = AT + timedelta(hours=4)
DEFERRED = Deferred(LATE)
REPORTED = [
    # RFC 3461 §5.2.2: a success is ours to report when the host tells nobody.
    ("SUCCESS", Relayed(), {}, True),
    ("SUCCESS", Relayed(), {"has_dsn": True}, False),
    ("FAILURE", Relayed(), {}, False),
    ("NEVER", Relayed(), {}, False),
    ("", Relayed(), {}, False),
    # RFC 3461 §4.1: a delay, by the first attempt that is late.
    ("DELAY", DEFERRED, {"tried_at": LATE - timedelta(seconds=1)}, True),
    ("DELAY", DEFERRED, {"tried_at": LATE}, False),
    ("DELAY", DEFERRED, {}, True),  # nobody tried for four hours
    ("SUCCESS,FAILURE", DEFERRED, {}, False),
    ("NEVER", DEFERRED, {}, False),
    ("", DEFERRED, {}, False),
    # Of a bounce the router decides.
    ("SUCCESS,FAILURE,DELAY", Bounced("mailbox"), {}, False),
]


@pytest.mark.parametrize(("notify", "outcome", "attempt", "told"), REPORTED)
def test_a_sender_is_told_what_it_asked_for(
    notify: str, outcome: Outcome, attempt: dict[str, Any], told: bool
) -> None:
    queued = queued_mail(notify)
    tried = Attempt(4, 2, reply(250, None, "ok"), **attempt)
    assert is_reported(outcome, tried, queued, at=LATE) == told
    report = msgspec.structs.replace(queued, is_report=True)
    assert not is_reported(outcome, tried, report, at=LATE)


BY = AT + timedelta(minutes=10)
REPORTED_BY = [
    # RFC 2852 §4: at the deadline the sender is told once, unless it said that it does not want to know.
    ("", "N", DEFERRED, {"tried_at": BY - timedelta(seconds=1)}, True),
    ("DELAY", "N", DEFERRED, {"tried_at": BY - timedelta(seconds=1)}, True),
    ("", "N", DEFERRED, {"tried_at": BY}, False),
    ("NEVER", "N", DEFERRED, {}, False),
    ("FAILURE", "N", DEFERRED, {}, False),
    ("", "R", DEFERRED, {}, False),
    # T: of each relay.
    ("", "RT", Relayed(), {"has_dsn": True}, True),
    ("", "NT", Relayed(), {}, True),
    ("NEVER", "NT", Relayed(), {}, False),
    ("", "N", Relayed(), {}, False),
]


@pytest.mark.parametrize(("notify", "mode", "outcome", "attempt", "told"), REPORTED_BY)
def test_a_sender_with_a_deadline_is_told_of_it(
    notify: str, mode: Any, outcome: Outcome, attempt: dict[str, Any], told: bool
) -> None:
    queued = msgspec.structs.replace(queued_mail(notify), deliver_by=BY, deliver_by_mode=mode)
    tried = Attempt(4, 2, reply(451, None, "later"), **attempt)
    assert is_reported(outcome, tried, queued, at=BY) == told
    assert not is_reported(outcome, tried, msgspec.structs.replace(queued, is_report=True), at=BY)


def test_an_attempt_is_made_at_the_deadline_so_that_the_sender_is_told_then() -> None:
    attempt = Attempt(0, 9, reply(451, None, "later"))
    means: dict[str, Any] = {"expires_at": IN_TIME, "schedule": SCHEDULE, "chance": 0.5, "late_from": BY}
    assert conclude(attempt, at=AT, **means) == Deferred(BY)
    assert conclude(attempt, at=BY, **means) == Deferred(BY + timedelta(hours=4))


def test_a_delay_is_not_reported_before_four_hours() -> None:
    attempt = Attempt(4, 2, reply(451, None, "later"))
    assert not is_reported(DEFERRED, attempt, queued_mail("DELAY"), at=LATE - timedelta(seconds=1))


def queued_mail(notify: str) -> MailQueued:
    """For recipients 3 and 4; notify is the latter's."""
    queued = least(MailQueued)
    assert isinstance(queued, MailQueued)
    asked = ("SUCCESS,DELAY", notify) if notify else ()
    return msgspec.structs.replace(queued, recipients=(3, 4), notify=asked, accepted_at=AT)


FRONTS = [
    # RFC 5321 §4.4: Return-Path belongs to final delivery, trace goes along.
    (b"Return-Path: <a@b.example>\r\nReceived: x\r\n\ty\r\n", b"Received: x\r\n\ty\r\n"),
    (b"Received: x\r\n", b"Received: x\r\n"),
    (b"", b""),
]


@pytest.mark.parametrize(("front", "relayed"), FRONTS)
def test_mail_that_goes_on_has_no_return_path_of_ours(front: bytes, relayed: bytes) -> None:
    assert relayed_front(front) == relayed
