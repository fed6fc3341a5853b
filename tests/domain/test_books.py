"""Books hold every recipient to one end."""

from datetime import UTC, datetime
from typing import Any

from gateway.domain.books import Books
from gateway.domain.events import (
    Actor,
    By,
    Event,
    MailAccepted,
    MailBounced,
    MailDelivered,
    MailQueued,
    MailRelayed,
)
from gateway.domain.forwarding import MailForwarded
from gateway.domain.steering import DeliveryHeld, MailCancelled
from gateway.mail.ids import MailId
from tests.domain.samples import most

MAIL = MailId("mail_01kamz1x2y3z4a5b6c7d8e9f0g")
CARRIED: dict[str, Any] = {
    "at": datetime(2026, 11, 28, tzinfo=UTC),
    "actor": Actor("system"),
    "by": By("relay", "1", "x"),
    "mail_id": MAIL,
    "keys": (),
    "sealed": b"",
}
ATTEMPT: dict[str, Any] = CARRIED | {"attempt": 1, "code": 250, "status": "2.0.0"}


def queued(*recipients: int) -> list[Event]:
    """A mail to so many, all of them for another host."""
    accepted, waiting = most(MailAccepted), most(MailQueued)
    assert isinstance(accepted, MailAccepted)
    assert isinstance(waiting, MailQueued)
    return [
        _changed(
            accepted,
            mail_id=MAIL,
            recipients=tuple(_changed(accepted.recipients[0], id=n) for n in recipients),
        ),
        _changed(waiting, mail_id=MAIL, recipients=recipients),
    ]


def _changed(struct: Any, **fields: Any) -> Any:
    return type(struct)(**{name: getattr(struct, name) for name in struct.__struct_fields__} | fields)


def booked(*events: Event) -> Books:
    books = Books()
    for position, event in enumerate(events, 1):
        books.enter(position, event)
    return books


def test_each_recipient_has_its_own_end() -> None:
    books = booked(
        *queued(0, 1, 2, 3),
        DeliveryHeld(**CARRIED, recipients=(3,)),
        MailRelayed(**ATTEMPT, recipients=(0,)),
        MailBounced(**ATTEMPT, recipients=(1,), reason="mailbox"),
        MailCancelled(**CARRIED, recipients=(2,)),
    )
    assert books.ended == {"relayed": 1, "bounced": 1, "cancelled": 1}
    assert books.waiting == {MAIL: {3}}
    assert not books.faults


def test_a_second_end_is_a_fault_and_counts_nowhere() -> None:
    books = booked(
        *queued(0), MailCancelled(**CARRIED, recipients=(0,)), MailRelayed(**ATTEMPT, recipients=(0,))
    )
    assert books.faults == [f"position 4: {MAIL} ends recipients [0] out of turn"]
    assert books.ended == {"cancelled": 1, "relayed": 0}
    assert not books.waiting


def test_an_end_without_a_beginning_is_a_fault() -> None:
    assert len(booked(MailCancelled(**CARRIED, recipients=(0,))).faults) == 1


def test_a_mail_that_goes_on_is_ended_by_that_or_by_the_copy_beside_it() -> None:
    """Once each: a copy that is kept is the delivery right behind."""
    accepted, _ = queued(0)
    for keeps_copy, ends in ((False, {"forwarded": 1}), (True, {"delivered": 1})):
        books = Books()
        books.enter(1, accepted)
        books.enter(2, _changed(most(MailForwarded), mail_id=MAIL, recipients=(0,), keeps_copy=keeps_copy))
        if keeps_copy:
            books.enter(3, _changed(most(MailDelivered), mail_id=MAIL, recipients=(0,)))
        assert (dict(books.ended), books.open, books.faults) == (ends, {}, [])
