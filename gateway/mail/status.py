"""The enhanced status of a reply: class, subject and detail, as numbers.

Source: RFC 3463 §2 (syntax, classes), RFC 5248 (registry), RFC 2034 (in SMTP replies).
"""

import re
from dataclasses import dataclass

# RFC 3463 §2: status-code = class "." subject "." detail; no leading zeros, at most three digits each.
_STATUS = re.compile(r"([245])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class EnhancedStatus:
    """An enhanced mail system status code, such as 5.1.1."""

    class_: int  # 2 success, 4 transient failure, 5 permanent failure
    subject: int  # 0..999, what it is about: 1 address, 2 mailbox, 3 system, 4 network, 5 protocol, ...
    detail: int  # 0..999

    def __post_init__(self) -> None:
        assert self.class_ in (2, 4, 5), self
        assert 0 <= self.subject <= 999, self
        assert 0 <= self.detail <= 999, self

    def __str__(self) -> str:
        return f"{self.class_}.{self.subject}.{self.detail}"


def parse_status(text: str) -> EnhancedStatus:
    """Read a status such as "5.1.1". Raises ValueError when the text is anything else."""
    found = _STATUS.fullmatch(text)
    if found is None:
        raise ValueError("an enhanced status is a class 2, 4 or 5 and two numbers, such as 5.1.1")
    return EnhancedStatus(*map(int, found.groups()))
