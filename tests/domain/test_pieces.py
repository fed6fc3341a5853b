"""Stored octets: what comes back, what can be read alone, and what damage is noticed."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import pieces
from gateway.domain.pieces import PIECE_OCTETS, Damaged

KEY = bytes(range(32))
OTHER_KEY = bytes(reversed(range(32)))


def content(octets: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(octets)


def whole(clear: bytes, split: int = 100_000, key: bytes = KEY) -> bytes:
    parts = (clear[at : at + split] for at in range(0, len(clear), split))
    return b"".join(pieces.stored(parts, key))


@given(st.binary(max_size=5000), st.integers(1, 5000))
def test_what_is_stored_comes_back_whatever_the_split(clear: bytes, split: int) -> None:
    assert pieces.open_whole(whole(clear, split), KEY) == clear
    assert whole(clear, split) == whole(clear, 5000)


@pytest.mark.parametrize("octets", [0, 1, PIECE_OCTETS - 1, PIECE_OCTETS, PIECE_OCTETS + 1, 2 * PIECE_OCTETS])
def test_a_piece_is_full_but_for_the_last(octets: int) -> None:
    stored = whole(content(octets))
    table = pieces.read_table(stored[-pieces.tail_octets_max(octets) :], len(stored), KEY)
    assert (table.octets, len(table.pieces)) == (octets, -(-octets // PIECE_OCTETS))
    assert pieces.open_whole(stored, KEY) == content(octets)


def test_a_range_is_opened_by_the_pieces_it_lies_in_alone() -> None:
    clear = content(3 * PIECE_OCTETS + 5)
    stored = whole(clear)
    table = pieces.read_table(stored[-pieces.tail_octets_max(len(clear)) :], len(stored), KEY)
    assert list(table.numbers(PIECE_OCTETS, PIECE_OCTETS + 1)) == [1]
    assert list(table.numbers(PIECE_OCTETS - 1, 3 * PIECE_OCTETS + 1)) == [0, 1, 2, 3]
    assert list(table.numbers(7, 7)) == []
    piece = table.pieces[2]
    opened = pieces.open_piece(table, 2, stored[piece.offset : piece.offset + piece.octets], KEY)
    assert opened == clear[2 * PIECE_OCTETS : 3 * PIECE_OCTETS]


def test_what_can_be_compressed_is_stored_smaller() -> None:
    assert len(whole(b"every mail is an event\r\n" * 10_000)) < 2_000


def test_nothing_is_in_the_clear() -> None:
    assert b"MARKER" not in whole(b"MARKER" + content(1000))


@pytest.mark.parametrize("seed", range(30))
def test_any_flipped_bit_is_noticed_and_its_piece_named(seed: int) -> None:
    clear = content(2 * PIECE_OCTETS + 1000)
    damaged = bytearray(whole(clear))
    place = random.Random(seed).randrange(len(damaged)) if seed else len(damaged) - 1
    damaged[place] ^= 1 << seed % 8
    with pytest.raises(Damaged) as found:
        pieces.open_whole(bytes(damaged), KEY)
    assert found.value.offset <= place


def test_what_was_cut_or_put_in_another_order_is_noticed() -> None:
    clear = content(2 * PIECE_OCTETS)
    stored = whole(clear)
    table = pieces.read_table(stored, len(stored), KEY)
    first, second = (stored[p.offset : p.offset + p.octets] for p in table.pieces)
    with pytest.raises(Damaged):
        pieces.open_piece(table, 0, second, KEY)
    for cut in (b"", stored[:-1], stored[1:], second + first + stored[len(first) + len(second) :]):
        with pytest.raises(Damaged):
            pieces.open_whole(cut, KEY)


def test_another_key_opens_nothing() -> None:
    stored = whole(content(100))
    with pytest.raises(Damaged):
        pieces.open_whole(stored, OTHER_KEY)
    table = pieces.read_table(stored, len(stored), KEY)
    with pytest.raises(Damaged, match="does not open"):
        pieces.open_piece(table, 0, stored[: table.pieces[0].octets], OTHER_KEY)


def test_the_same_content_made_otherwise_is_under_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    clear = content(1000)
    old = whole(clear)
    monkeypatch.setattr(pieces, "_MADE", b"zstd9.9.9-3")
    new = whole(clear)
    assert new[:1000] != old[:1000]
    assert pieces.open_whole(old, KEY) == pieces.open_whole(new, KEY) == clear
