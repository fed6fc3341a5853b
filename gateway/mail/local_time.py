"""The time in which people here live: what they mean by a day.

Everything is kept in UTC (architecture §9); where a day is asked for or a time is shown, it is Bangkok's.
"""

from datetime import timedelta, timezone
from typing import Final

BANGKOK: Final = timezone(timedelta(hours=7))  # UTC+7 all year
