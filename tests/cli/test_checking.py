"""Books over logs as processes write them: every recipient ends once, and in its turn."""

import pytest

from gateway.domain.agency import NextHop
from gateway.domain.books import Books
from gateway.domain.events import MailBounced, MailDeferred, MailRelayed
from tests.projections.busy import busy_world
from tests.projections.world import World


class Ledger:
    """A world whose whole log can be entered into books."""

    def __init__(self) -> None:
        self.world = World(5)
        self.opm = self.world.agency("OPM", "opm.go.th")
        self.dld = self.world.agency("DLD", "dld.go.th", NextHop("192.0.2.25", 25))
        self.suda = self.world.account(self.opm, "suda@opm.go.th")
        self.somchai = self.world.account(self.opm, "somchai@opm.go.th")

    def books(self) -> Books:
        books = Books()
        for recorded in self.world.log:
            books.enter(recorded.position, recorded.event)
        return books


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


RCPT_TO = ["suda@opm.go.th", "somchai@opm.go.th", "vet@dld.go.th", "cow@dld.go.th"]


def test_a_mail_whose_recipients_all_ended_is_in_no_book(ledger: Ledger) -> None:
    world = ledger.world
    mail = world.accept(ledger.opm, "ann@example.org", RCPT_TO)
    world.deliver(mail, ledger.suda, [0])
    world.deliver(mail, ledger.somchai, [1])
    world.queue(mail, ledger.dld, [2, 3])
    world.attempt(MailDeferred, mail, [2, 3])
    world.attempt(MailRelayed, mail, [2], 2)
    world.attempt(MailBounced, mail, [3], 2)
    books = ledger.books()
    assert (books.faults, books.undecided, books.waiting) == ([], {}, {})
    assert (books.mails, books.events) == (1, len(world.log))


def test_what_has_not_ended_is_open_or_waits(ledger: Ledger) -> None:
    world = ledger.world
    mail = world.accept(ledger.opm, None, RCPT_TO)
    world.queue(mail, ledger.dld, [2, 3])
    world.attempt(MailRelayed, mail, [3])
    books = ledger.books()
    assert {mail_id: left.recipients for mail_id, left in books.undecided.items()} == {mail.mail_id: {0, 1}}
    assert {mail_id: set(waits) for mail_id, waits in books.waiting.items()} == {mail.mail_id: {2}}
    assert books.faults == []


def test_a_hosted_recipient_may_bounce_without_having_waited(ledger: Ledger) -> None:
    mail = ledger.world.accept(ledger.opm, "ann@example.org", ["nobody@opm.go.th"])
    ledger.world.attempt(MailBounced, mail, [0])
    assert (ledger.books().faults, ledger.books().undecided) == ([], {})


def test_a_hosted_and_a_queued_recipient_may_both_bounce(ledger: Ledger) -> None:
    """The router bounces its own in the group that queues the others."""
    world = ledger.world
    mail = world.accept(ledger.opm, "ann@example.org", ["nobody@opm.go.th", "vet@dld.go.th"])
    world.queue(mail, ledger.dld, [1])
    world.attempt(MailBounced, mail, [0])
    world.attempt(MailBounced, mail, [1], 2)
    books = ledger.books()
    assert (books.faults, books.undecided, books.waiting) == ([], {}, {})


def test_a_second_delivery_to_one_account_is_a_fault(ledger: Ledger) -> None:
    world = ledger.world
    mail = world.accept(ledger.opm, "ann@example.org", RCPT_TO[:2])
    world.deliver(mail, ledger.suda, [0])
    world.deliver(mail, ledger.suda, [1])
    at = len(world.log)
    account = ledger.suda.account_id
    assert ledger.books().faults == [f"position {at}: {mail.mail_id} is delivered to {account} again"]


@pytest.mark.parametrize("kind", [MailRelayed, MailBounced])
def test_an_end_told_twice_is_a_fault(ledger: Ledger, kind: type[MailRelayed] | type[MailBounced]) -> None:
    world = ledger.world
    mail = world.accept(ledger.opm, "ann@example.org", ["vet@dld.go.th"])
    world.queue(mail, ledger.dld, [0])
    for _ in range(2):
        world.attempt(kind, mail, [0])
    at = len(world.log)
    which = f"position {at}: {kind.TOPIC} of {mail.mail_id} recipient 0"
    assert ledger.books().faults == [f"{which}, which has its end already, or never was accepted"]


def test_an_end_of_somebody_who_was_never_named_is_a_fault(ledger: Ledger) -> None:
    world = ledger.world
    mail = world.accept(ledger.opm, "ann@example.org", RCPT_TO[:1])
    world.deliver(mail, ledger.suda, [0, 7])
    (fault,) = ledger.books().faults
    assert f"{mail.mail_id} recipient 7, which has its end already, or never was accepted" in fault


def test_a_mail_that_was_never_accepted_is_a_fault(ledger: Ledger) -> None:
    world = ledger.world
    mail = world.accept(ledger.opm, "ann@example.org", RCPT_TO[:1])
    world.log.pop()
    world.deliver(mail, ledger.suda, [0])
    assert len(ledger.books().faults) == 1


def test_a_busy_log_with_repeats_is_read_to_its_end() -> None:
    """That world tells some things twice: each of them is a fault, and none stops the books."""
    world, books = busy_world(11, 200), Books()
    for recorded in world.log:
        books.enter(recorded.position, recorded.event)
    assert books.mails == 200
    assert books.faults
    assert all(fault.startswith("position ") for fault in books.faults)
