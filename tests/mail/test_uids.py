"""UID sets: text, ranges and UIDs are three views of one set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.uids import (
    contains,
    count_uids,
    each_uid,
    parse_uids,
    ranges_of,
    subtract,
    uids_text,
    unite,
)

TEXTS = [
    ("", []),
    ("7", [(7, 7)]),
    ("1:4,7", [(1, 4), (7, 7)]),
    ("1,3,5:4294967295", [(1, 1), (3, 3), (5, 4294967295)]),
]


@pytest.mark.parametrize(("text", "ranges"), TEXTS)
def test_text_and_ranges_say_the_same(text: str, ranges: list[tuple[int, int]]) -> None:
    assert parse_uids(text) == ranges
    assert uids_text(ranges) == text


@pytest.mark.parametrize("text", ["0", "4:2", "1:*", "3,1", "1:3,3", "1:3,4", "a", "1,", ",1"])
def test_what_is_no_ascending_set_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_uids(text)


@given(st.sets(st.integers(1, 300)))
def test_a_set_is_the_same_through_every_view(uids: set[int]) -> None:
    ranges = ranges_of(sorted(uids))
    assert set(each_uid(parse_uids(uids_text(ranges)))) == uids
    assert count_uids(ranges) == len(uids)
    assert {uid for uid in range(302) if contains(ranges, uid)} == uids


@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_sets_are_subtracted_and_united(ones: set[int], others: set[int]) -> None:
    left, right = ranges_of(sorted(ones)), ranges_of(sorted(others))
    assert subtract(left, right) == ranges_of(sorted(ones - others))
    assert unite([*reversed(right), *left]) == ranges_of(sorted(ones | others))
