"""How TLS with hosts went, on its way into the log: counted, and told each full hour.

Source: RFC 8460 §4.1 (a day, UTC), §4.3 (result types).
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from gateway.domain.events import Fact, Stamp
from gateway.domain.tls_policy import Demand, Failure, TlsSeen, Whose
from gateway.domain.tls_report import SESSIONS_MAX, TlsSessions, TlsSessionsCounted, tls_history

KINDS_MAX: Final = 10_000  # an hour; sessions of further kinds are not told
HOUR_S: Final = 3_600


class TlsCounts:
    """since: now."""

    def __init__(self, since: datetime) -> None:
        self._since = since
        self._counts: Counter[tuple[str, str, Whose, Failure]] = Counter()

    def add(self, demand: Demand, domain: str, host: str, seen: TlsSeen) -> None:
        """A host was asked for TLS. domain: whose mail host it is; "": somebody named the host.

        One that offers none, where nobody demands any, counts as one that does not support it.
        """
        failure = seen.failure or ("" if seen.text else "starttls-not-supported")
        kind = domain or host, host, demand.whose, failure
        if kind in self._counts or len(self._counts) < KINDS_MAX:
            self._counts[kind] += 1

    def take(self, stamp: Stamp) -> Iterator[Fact]:
        """What was counted up to now, and count anew."""
        since, counted = self._since, sorted(self._counts.items())
        self._since, self._counts = stamp.at, Counter()
        for start in range(0, len(counted), SESSIONS_MAX):
            counts = tuple(
                TlsSessions(domain, host, whose, sessions, failure)
                for (domain, host, whose, failure), sessions in counted[start : start + SESSIONS_MAX]
            )
            event = TlsSessionsCounted(**stamp.fields(), since=since, counts=counts)
            yield Fact(tls_history(since.date()), event)


def seconds_left(at: datetime) -> float:
    """Until the next full hour: no count is of two days."""
    return HOUR_S - (at.minute * 60 + at.second + at.microsecond / 1e6)
