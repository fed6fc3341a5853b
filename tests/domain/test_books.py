"""Books hold every recipient to one end: what a log may say, and a line for each thing it may not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.domain.books import BOOKED, LATE, Books
from gateway.domain.events import (
    EVENT_TYPES,
    Actor,
    By,
    Event,
    MailAccepted,
    MailBounced,
    MailDeferred,
    MailDelivered,
    MailHeld,
    MailQueued,
    MailRelayed,
)
from gateway.domain.forwarding import MailForwarded
from gateway.domain.maillist import ListExpanded
from gateway.domain.steering import DeliveryHeld, DeliveryReleased, DeliveryRetried, MailCancelled
from gateway.mail.ids import MailId
from tests.domain.samples import most

AT = datetime(2026, 11, 28, tzinfo=UTC)
EXPIRES = AT + timedelta(days=5)
MAIL = MailId("mail_01kamz1x2y3z4a5b6c7d8e9f0g")
CHILD = MailId("mail_01kamz1x2y3z4a5b6c7d8e9f0h")
CARRIED: dict[str, Any] = {
    "at": AT,
    "actor": Actor("system"),
    "by": By("relay", "1", "x"),
    "mail_id": MAIL,
    "keys": (),
    "sealed": b"",
}
ATTEMPT: dict[str, Any] = CARRIED | {"attempt": 1, "code": 250, "status": "2.0.0"}
LATER: dict[str, Any] = ATTEMPT | {"recipients": (0,)}


def _changed(event: Any, **fields: Any) -> Any:
    return type(event)(**{name: getattr(event, name) for name in event.__struct_fields__} | fields)


def accepted(*recipients: int, mail_id: MailId = MAIL, **more: Any) -> Event:
    event = most(MailAccepted)
    assert isinstance(event, MailAccepted)
    named = tuple(_changed(event.recipients[0], id=number) for number in recipients)
    return _changed(event, **{"at": AT, "mail_id": mail_id, "recipients": named, "expands": None} | more)  # type: ignore[no-any-return]


def queued(*recipients: int) -> Event:
    event = most(MailQueued)
    return _changed(event, at=AT, mail_id=MAIL, recipients=recipients, expires_at=EXPIRES)  # type: ignore[no-any-return]


def delivered(*recipients: int) -> Event:
    return _changed(most(MailDelivered), mail_id=MAIL, recipients=recipients)  # type: ignore[no-any-return]


def forwarded(*, keeps_copy: bool, targets: int = 1) -> Event:
    fields = {"at": AT, "mail_id": MAIL, "recipients": (0,), "keeps_copy": keeps_copy, "targets": targets}
    return _changed(most(MailForwarded), **fields)  # type: ignore[no-any-return]


def expanded(members: int) -> Event:
    return _changed(most(ListExpanded), at=AT, mail_id=MAIL, recipients=(0,), members=members)  # type: ignore[no-any-return]


def child(*recipients: int, of: int, part: int = 0) -> Event:
    return accepted(*recipients, mail_id=CHILD, expands=MAIL, cause=str(of), part=part)


def booked(*events: Event) -> Books:
    books = Books()
    for position, event in enumerate(events, 1):
        books.enter(position, event)
    return books


RELAYED = MailRelayed(**ATTEMPT, recipients=(0,))
BOUNCED = MailBounced(**ATTEMPT, recipients=(0,), reason="mailbox")
CANCELLED = MailCancelled(**CARRIED, recipients=(0,))


# --- what a log may say ----------------------------------------------------------------------------------


def test_each_recipient_has_its_own_end() -> None:
    books = booked(
        accepted(0, 1, 2, 3),
        queued(0, 1, 2, 3),
        DeliveryHeld(**CARRIED, recipients=(3,)),
        RELAYED,
        MailBounced(**ATTEMPT, recipients=(1,), reason="mailbox"),
        MailCancelled(**CARRIED, recipients=(2,)),
    )
    assert books.ended == {"relayed": 1, "bounced": 1, "cancelled": 1}
    assert books.waiting == {MAIL: {3: (EXPIRES, EXPIRES)}}
    assert not books.faults


@pytest.mark.parametrize(
    ("event", "next_attempt_at"),
    [
        (MailDeferred(**LATER, next_attempt_at=AT + timedelta(hours=1)), AT + timedelta(hours=1)),
        (DeliveryHeld(**CARRIED, recipients=(0,)), EXPIRES),  # tried a last time when its time is over
        (DeliveryReleased(**CARRIED, recipients=(0,)), AT),
        (DeliveryRetried(**CARRIED, recipients=(0,)), AT),
    ],
    ids=lambda value: type(value).__name__,
)
def test_who_waits_has_an_attempt_to_come(event: Event, next_attempt_at: datetime) -> None:
    books = booked(accepted(0), queued(0), event)
    assert books.waiting == {MAIL: {0: (next_attempt_at, EXPIRES)}}
    assert not books.faults


@pytest.mark.parametrize(("keeps_copy", "ends"), [(False, {"forwarded": 1}), (True, {"delivered": 1})])
def test_a_mail_that_goes_on_is_ended_by_that_or_by_the_copy_beside_it(
    keeps_copy: bool, ends: dict[str, int]
) -> None:
    """Once each: a copy that is kept is the delivery right behind."""
    copy = [delivered(0)] if keeps_copy else []
    books = booked(accepted(0), forwarded(keeps_copy=keeps_copy), *copy)
    assert (dict(books.ended), books.undecided, books.faults) == (ends, {}, [])
    assert [*books.late(AT)] == []


def test_a_list_goes_on_in_parts_but_not_to_whom_the_mail_names_itself() -> None:
    books = booked(
        accepted(0, 1),
        expanded(members=4),
        delivered(1),
        child(0, 1, of=2),
        accepted(0, mail_id=MailId(f"{CHILD[:-1]}j"), expands=MAIL, cause="2", part=1),
    )
    assert not books.faults
    assert [fault for fault in books.late(AT + 2 * LATE) if "goes on" in fault] == []


def test_a_deferral_after_the_end_changes_nothing() -> None:
    """Whose lease ran out may still be trying when another has relayed the mail."""
    books = booked(accepted(0), queued(0), RELAYED, MailDeferred(**LATER, next_attempt_at=AT))
    assert (books.faults, books.waiting) == ([], {})


def test_a_held_mail_is_not_late_before_its_time() -> None:
    hold_until = AT + timedelta(hours=1)
    held = MailHeld(
        at=AT, actor=Actor("system"), by=By("edge", "1", "x"), mail_id=MAIL, hold_until=hold_until
    )
    books = booked(accepted(0), held)
    assert [*books.late(hold_until + LATE)] == []
    assert len([*books.late(hold_until + 2 * LATE)]) == 1


def test_everything_that_is_not_booked_is_passed_over() -> None:
    """What `queue check` need not decode."""
    books = booked(accepted(0), queued(0))
    before = (dict(books.waiting), books.mails, books.ended.copy())
    for topic in EVENT_TYPES.keys() - BOOKED:
        books.enter(3, most(EVENT_TYPES[topic]))
    assert (books.waiting, books.mails, books.ended) == before
    assert not books.faults


# --- and what it may not ---------------------------------------------------------------------------------


def _at(instant: datetime) -> str:
    return instant.isoformat(sep=" ")


ENDED = "which has its end already, or never was accepted"
FAULTS: list[tuple[str, list[Event], list[str]]] = [
    (
        "two ends",
        [accepted(0), queued(0), CANCELLED, RELAYED],
        [f"position 4: mail.relayed/1 of {MAIL} recipient 0, {ENDED}"],
    ),
    (
        "bounced after relayed",
        [accepted(0), queued(0), RELAYED, BOUNCED],
        [f"position 4: mail.bounced/1 of {MAIL} recipient 0, {ENDED}"],
    ),
    (
        "an end without a beginning",
        [CANCELLED],
        [f"position 1: mail.cancelled/1 of {MAIL} recipient 0, {ENDED}"],
    ),
    (
        "relayed and not queued",
        [accepted(0), RELAYED],
        [f"position 2: mail.relayed/1 of {MAIL} recipient 0, before it was queued"],
    ),
    (
        "delivered and queued",
        [accepted(0), queued(0), delivered(0)],
        [f"position 3: mail.delivered/1 of {MAIL} recipient 0, after it was queued"],
    ),
    (
        "queued twice",
        [accepted(0, 1), queued(0, 1), queued(0, 1)],
        [f"position 3: mail.queued/1 of {MAIL} recipients 0, 1, after it was queued"],
    ),
    (
        "queued after its end",
        [accepted(0), queued(0), RELAYED, queued(0)],
        [f"position 4: mail.queued/1 of {MAIL} recipient 0, {ENDED}"],
    ),
    (
        "delivered twice",
        [accepted(0, 1), delivered(0), delivered(1)],
        [f"position 3: {MAIL} is delivered to acc_01kamz1x2y3z4a5b6c7d8e9f0g again"],
    ),
    (
        "beyond its time",
        [accepted(0), queued(0), MailDeferred(**LATER, next_attempt_at=EXPIRES + LATE)],
        [
            f"position 3: {MAIL} recipient 0 is to be tried at {_at(EXPIRES + LATE)}, "
            f"beyond its time, {_at(EXPIRES)}"
        ],
    ),
    (
        "a part twice",
        [accepted(0), expanded(2), child(0, of=2), child(0, of=2)],
        [f"position 4: {CHILD} takes {MAIL} on to part 0 again"],
    ),
    (
        "more than there are",
        [accepted(0), forwarded(keeps_copy=False), child(0, of=2), child(0, of=2)],
        [f"position 4: {CHILD} takes {MAIL} on to more than it goes to"],
    ),
    (
        "a child of nothing",
        [child(0, of=9)],
        [f"position 1: {CHILD} takes {MAIL} on to more than it goes to"],
    ),
]


@pytest.mark.parametrize(("events", "faults"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_log_that_breaks_the_invariant_is_told_where(events: list[Event], faults: list[str]) -> None:
    assert booked(*events).faults == faults


def test_a_second_end_counts_nowhere() -> None:
    books = booked(accepted(0), queued(0), CANCELLED, RELAYED, queued(0))
    assert books.ended == {"cancelled": 1, "relayed": 0}
    assert books.waiting == {}


def test_a_mail_nobody_decides_on_is_late_after_a_minute() -> None:
    books = booked(accepted(0, 1), delivered(0))
    assert [*books.late(AT + LATE)] == []
    assert [*books.late(AT + 2 * LATE)] == [
        f"{MAIL}: nobody has decided on recipient 1, due since 2026-11-28 00:00:00+00:00"
    ]


@pytest.mark.parametrize(
    ("goes_on", "number"), [(forwarded(keeps_copy=False, targets=3), 3), (expanded(3), 3)]
)
def test_who_should_have_a_mail_of_their_own_is_missed_after_a_minute(goes_on: Event, number: int) -> None:
    books = booked(accepted(0), goes_on)
    assert [*books.late(AT + LATE)] == []
    missed = f"position 2: {MAIL} goes on, and {number} it goes on to have no mail of their own"
    assert [*books.late(AT + 2 * LATE)] == [missed]


def test_a_mail_accepted_twice_is_found_however_long_ago_it_ended() -> None:
    other = MailId("mail_01kamz1x2y3z4a5b6c7d8e9f0k")
    books = booked(accepted(0), delivered(0), accepted(0, mail_id=other), accepted(0))
    assert not books.faults
    assert [*books.repeated()] == ["position 4: the mail accepted at position 1 is accepted again"]
