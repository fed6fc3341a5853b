"""How urgent a message says it is, for who may say so.

Source: RFC 6758 §4 (MT-Priority, which tunnels the parameter of RFC 6710); the classes of speed of Thai
official correspondence (ด่วน, ด่วนมาก, ด่วนที่สุด) in our own field X-Saraban-Urgency.
"""

import re
from collections.abc import Mapping
from typing import Final

from gateway.mail import headers

PRIORITY_FIELD: Final = "MT-Priority"
URGENCY_FIELD: Final = "X-Saraban-Urgency"

# RFC 6710 §3: -9..9, 0 is what every mail has.
URGENCIES: Final[Mapping[str, int]] = {
    "ด่วน": 2, "urgent": 2,
    "ด่วนมาก": 4, "very urgent": 4,
    "ด่วนที่สุด": 6, "most urgent": 6,
}  # fmt: skip

_PRIORITY = re.compile(r"0|-?[1-9]", re.ASCII)


def parse_priority(text: str) -> int:
    """RFC 6710 §3. Raises ValueError."""
    if _PRIORITY.fullmatch(text) is None:
        raise ValueError("a priority is a digit, perhaps with a minus")
    return int(text)


def priority_of(header: bytes) -> int:
    """What the fields of a message say, 0 when that cannot be read. MT-Priority counts first."""
    field = headers.first(header, PRIORITY_FIELD)
    if field is not None:
        try:
            return parse_priority(headers.without_comments(field.value).decode("ascii", "replace").strip())
        except ValueError:
            return 0
    field = headers.first(header, URGENCY_FIELD)
    return 0 if field is None else URGENCIES.get(" ".join(field.text.lower().replace("-", " ").split()), 0)
