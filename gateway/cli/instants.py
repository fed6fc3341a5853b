"""Times on the command line."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class Instant(click.ParamType[datetime]):
    """ISO 8601; without an offset it is local time."""

    name = "time"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> datetime:
        try:
            return datetime.fromisoformat(str(value)).astimezone(UTC)
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-11-23T09:00+07:00", parameter, context)


class Span(click.ParamType[timedelta]):
    """How long: 45s, 30m, 1h, 7d, 2w. longest: at most."""

    name = "time span"

    def __init__(self, longest: timedelta) -> None:
        self._longest = longest

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> timedelta:
        found = re.fullmatch(r"([1-9][0-9]{0,6})([smhdw])", str(value).strip(), re.ASCII)
        if found is None:
            self.fail(f"{value!r} is no time span such as 30m, 1h, 7d", parameter, context)
        span = timedelta(seconds=int(found[1]) * _UNITS_S[found[2]])
        if span > self._longest:
            self.fail(f"{value} is longer than {self._longest.days} days", parameter, context)
        return span


def length(span: timedelta) -> str:
    """The two largest units: 3d 4h, 5m 6s."""
    seconds, words = int(span.total_seconds()), list[str]()
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        if seconds >= unit or (unit == 1 and not words):
            words.append(f"{seconds // unit}{name}")
        seconds %= unit
    return " ".join(words[:2])
