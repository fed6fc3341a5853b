"""Times as parameters of SMTP write them. Source: RFC 3339 §5.6."""

import re
from datetime import UTC, datetime

# datetime.fromisoformat alone would take more.
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})", re.I
)


def parse_date_time(text: str) -> datetime:
    """In UTC, whole seconds. Raises ValueError."""
    if _DATE_TIME.fullmatch(text) is None:
        raise ValueError("a date-time is written as in 2026-11-23T04:05:06Z")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise ValueError("there is no such date-time") from None


def date_time(at: datetime) -> str:
    """at: in UTC, whole seconds."""
    return at.isoformat().replace("+00:00", "Z")
