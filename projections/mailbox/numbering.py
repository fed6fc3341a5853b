"""UIDs, counted by the fold. Frozen: tests/golden/uids holds a recorded history and every number of it.

The n-th message a mailbox ever got is UID n, whatever is removed later; the k-th mailbox an account ever had
has UIDVALIDITY base + k; MODSEQ is a place in the log. No writer coordinates anything, and a rebuild gives
the same numbers.

Source: architecture §1; RFC 9051 §2.3.1.1 (UID, UIDVALIDITY), RFC 7162 §3.1 (MODSEQ).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FIRST_UID = 1


@dataclass(slots=True)
class Mailbox:
    """A mailbox while a batch is counted in."""

    account_id: str
    mailbox_id: str
    role: str
    uidnext: int
    highestmodseq: int
    opened_at: int
    closed_at: int | None
    messages: int = 0  # added by this batch
    octets: int = 0  # added by this batch

    def is_there_at(self, position: int) -> bool:
        return self.opened_at < position and (self.closed_at is None or position < self.closed_at)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery that counts."""

    position: int
    account_id: str
    mailbox_id: str  # that the router named
    octets: int


class NoMailbox(Exception):
    """Mail for an account that never had an INBOX before it."""


def number(arrivals: Sequence[Arrival], mailboxes: Iterable[Mailbox]) -> list[tuple[str, int]]:
    """Where each arrival goes, (mailbox_id, UID), in the order of the log; counts them into the mailboxes.

    Mail for a mailbox that is gone at its position goes to INBOX (architecture §2). Raises NoMailbox.
    """
    known = {(mailbox.account_id, mailbox.mailbox_id): mailbox for mailbox in mailboxes}
    inboxes = {mailbox.account_id: mailbox for mailbox in known.values() if mailbox.role == "inbox"}
    placed = []
    for arrival in arrivals:
        mailbox = known.get((arrival.account_id, arrival.mailbox_id))
        if mailbox is None or not mailbox.is_there_at(arrival.position):
            mailbox = inboxes.get(arrival.account_id)
        if mailbox is None or not mailbox.is_there_at(arrival.position):
            raise NoMailbox(f"{arrival.account_id} has no INBOX at position {arrival.position}")
        placed.append((mailbox.mailbox_id, mailbox.uidnext))
        mailbox.uidnext += 1
        mailbox.highestmodseq = arrival.position
        mailbox.messages += 1
        mailbox.octets += arrival.octets
    return placed
