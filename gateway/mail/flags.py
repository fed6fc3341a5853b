"""Flags of a message, as one text: `\\Answered \\Seen $Forwarded`.

System flags come first, in the case RFC 9051 gives them; keywords follow, spelt as who set them first spelt
them. Names compare without case, so no message has a flag twice, and equal sets are equal texts but for how
a keyword is spelt. \\Recent is a session's own and never kept.

Source: RFC 9051 §2.3.2 (flags), §9 (flag, flag-keyword); RFC 3501 §2.3.2 (\\Recent).
"""

from collections.abc import Iterable
from typing import Final

ANSWERED, DELETED, DRAFT, FLAGGED, SEEN = "\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"
SYSTEM: Final = (ANSWERED, DELETED, DRAFT, FLAGGED, SEEN)
_SPELT: Final = {flag.lower(): flag for flag in SYSTEM}
_RECENT: Final = "\\recent"


def flags_text(flags: Iterable[str]) -> str:
    """flags: as clients wrote them, in any order, whatever is named twice."""
    return _text(_by_name(flags))


def has_flag(text: str, flag: str) -> bool:
    """flag: in its own case, as above."""
    return flag in text.split()


def with_flags(text: str, flags: Iterable[str]) -> str:
    return _text(_by_name(flags) | _by_name(text.split()))


def without_flags(text: str, flags: Iterable[str]) -> str:
    gone = _by_name(flags)
    return _text({name: flag for name, flag in _by_name(text.split()).items() if name not in gone})


def replaced_flags(text: str, flags: Iterable[str]) -> str:
    """These and no others; what the message has already stays as it is spelt."""
    had = _by_name(text.split())
    return _text({name: had.get(name, flag) for name, flag in _by_name(flags).items()})


def _by_name(flags: Iterable[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for flag in flags:
        name = flag.lower()
        if name and name != _RECENT:
            named.setdefault(name, _SPELT.get(name, flag))
    return named


def _text(named: dict[str, str]) -> str:
    return " ".join(named[name] for name in sorted(named, key=lambda name: (name[0] != "\\", name)))
