"""Books: every recipient of every accepted mail, from acceptance to its one end.

The invariant (issue 3/9): delivered, relayed, bounced, cancelled, expanded or forwarded, once, and whom a
mail goes on to has a mail of its own; or it waits, with an attempt to come that is not beyond its time.
Whatever the log says beside that is a fault. A deferral after the end is none: the end stands. Pure: events
in, in log order.
"""

from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from gateway.domain.changes import MessageAppended, MessageMovedIn
from gateway.domain.events import (
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
from gateway.domain.steering import (
    DeliveryHeld,
    DeliveryReleased,
    DeliveryRetried,
    MailCancelled,
)
from gateway.mail.ids import AccountId, MailId

End = Literal["delivered", "relayed", "bounced", "cancelled", "expanded", "forwarded"]

# The invariant's own: nobody waits for what should have been so long ago.
LATE: Final = timedelta(minutes=1)


class Wait(NamedTuple):
    """When a queued recipient is tried next, and when its time is over."""

    next_attempt_at: datetime
    expires_at: datetime


@dataclass(slots=True)
class Undecided:
    """A mail nobody has decided on for some recipients. number: of all it has; accounts: which have it.

    due_at: when it was to be decided on: as it was accepted, or when its sender wanted it to go.
    """

    recipients: set[int]
    number: int
    due_at: datetime
    accounts: set[AccountId] = field(default_factory=set)


@dataclass(slots=True)
class Onward:
    """A mail that goes on to others. missing: how many of them have no mail of their own yet.

    known: who may be among them and gets none, since the mail names them itself.
    """

    mail_id: MailId
    missing: int
    known: int
    at: datetime
    parts: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Books:
    """ended: recipients by how. accepted, appended: the position of each mail.accepted, message.appended.

    All but 16 octets a mail grows with what has no end yet, not with the log.
    """

    events: int = 0
    mails: int = 0
    recipients: int = 0
    undecided: dict[MailId, Undecided] = field(default_factory=dict)
    waiting: dict[MailId, dict[int, Wait]] = field(default_factory=dict)
    onward: dict[int, Onward] = field(default_factory=dict)  # by position of what sent it on
    ended: Counter[End] = field(default_factory=Counter)
    accepted: "array[int]" = field(default_factory=lambda: array("q"))
    appended: "array[int]" = field(default_factory=lambda: array("q"))
    faults: list[str] = field(default_factory=list)
    _ids: "array[int]" = field(default_factory=lambda: array("q"))  # a hash of each mail's, side by side

    def enter(self, position: int, event: Event) -> None:
        """Book one event; what does not follow from what came before is a fault."""
        self.events += 1
        match event:
            case MailAccepted():
                self._accept(position, event)
            case MailDelivered():
                self._deliver(position, event)
            case ListExpanded():
                self._go_on(position, event, event.members)
                self._decide(position, event, event.recipients, "expanded")
            case MailForwarded():
                self._go_on(position, event, event.targets)
                if not event.keeps_copy:  # else its delivery, right behind, is the end
                    self._decide(position, event, event.recipients, "forwarded")
            case MailQueued():
                fresh = self._decide(position, event, event.recipients, None)
                wait = Wait(event.at, event.expires_at)
                if fresh:
                    self.waiting.setdefault(event.mail_id, {}).update(dict.fromkeys(fresh, wait))
            case MailDeferred() | DeliveryHeld() | DeliveryReleased() | DeliveryRetried():
                self._wait(position, event)
            case MailRelayed():
                self._end(position, event, event.recipients, "relayed")
            case MailCancelled():
                self._end(position, event, event.recipients, "cancelled")
            case MailBounced():
                queued = self.waiting.get(event.mail_id, {}).keys() & set(event.recipients)
                self._end(position, event, queued, "bounced")
                self._decide(position, event, set(event.recipients) - queued, "bounced")
            case MessageAppended():
                self.appended.append(position)
            case MailHeld():
                if event.mail_id in self.undecided:
                    self.undecided[event.mail_id].due_at = event.hold_until
            case _:
                pass

    def late(self, now: datetime) -> Iterator[str]:
        """What should have been done by now, as faults: decisions, and mails for whom a mail goes on to."""
        for mail_id, mail in self.undecided.items():
            if mail.due_at < now - LATE:
                some = _named(mail.recipients)
                yield f"{mail_id}: nobody has decided on {some}, due since {_instant(mail.due_at)}"
        for position, onward in self.onward.items():
            if onward.missing > onward.known and onward.at < now - LATE:
                yield (
                    f"position {position}: {onward.mail_id} goes on, and {onward.missing} it goes on to have "
                    "no mail of their own"
                )

    def repeated(self) -> Iterator[str]:
        """Mails that were accepted more than once, as faults."""
        ordered = sorted(self._ids)
        twice = {one for one, next_ in pairwise(ordered) if one == next_}
        first: dict[int, int] = {}
        for position, id_ in zip(self.accepted, self._ids, strict=True) if twice else ():
            if id_ in twice and first.setdefault(id_, position) != position:
                yield f"position {position}: the mail accepted at position {first[id_]} is accepted again"

    # --- what an event does -----------------------------------------------------------------------------

    def _accept(self, position: int, event: MailAccepted) -> None:
        self.mails += 1
        self.recipients += len(event.recipients)
        self.accepted.append(position)
        self._ids.append(hash(event.mail_id))
        numbers = {recipient.id for recipient in event.recipients}
        self.undecided[event.mail_id] = Undecided(numbers, len(numbers), event.at)
        if event.expands is not None:
            self._has_gone_on(position, event)

    def _deliver(self, position: int, event: MailDelivered) -> None:
        mail = self.undecided.get(event.mail_id)
        if mail is not None and event.account_id in mail.accounts:
            self.faults.append(
                f"position {position}: {event.mail_id} is delivered to {event.account_id} again"
            )
        elif mail is not None:
            mail.accounts.add(event.account_id)
        self._decide(position, event, event.recipients, "delivered")

    def _go_on(self, position: int, event: ListExpanded | MailForwarded, number: int) -> None:
        mail = self.undecided.get(event.mail_id)
        known = mail.number if mail is not None and isinstance(event, ListExpanded) else 0
        if number:
            self.onward[position] = Onward(event.mail_id, number, known, event.at)

    def _has_gone_on(self, position: int, event: MailAccepted) -> None:
        """A mail for some of those that another goes on to."""
        onward = self.onward.get(int(event.cause))
        if onward is None:
            self.faults.append(
                f"position {position}: {event.mail_id} takes {event.expands} on to more than it goes to"
            )
            return
        if event.part in onward.parts:
            self.faults.append(
                f"position {position}: {event.mail_id} takes {event.expands} on to part {event.part} again"
            )
            return
        onward.parts.add(event.part)
        onward.missing -= len(event.recipients)
        if onward.missing <= 0:
            del self.onward[int(event.cause)]

    def _wait(
        self, position: int, event: MailDeferred | DeliveryHeld | DeliveryReleased | DeliveryRetried
    ) -> None:
        waits = self.waiting.get(event.mail_id, {})
        for number in waits.keys() & set(event.recipients):
            expires_at = waits[number].expires_at
            match event:
                case MailDeferred():
                    next_at = event.next_attempt_at
                case DeliveryHeld():
                    next_at = expires_at
                case _:
                    next_at = event.at
            waits[number] = Wait(next_at, expires_at)
            if isinstance(event, MailDeferred) and next_at > expires_at:
                self.faults.append(
                    f"position {position}: {event.mail_id} {_named([number])} is to be tried at "
                    f"{_instant(next_at)}, beyond its time, {_instant(expires_at)}"
                )

    def _decide(
        self, position: int, event: "_Ending", recipients: Collection[int], end: End | None
    ) -> set[int]:
        """Those of them that were undecided, and are no longer. end: None when they wait now."""
        mail = self.undecided.get(event.mail_id)
        taken = mail.recipients & set(recipients) if mail is not None else set[int]()
        self._count(position, event, set(recipients), taken, end)
        if mail is not None:
            mail.recipients -= taken
            if not mail.recipients:
                del self.undecided[event.mail_id]
        return taken

    def _end(self, position: int, event: "_Ending", recipients: Collection[int], end: End) -> None:
        """These wait no longer."""
        waits = self.waiting.get(event.mail_id, {})
        taken = waits.keys() & set(recipients)
        self._count(position, event, set(recipients), taken, end)
        for number in taken:
            del waits[number]
        if not waits:
            self.waiting.pop(event.mail_id, None)

    def _count(
        self, position: int, event: "_Ending", wanted: set[int], taken: set[int], end: End | None
    ) -> None:
        if end is not None:
            self.ended[end] += len(taken)
        if missing := wanted - taken:
            self.faults.append(
                f"position {position}: {event.TOPIC} of {event.mail_id} {_named(missing)}, "
                f"{self._why(event, missing)}"
            )

    def _why(self, event: "_Ending", missing: set[int]) -> str:
        """Why an event about these recipients was not to come now."""
        mail = self.undecided.get(event.mail_id)
        if mail is not None and missing <= mail.recipients:
            return "before it was queued"
        if missing <= self.waiting.get(event.mail_id, {}).keys():
            return "after it was queued"
        return "which has its end already, or never was accepted"


_Ending = (
    MailDelivered | ListExpanded | MailForwarded | MailQueued | MailRelayed | MailCancelled | MailBounced
)
# What `enter` looks at; everything else it passes over.
BOOKED: Final = frozenset(
    kind.TOPIC
    for kind in (
        *(MailAccepted, MailDelivered, ListExpanded, MailForwarded, MailQueued, MailRelayed, MailCancelled),
        *(MailBounced, MailHeld, MailDeferred, DeliveryHeld, DeliveryReleased, DeliveryRetried),
        *(MessageAppended, MessageMovedIn),
    )
)


def _named(recipients: Collection[int]) -> str:
    noun = "recipient" if len(recipients) == 1 else "recipients"
    return f"{noun} {', '.join(map(str, sorted(recipients)))}"


def _instant(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="seconds")
