"""Books: every recipient of every accepted mail, from acceptance to its one end.

The invariant (issue 3/9): delivered, relayed, bounced, cancelled, expanded or forwarded, once; or it waits.
Whatever the log says beside that is a fault. Pure: events in, in log order.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.domain.events import (
    Event,
    MailAccepted,
    MailBounced,
    MailDelivered,
    MailQueued,
    MailRelayed,
)
from gateway.domain.forwarding import MailForwarded
from gateway.domain.maillist import ListExpanded
from gateway.domain.steering import MailCancelled
from gateway.mail.ids import AccountId, MailId

End = Literal["delivered", "relayed", "bounced", "cancelled", "expanded", "forwarded"]


@dataclass(slots=True)
class Books:
    """open: not decided yet; waiting: queued and not ended. ended: recipients by how.

    delivered: the accounts that have a mail which is open still. All of it grows with what has no end yet,
    not with the log.
    """

    events: int = 0
    mails: int = 0
    recipients: int = 0
    open: dict[MailId, set[int]] = field(default_factory=dict)
    waiting: dict[MailId, set[int]] = field(default_factory=dict)
    ended: Counter[End] = field(default_factory=Counter)
    delivered: dict[MailId, set[AccountId]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def enter(self, position: int, event: Event) -> None:
        """Book one event; what does not follow from what came before is a fault."""
        self.events += 1
        match event:
            case MailAccepted():
                self.mails += 1
                self.recipients += len(event.recipients)
                self.open[event.mail_id] = {recipient.id for recipient in event.recipients}
            case MailDelivered():
                have_it = self.delivered.setdefault(event.mail_id, set())
                if event.account_id in have_it:
                    self.faults.append(f"position {position}: {event.mail_id} was delivered there before")
                have_it.add(event.account_id)
                self._end(self.open, position, event.mail_id, event.recipients, "delivered")
            case ListExpanded():
                self._end(self.open, position, event.mail_id, event.recipients, "expanded")
            case MailForwarded(keeps_copy=False):  # else its delivery, right behind, is the end
                self._end(self.open, position, event.mail_id, event.recipients, "forwarded")
            case MailQueued():
                self._leave(self.open, position, event.mail_id, event.recipients)
                self.waiting.setdefault(event.mail_id, set()).update(event.recipients)
            case MailRelayed():
                self._end(self.waiting, position, event.mail_id, event.recipients, "relayed")
            case MailCancelled():
                self._end(self.waiting, position, event.mail_id, event.recipients, "cancelled")
            case MailBounced():
                queued = self.waiting.get(event.mail_id, set()) & set(event.recipients)
                self._end(self.waiting, position, event.mail_id, sorted(queued), "bounced")
                others = sorted(set(event.recipients) - queued)
                self._end(self.open, position, event.mail_id, others, "bounced")
            case _:
                pass

    def _end(
        self,
        book: dict[MailId, set[int]],
        position: int,
        mail_id: MailId,
        recipients: Sequence[int],
        end: End,
    ) -> None:
        self.ended[end] += self._leave(book, position, mail_id, recipients)

    def _leave(
        self, book: dict[MailId, set[int]], position: int, mail_id: MailId, recipients: Sequence[int]
    ) -> int:
        """Take recipients out of a book; how many were in it."""
        left = book.get(mail_id, set())
        taken = left & set(recipients)
        if missing := set(recipients) - left:
            self.faults.append(
                f"position {position}: {mail_id} ends recipients {sorted(missing)} out of turn"
            )
        left -= taken
        if not left:
            book.pop(mail_id, None)
            if book is self.open:
                self.delivered.pop(mail_id, None)  # what comes now is out of turn, wherever it goes
        return len(taken)
