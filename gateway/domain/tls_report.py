"""How TLS with other hosts went, counted by sessions, and the report of a day (RFC 8460).

Source: RFC 8460 §4.1 (a day, UTC), §4.3 (result types), §4.4 (the report).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar, Final

from msgspec import Struct

from gateway.domain.events import Event, Instant
from gateway.domain.tls_policy import Failure, Whose

SESSIONS_MAX: Final = 500  # kinds of one event

# RFC 8460 §4.4. What senders and agencies demand is no policy of the domain's.
_POLICY_TYPES: Final[dict[Whose, str]] = {"dane": "tlsa", "sts": "sts"}
_NO_POLICY: Final = "no-policy-found"
_OURS: Final = ("own-certificate-invalid", "mail-host-unproven")


class TlsSessions(Struct, frozen=True, omit_defaults=True):
    """Sessions alike. domain: whose policy it is, or that of the host where nobody's domain led there."""

    domain: str
    host: str
    whose: Whose
    sessions: int
    failure: Failure = ""


class TlsSessionsCounted(Event, frozen=True, kw_only=True):
    """ev.tls.<yyyymmdd>, the day of `since`: what one relay has seen since then, up to `at`.

    A relay that is killed takes what it has counted in that hour with it.
    """

    TOPIC: ClassVar[str] = "tls.sessions_counted/1"

    since: Instant
    counts: tuple[TlsSessions, ...]


def tls_history(day: date) -> str:
    return f"tls.{day:%Y%m%d}"


def report(
    events: Iterable[TlsSessionsCounted], day: date, *, organisation: str, contact: str
) -> list[dict[str, Any]]:
    """The reports of a day (RFC 8460 §4.4), one for each domain, by name.

    organisation, contact: who reports, and whom to ask. The text of a policy is not in it.
    """
    by_domain: dict[str, list[TlsSessions]] = {}
    for event in events:
        for count in event.counts:
            by_domain.setdefault(count.domain, []).append(count)
    return [
        {
            "organization-name": organisation,
            "date-range": {
                "start-datetime": _written(day, time.min),
                "end-datetime": _written(day, time(23, 59, 59)),
            },
            "contact-info": contact,
            "report-id": f"{day.isoformat()}.{domain}@{organisation}",
            "policies": _policies(domain, counts),
        }
        for domain, counts in sorted(by_domain.items())
    ]


def _policies(domain: str, counts: Sequence[TlsSessions]) -> list[dict[str, Any]]:
    by_type: dict[str, list[TlsSessions]] = {}
    for count in counts:
        by_type.setdefault(_POLICY_TYPES.get(count.whose, _NO_POLICY), []).append(count)
    return [_policy(domain, kind, by_type[kind]) for kind in sorted(by_type)]


def _policy(domain: str, kind: str, counts: Sequence[TlsSessions]) -> dict[str, Any]:
    failed: Counter[tuple[str, str]] = Counter()
    for count in counts:
        if count.failure:
            result = "validation-failure" if count.failure in _OURS else count.failure
            failed[result, count.host] += count.sessions
    total = sum(count.sessions for count in counts)
    return {
        "policy": {"policy-type": kind, "policy-domain": domain},
        "summary": {
            "total-successful-session-count": total - failed.total(),
            "total-failure-session-count": failed.total(),
        },
        "failure-details": [
            {"result-type": result, "receiving-mx-hostname": host, "failed-session-count": sessions}
            for (result, host), sessions in sorted(failed.items())
        ],
    }


def _written(day: date, at: time) -> str:
    return f"{datetime.combine(day, at, UTC):%Y-%m-%dT%H:%M:%SZ}"
