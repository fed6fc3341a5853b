"""When a message was sent, as its Date field says.

Tolerant of what real mail has in it. Source: RFC 5322 §3.3 and §4.3; RFC 5256 §2.2 (sent date).
"""

from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import parsedate_tz


def sent_on(text: str | None) -> date | None:
    """The date as it is written there, time and zone disregarded (RFC 9051 §6.4.4). None: there is none."""
    read = _read(text)
    return read.date() if read else None


def sent_at(text: str | None) -> datetime | None:
    """In UTC."""
    read = _read(text)
    try:
        return read.astimezone(UTC) if read else None
    except OverflowError:
        return None


def _read(text: str | None) -> datetime | None:
    """RFC 5256 §2.2: a time that is none is midnight, a zone that is none is UTC."""
    try:
        fields = parsedate_tz(text) if text else None
        if fields is None:
            return None
        year, month, day, hour, minute, second = fields[:6]
        is_time = hour < 24 and minute < 60 and second < 61
        time = (hour, minute, min(second, 59)) if is_time else (0, 0, 0)
        zone = timezone(timedelta(seconds=fields[9] or 0))
        return datetime(year, month, day, *time, tzinfo=zone)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
