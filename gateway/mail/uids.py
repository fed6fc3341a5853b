"""Sets of UIDs, as ranges and as text: `1:4,7` (RFC 9051 §9, sequence-set without `*`).

Ranges are inclusive, ascending and apart: no two of them touch. A mailbox of 100,000 messages that were all
moved is one range, so sets stay small in events and rows.
"""

from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence

Ranges = Sequence[tuple[int, int]]


def parse_uids(text: str) -> list[tuple[int, int]]:
    """What `uids_text` wrote; "" is the empty set. Raises ValueError."""
    ranges: list[tuple[int, int]] = []
    for item in text.split(",") if text else ():
        first, _, last = item.partition(":")
        start, end = int(first), int(last or first)
        if start < 1 or end < start or (ranges and start <= ranges[-1][1] + 1):
            raise ValueError(f"{text[:80]!r} is no ascending set of UIDs")
        ranges.append((start, end))
    return ranges


def uids_text(ranges: Ranges) -> str:
    return ",".join(str(start) if start == end else f"{start}:{end}" for start, end in ranges)


def ranges_of(uids: Iterable[int]) -> list[tuple[int, int]]:
    """uids: ascending; one that is named twice counts once."""
    ranges: list[tuple[int, int]] = []
    start = end = -1
    for uid in uids:
        if uid == end + 1:
            end = uid
        elif uid != end:
            if start > 0:
                ranges.append((start, end))
            start = end = uid
    if start > 0:
        ranges.append((start, end))
    return ranges


def each_uid(ranges: Ranges) -> Iterator[int]:
    for start, end in ranges:
        yield from range(start, end + 1)


def count_uids(ranges: Ranges) -> int:
    return sum(end - start + 1 for start, end in ranges)


def contains(ranges: Ranges, uid: int) -> bool:
    """Whether a set has a UID; a look at a few of its ranges, however many there are."""
    index = bisect(ranges, uid, key=lambda span: span[0])
    return index > 0 and uid <= ranges[index - 1][1]


def subtract(ranges: Ranges, others: Ranges) -> list[tuple[int, int]]:
    """What is in `ranges` and not in `others`."""
    left: list[tuple[int, int]] = []
    index = 0
    for start, end in ranges:
        while index < len(others) and others[index][1] < start:
            index += 1
        at = index
        while at < len(others) and others[at][0] <= end:
            if start < others[at][0]:
                left.append((start, others[at][0] - 1))
            start = others[at][1] + 1
            at += 1
        if start <= end:
            left.append((start, end))
    return left


def unite(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in any order, and whatever they share, as a set."""
    united: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if united and start <= united[-1][1] + 1:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united
