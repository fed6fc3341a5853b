"""When a recipient is tried again, by what stood in the way.

Source: RFC 5321 §4.5.4.1 (30 minutes, or better where the reason is known), §4.2.3; RFC 3463 §3 (what the
subject of a status is about); RFC 6647 (greylisting).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from gateway.mail.reply import Reply

# What stood in the way: a host that does not know us yet, a mailbox that cannot take it (most are full), a
# host's rules (most often how much it takes), a host's own trouble, the way to it.
Hindrance = Literal["greylisting", "mailbox", "policy", "host", "network"]

# A host that greylists takes the mail when it comes again after some minutes. One that says so an hour later
# means something else. Precedent: Postgrey, 5 minutes.
GREYLISTING_ATTEMPTS: Final = 8
# What greylisting is said with at RCPT, where a host knows sender and recipient. Postfix puts 4.2.0 before
# what a policy server such as Postgrey says; others say 4.7.0, 4.7.1 or no status.
_GREYLISTING_CODES: Final = (450, 451)
_GREYLISTING_DETAILS: Final = ((2, 0), (7, 0), (7, 1))
_HINDRANCES: Final[Mapping[int, Hindrance]] = {2: "mailbox", 4: "network", 7: "policy"}


@dataclass(frozen=True, slots=True)
class Patience:
    """The first delay as a multiple of the schedule's, the longest as a part of it: 1/longest_part."""

    first_times: int = 1
    longest_part: int = 1


# With the defaults: 1 minute to 15, half an hour to 4 hours, 10 minutes to 4 hours, and 1 minute to 4 hours.
PATIENCE: Final[Mapping[Hindrance, Patience]] = {
    "greylisting": Patience(longest_part=16),
    "mailbox": Patience(first_times=30),
    "policy": Patience(first_times=10),
    "host": Patience(),
    "network": Patience(),
}


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """When to try again. Precedents: Postfix 5 to 67 minutes, exim 15 minutes to 6 hours."""

    first_delay: timedelta = timedelta(minutes=1)
    longest_delay: timedelta = timedelta(hours=4)

    def delay_after(self, attempt: int, chance: float, hindrance: Hindrance = "network") -> timedelta:
        """Doubled each time. chance: 0..1, moves it by a fifth so that mails do not come back all at once."""
        assert attempt >= 1, attempt
        assert 0 <= chance <= 1, chance
        patience = PATIENCE[hindrance]
        doubled = self.first_delay * patience.first_times * (1 << min(attempt - 1, 20))
        # Never less than the first delay, nor more than the longest, whatever they were set to.
        longest = max(self.longest_delay / patience.longest_part, min(self.first_delay, self.longest_delay))
        return min(doubled, longest) * (0.8 + 0.4 * chance)


def hindrance_of(said: Reply, *, is_ours: bool, is_at_rcpt: bool, attempt: int) -> Hindrance:
    """What stood in the way. is_ours: the host has not said it. attempt: 1 for the first."""
    if is_ours:
        return "network"
    status = said.status
    detail = None if status is None else (status.subject, status.detail)
    is_soon_enough = is_at_rcpt and attempt <= GREYLISTING_ATTEMPTS
    if is_soon_enough and said.code in _GREYLISTING_CODES and detail in (None, *_GREYLISTING_DETAILS):
        return "greylisting"
    return "host" if status is None else _HINDRANCES.get(status.subject, "host")
