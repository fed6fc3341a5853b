"""How fast a destination is brought mail: how many connections there may be, and when it is asked again.

A destination is whom connections, and what is known of their success, are counted for: an agency, a host that
a person named, or a domain that no agency has. What is counted here is of all relays together.

Pure: time is an argument.

Source: RFC 5321 §4.5.4.1 (a host that does not answer is not asked for each mail). Precedent: Postfix
qmgr(8), concurrency feedback; default_destination_rate_delay (mails at even steps).
"""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.agency import NextHop
from gateway.mail.ids import AgencyId

# Precedent: Postfix initial_destination_concurrency 5.
CONNECTIONS_START: Final = 5
# Of all relays, one after the other. Precedent: Postfix, where one cohort (of 5) that failed is enough:
# default_destination_concurrency_failed_cohort_limit 1.
FAILURES_MAX: Final = 5
# Until the first probe as long as until a mail's second attempt, then doubled to four times that. The longest
# is less than what is seen of an agency's hosts is good for (ADR 0020). Precedent: Postfix
# minimal_backoff_time 300 s.
PROBE_FIRST: Final = timedelta(minutes=1)
PROBE_TIMES_MAX: Final = 4
PROBE_LAST: Final = timedelta(minutes=4)
WHY_MAX: Final = 200  # characters of what a host said
MINUTE_US: Final = 60_000_000
KEPT_S: Final = 2.0  # a mail waits so long on its connection for its step; for a later one nobody connects

# Mails of a destination that one relay has in hand. As many as connections begin with, until it is seen how
# fast they go: many hosts that do not answer shall not have all a relay can hold.
IN_HAND_MIN: Final = 5
IN_HAND_MAX: Final = 400
IN_HAND_S: Final = 2.0  # what goes in so many seconds: longer than it takes to fetch more


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that is asked of a destination, by all relays together.

    connections: at once, 1 or more. mails_a_minute: 1 or more; None: as many as go.
    """

    connections: int
    mails_a_minute: int | None = None

    def __post_init__(self) -> None:
        assert self.connections >= 1, self
        assert self.mails_a_minute is None or self.mails_a_minute >= 1, self

    def within(self, connections: int | None, mails_a_minute: int | None) -> "Bounds":
        """With those of an agency, as far as they are narrower. None: it has said nothing."""
        mails = [each for each in (self.mails_a_minute, mails_a_minute) if each is not None]
        return Bounds(min(self.connections, connections or self.connections), min(mails, default=None))


@dataclass(frozen=True, slots=True)
class Pace:
    """What all relays know of a destination. window: connections it seems to bear, 1 or more.

    failures: connections in a row that came to nothing. suspended_at: since when nobody connects, but a probe
    from probe_at on. why: what was said last. way: the way its mail went when this was learnt, any text that
    is another where the way is. next_mail_at: when a mail more may go; None: nobody has counted them.
    """

    window: float = CONNECTIONS_START
    failures: int = 0
    suspended_at: datetime | None = None
    probe_at: datetime | None = None
    probes: int = 0  # that came to nothing
    why: str = ""
    way: str = ""
    next_mail_at: datetime | None = None

    def __post_init__(self) -> None:
        assert self.window >= 1, self
        assert (self.suspended_at is None) == (self.probe_at is None), self

    def by(self, way: str) -> "Pace":
        """The same for mail that goes this way: of another than it was learnt of, nothing is known."""
        return self if way == self.way else Pace(way=way, next_mail_at=self.next_mail_at)


@dataclass(frozen=True, slots=True)
class Situation:
    """A destination as it is now. places: connections that are open or being made, of all relays."""

    bounds: Bounds
    pace: Pace = field(default_factory=Pace)
    places: int = 0

    @property
    def places_max(self) -> int:
        """How many it may have."""
        return 1 if self.pace.probe_at is not None else min(int(self.pace.window), self.bounds.connections)

    def to_end(self, ours: int) -> int:
        """How many connections of one relay are too many; of all relays together no fewer than are."""
        excess = self.places - self.places_max
        return math.ceil(excess * ours / self.places) if excess > 0 else 0


@dataclass(frozen=True, slots=True)
class Granted:
    """One more connection, with a mail; to a destination that is suspended the only one, a probe. Or a mail
    more on one there is. pace: from here on. in_s: not before is it the mail's turn.
    """

    pace: Pace
    in_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Full:
    """It has as many connections as it may have: not now."""


@dataclass(frozen=True, slots=True)
class Later:
    """It has had its mails for now; one more may go in so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Suspended:
    """Nobody connects until then. why: what the destination said, or did not, when somebody did."""

    until: datetime
    why: str


Grant = Granted | Full | Later | Suspended


def ask(situation: Situation, *, at: datetime) -> Grant:
    """May there be one more connection, and a mail by it?"""
    pace = situation.pace
    if pace.probe_at is not None and at < pace.probe_at and not situation.places:
        return Suspended(pace.probe_at, pace.why)
    if situation.places >= situation.places_max:  # of a suspended one: a probe is under way, or who was there
        return Full()
    return next_mail(situation, at=at, patience_s=0)


def next_mail(situation: Situation, *, at: datetime, patience_s: float = KEPT_S) -> Granted | Later:
    """May a mail more go, by a connection there is? They follow each other in even steps, so that there are
    never more in a minute, whoever brings them. A step that is near is kept for a connection there is, and no
    other one is made for it."""
    pace, most = situation.pace, situation.bounds.mails_a_minute
    if most is None:
        return Granted(pace)
    mail_at = max(pace.next_mail_at or at, at)
    seconds = (mail_at - at).total_seconds()
    if seconds > patience_s:
        return Later(seconds)
    step = timedelta(microseconds=math.ceil(MINUTE_US / most))
    return Granted(replace(pace, next_mail_at=mail_at + step), seconds)


def opened(pace: Pace) -> Pace:
    """A connection whose host takes mail. One that was suspended begins with it alone."""
    window = 1.0 if pace.suspended_at is not None else pace.window
    return Pace(window, way=pace.way, next_mail_at=pace.next_mail_at)


def refused(pace: Pace, others: int, *, at: datetime, why: str, first: timedelta = PROBE_FIRST) -> Pace:
    """A connection that came to nothing. others: those that are open, of all relays: then it was one too
    many, and nothing else is wrong. first: until the first probe, if it comes to that."""
    assert others >= 0, others
    if others:
        return replace(pace, window=max(1.0, min(pace.window, float(others))))
    if pace.probe_at is not None and at < pace.probe_at:
        return pace  # begun before it was suspended: known by now
    failures, why = pace.failures + 1, why[:WHY_MAX]
    if failures < FAILURES_MAX and pace.suspended_at is None:
        return replace(pace, window=max(1.0, pace.window - 1), failures=failures, why=why)
    return replace(
        pace,
        window=1.0,
        failures=failures,
        suspended_at=pace.suspended_at or at,
        probe_at=at + min(first * min(1 << min(pace.probes, 20), PROBE_TIMES_MAX), PROBE_LAST),
        probes=pace.probes + 1,
        why=why,
    )


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
