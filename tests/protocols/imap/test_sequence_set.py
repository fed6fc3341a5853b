"""Sets of messages: RFC 9051 §9 (sequence-set), RFC 5182 §2."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.imap.sequence_set import SAVED, parse_set, part_of

SETS = [
    (b"1", 9, [(1, 1)]),
    (b"2:4", 9, [(2, 4)]),
    (b"4:2", 9, [(2, 4)]),
    (b"*", 9, [(9, 9)]),
    (b"3:*", 9, [(3, 9)]),
    # RFC 9051 §9: "559:*" always has the largest in it.
    (b"12:*", 9, [(9, 12)]),
    (b"*:4", 9, [(4, 9)]),
    (b"*,1,2:3,5:4", 9, [(1, 5), (9, 9)]),
    (b"1:5,2:3,4:8", 9, [(1, 8)]),
    (b"4294967295", 9, [(4294967295, 4294967295)]),
]


@pytest.mark.parametrize(("written", "largest", "ranges"), SETS)
def test_a_set_is_ranges(written: bytes, largest: int, ranges: list[tuple[int, int]]) -> None:
    assert parse_set(written).resolve(largest) == ranges


@pytest.mark.parametrize(
    "written", [b"", b"0", b"1:2:3", b"a", b"1,", b",1", b"1:", b":1", b"4294967296", b"01", b"**", b"1,$"]
)
def test_anything_else_is_refused(written: bytes) -> None:
    with pytest.raises(ValueError):
        parse_set(written)


@pytest.mark.parametrize(
    ("partial", "part"),
    [
        ((1, 2), [(3, 4)]),
        ((3, 5), [(5, 5), (9, 9), (12, 12)]),
        ((6, 9), [(13, 13)]),
        ((7, 9), []),
        ((-1, -2), [(12, 13)]),
        ((-3, -9), [(3, 5), (9, 9)]),
        ((-7, -9), []),
    ],
)
def test_a_part_is_counted_from_either_end(partial: tuple[int, int], part: list[tuple[int, int]]) -> None:
    """RFC 9394 §3.1."""
    assert part_of([(3, 5), (9, 9), (12, 13)], partial) == part


def test_a_dollar_is_what_was_saved() -> None:
    assert parse_set(b"$") is SAVED
    assert SAVED.is_saved


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8), st.integers(1, 20)
)
def test_it_has_every_message_that_one_of_its_ranges_has(items: list[tuple[int, int]], largest: int) -> None:
    written = ",".join(f"{a or '*'}:{b or '*'}" for a, b in items).encode()
    ranges = parse_set(written).resolve(largest)
    known = [sorted((a or largest, b or largest)) for a, b in items]
    assert {n for a, b in ranges for n in range(a, b + 1)} == {n for a, b in known for n in range(a, b + 1)}
    assert all(one[1] + 1 < other[0] for one, other in pairwise(ranges))
