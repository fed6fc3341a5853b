"""How fast a destination is brought mail: how many connections there may be, and when it is asked again.

A destination is whom connections, and what is known of their success, are counted for: an agency, a host that
a person named, or a domain that no agency has. What is counted here is of all relays together.

Pure: time is an argument.

Source: RFC 5321 §4.5.4.1 (a host that does not answer is not asked for each mail). Precedent: Postfix
qmgr(8), concurrency feedback.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.agency import NextHop
from gateway.mail.ids import AgencyId

# Precedent: Postfix initial_destination_concurrency 5.
CONNECTIONS_START: Final = 5
# Of all relays, one after the other. Precedent: Postfix, where one cohort (of 5) that failed is enough:
# default_destination_concurrency_failed_cohort_limit 1.
FAILURES_MAX: Final = 5
# Between probes, doubled each time. The longest is less than what is seen of an agency's hosts is good for
# (ADR 0020). Precedent: Postfix minimal_backoff_time 300 s.
PROBE_FIRST: Final = timedelta(minutes=1)
PROBE_LAST: Final = timedelta(minutes=4)
WHY_MAX: Final = 200  # characters of what a host said

# Mails of a destination that one relay has in hand. As many as connections begin with, until it is seen how
# fast they go: many hosts that do not answer shall not have all a relay can hold.
IN_HAND_MIN: Final = 5
IN_HAND_MAX: Final = 400
IN_HAND_S: Final = 2.0  # what goes in so many seconds: longer than it takes to fetch more


@dataclass(frozen=True, slots=True)
class Pace:
    """What all relays know of a destination. window: connections it seems to bear, 1 or more.

    failures: connections in a row that came to nothing. suspended_at: since when nobody connects, but a probe
    from probe_at on. why: what was said last.
    """

    window: float = CONNECTIONS_START
    failures: int = 0
    suspended_at: datetime | None = None
    probe_at: datetime | None = None
    probes: int = 0  # that came to nothing
    why: str = ""

    def __post_init__(self) -> None:
        assert self.window >= 1, self
        assert (self.suspended_at is None) == (self.probe_at is None), self


@dataclass(frozen=True, slots=True)
class Granted:
    """One more connection; to a destination that is suspended the only one, a probe."""


@dataclass(frozen=True, slots=True)
class Full:
    """It has as many as it may have: not now."""


@dataclass(frozen=True, slots=True)
class Suspended:
    """Nobody connects until then. why: what the destination said, or did not, when somebody did."""

    until: datetime
    why: str


Grant = Granted | Full | Suspended


def ask(pace: Pace, connections: int, *, at: datetime, connections_max: int) -> Grant:
    """May there be one more? connections: those there are, of all relays."""
    assert connections >= 0, connections
    if pace.probe_at is None:
        return Granted() if connections < min(int(pace.window), connections_max) else Full()
    if connections:
        return Full()  # a probe is under way, or who was there before still is
    return Suspended(pace.probe_at, pace.why) if at < pace.probe_at else Granted()


def opened(pace: Pace) -> Pace:
    """A connection whose host takes mail. One that was suspended begins with it alone."""
    window = 1.0 if pace.suspended_at is not None else pace.window
    return Pace(window)


def refused(pace: Pace, others: int, *, at: datetime, why: str) -> Pace:
    """A connection that came to nothing. others: those that are open, of all relays: then it was one too
    many, and nothing else is wrong."""
    assert others >= 0, others
    if others:
        return replace(pace, window=max(1.0, min(pace.window, float(others))))
    if pace.probe_at is not None and at < pace.probe_at:
        return pace  # begun before it was suspended: known by now
    failures, why = pace.failures + 1, why[:WHY_MAX]
    if failures < FAILURES_MAX and pace.suspended_at is None:
        return replace(pace, window=max(1.0, pace.window - 1), failures=failures, why=why)
    pause = min(PROBE_FIRST * (1 << min(pace.probes, 20)), PROBE_LAST)
    since = pace.suspended_at or at
    return Pace(1.0, failures, since, probe_at=at + pause, probes=pace.probes + 1, why=why)


def told(pace: Pace, went: int, deferred: int, *, connections_max: int) -> Pace:
    """Mails that a host took or refused for good, and such as it put off.

    A window of mails that went opens it by one connection, a window of mails put off closes it by one.
    """
    assert went >= 0, went
    assert deferred >= 0, deferred
    window = pace.window + (went - deferred) / pace.window
    return replace(pace, window=max(1.0, min(window, float(connections_max))))


def destination_name(agency_id: AgencyId | None, hop: NextHop | None, domain: str) -> str:
    """hop: what a person said for a mail. domain: in A-labels; "": nobody can read it any more."""
    if hop is not None:
        return str(hop)
    return agency_id or domain


def in_hand_max(went: int, seconds: float) -> int:
    """How many mails of a destination one relay takes for it. went: how many were concluded in the last so
    many seconds."""
    assert went >= 0, went
    pace = went / seconds if seconds > 0 else 0.0
    return max(IN_HAND_MIN, int(min(IN_HAND_MAX, pace * IN_HAND_S)))
