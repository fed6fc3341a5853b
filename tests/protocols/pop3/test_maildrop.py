"""A maildrop's numbers, sizes and deletions. Source: RFC 1939 §4, §5, §7."""

import pytest

from gateway.protocols.pop3.maildrop import Maildrop, NoSuchMessage


@pytest.fixture
def drop() -> Maildrop:
    return Maildrop(1_764_000_000, [3, 4, 9], [100, 20, 3])


def test_numbers_stand_for_uids_in_their_order(drop: Maildrop) -> None:
    assert list(drop) == [1, 2, 3]
    assert [drop.uid_of(number) for number in drop] == [3, 4, 9]
    assert drop.stat() == (3, 123)
    assert drop.octets_of(2) == 20


@pytest.mark.parametrize("number", [0, 4, 9_999_999_999])
def test_no_other_number_names_a_message(drop: Maildrop, number: int) -> None:
    for ask in (drop.uid_of, drop.octets_of, drop.unique_id_of, drop.delete):
        with pytest.raises(NoSuchMessage):
            ask(number)


def test_a_deleted_message_is_not_there_and_the_others_keep_their_numbers(drop: Maildrop) -> None:
    drop.delete(2)
    assert list(drop) == [1, 3]
    assert drop.stat() == (2, 103)
    assert drop.uid_of(3) == 9
    with pytest.raises(NoSuchMessage):
        drop.delete(2)
    drop.delete(1)
    assert drop.deleted == [(3, 4)]


def test_reset_brings_all_back(drop: Maildrop) -> None:
    drop.delete(1)
    drop.reset()
    assert drop.stat() == (3, 123)
    assert drop.deleted == []


def test_a_unique_id_names_mailbox_and_message(drop: Maildrop) -> None:
    """RFC 1939 §7: 1 to 70 characters from ! to ~, and never one of another message."""
    assert drop.unique_id_of(3) == "1764000000.9"
