"""Sets of messages as commands name them: `1:4,7,9:*`, or `$` for what the last search has saved.

A set says numbers or UIDs; which of the two, its command says. `Selected.uids_of` finds its messages.

Source: RFC 9051 §9 (sequence-set), RFC 5182 §2 (`$`).
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.mail.uids import Ranges, count_uids, unite

STAR: Final = 0  # the largest there is
NUMBER_MAX: Final = 2**32 - 1  # RFC 9051 §9: nz-number

_SET: Final = re.compile(rb"(?:\*|[1-9][0-9]{0,9})(?:[:,](?:\*|[1-9][0-9]{0,9}))*")


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """ranges: as they were written, STAR for `*`; none of them: `$`."""

    ranges: tuple[tuple[int, int], ...] = ()

    @property
    def is_saved(self) -> bool:
        """True of `$`: the result that the session has saved (RFC 5182)."""
        return not self.ranges

    def resolve(self, largest: int) -> list[tuple[int, int]]:
        """Its ranges, ascending and apart. largest: what `*` stands for, also when nothing has that number.

        RFC 9051 §9: "4:2" is "2:4", and "559:*" has the largest in it even if that is below 559.
        """
        assert self.ranges, "what is saved, the session knows"
        if len(self.ranges) == 1:
            start, end = (one or largest for one in self.ranges[0])
            return [(start, end) if start <= end else (end, start)]
        known = ((start or largest, end or largest) for start, end in self.ranges)
        return unite((start, end) if start <= end else (end, start) for start, end in known)


def part_of(ranges: Ranges, partial: tuple[int, int]) -> list[tuple[int, int]]:
    """The members from the first-th to the last-th, counted from 1, or from the end when negative (RFC
    9394)."""
    first, last = partial
    if first < 0:
        members = count_uids(ranges)
        first, last = max(1, members + last + 1), members + first + 1
    found: list[tuple[int, int]] = []
    passed = 0
    for start, end in ranges:
        low, high = max(start, start + first - 1 - passed), min(end, start + last - 1 - passed)
        if low <= high:
            found.append((low, high))
        passed += end - start + 1
    return found


SAVED: Final = SequenceSet()


def parse_set(octets: bytes) -> SequenceSet:
    """Raises ValueError with a sentence for the client."""
    if octets == b"$":
        return SAVED
    if _SET.fullmatch(octets) is None:
        raise ValueError("A set is numbers, ranges and *, with commas between them")
    return SequenceSet(tuple(map(_range, octets.split(b","))))


def _range(item: bytes) -> tuple[int, int]:
    first, _, last = item.partition(b":")
    if b":" in last:
        raise ValueError("A range has a beginning and an end")
    start = STAR if first == b"*" else int(first)
    end = start if not last else STAR if last == b"*" else int(last)
    if max(start, end) > NUMBER_MAX:
        raise ValueError("A number in a set has at most 32 bits")
    return start, end
