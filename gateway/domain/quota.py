"""Whether a mailbox has room for one more mail.

At RCPT a full mailbox is said to be full for now while it has been so for less than the grace time, and for
good after it. What was accepted is delivered while the mailbox is below its quota, and else bounces.

Source: RFC 3463 §3.3 (x.2.2 mailbox full), RFC 5321 §4.2.3 (452, 552), RFC 1870 §6.1 (SIZE at MAIL).
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.mail.reply import Reply, reply

# 4xx: the sender keeps the mail and tries again, so a person has these days to make room.
FULL_FOR_NOW: Final = reply(452, "4.2.2", "Mailbox is full, try again later")
FULL: Final = reply(552, "5.2.2", "Mailbox is full")
GRACE: Final = timedelta(days=7)  # precedent: Postfix maximal_queue_lifetime 5 days; a week has a Monday


@dataclass(frozen=True, slots=True)
class Room:
    """What a mailbox may hold, and holds, by the rows."""

    quota_octets: int
    octets: int
    full_since: datetime | None  # None: it is not full
    is_office: bool = False

    @property
    def is_full(self) -> bool:
        return self.octets >= self.quota_octets


@dataclass(frozen=True, slots=True)
class QuotaRule:
    """grace: how long a full mailbox is full for now. spares_offices: an office's mailbox is never full."""

    grace: timedelta = GRACE
    spares_offices: bool = False

    def limits(self, room: Room) -> bool:
        """Whether the quota counts for this mailbox."""
        return not (room.is_office and self.spares_offices)

    def refusal(self, room: Room, octets: int, at: datetime) -> Reply | None:
        """Why a recipient is refused; None: there is room. octets: as declared by SIZE, 0 when it was not."""
        if not self.limits(room):
            return None
        if room.is_full:
            is_over = room.full_since is not None and at - room.full_since >= self.grace
            return FULL if is_over else FULL_FOR_NOW
        if octets > room.quota_octets:  # it will never fit
            return FULL
        return FULL_FOR_NOW if room.octets + octets > room.quota_octets else None


_SIZE: Final = re.compile(r"([0-9]{1,18}) ?([kmgt]?)i?b?", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def octets_in(text: str) -> int:
    """What people write for a number of octets: 1073741824, 500M, 10G. Raises ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no size such as 10G")
    return int(found[1]) * _UNITS[found[2].lower()]
