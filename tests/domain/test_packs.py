"""Packs: entries as they came, an index that can be read without anything else."""

import hashlib
from datetime import UTC, datetime

import pytest

from gateway.domain.events import Actor, By, Stamp
from gateway.domain.packs import BrokenPack, pack, pack_name, read_index

AT = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
STAMP = Stamp(AT, Actor("system", "packer"), By("packer", "0", "0"))


def contents(count: int) -> list[tuple[str, bytes, int]]:
    octets = [f"content {number}".encode() * (number % 7 + 1) for number in range(count)]
    return [(hashlib.sha256(o).hexdigest(), o, 10 + number) for number, o in enumerate(octets)]


def test_entries_are_where_the_index_says() -> None:
    made = pack("packs/2026/11/03/pack_1", contents(20))
    assert read_index(made.octets) == made.entries
    for entry, (digest, octets, sequence) in zip(made.entries, contents(20), strict=True):
        assert made.octets[entry.offset : entry.offset + entry.octets] == octets
        assert (entry.digest, entry.hint) == (digest, sequence)


def test_a_pack_is_told_in_events_of_at_most_400_entries() -> None:
    made = pack("packs/2026/11/03/pack_1", contents(1000))
    facts = made.facts(STAMP)
    assert [len(fact.entries) for fact in facts] == [400, 400, 200]
    assert tuple(entry for fact in facts for entry in fact.entries) == made.entries
    assert {fact.digest for fact in facts} == {hashlib.sha256(made.octets).hexdigest()}
    assert {(fact.pack, fact.octets) for fact in facts} == {(made.name, len(made.octets))}


def test_a_pack_is_named_by_its_day() -> None:
    assert pack_name(AT, bytes(10)).startswith("packs/2026/11/03/pack_")


@pytest.mark.parametrize("damage", ["cut", "index", "empty", "trailer"])
def test_a_damaged_index_is_refused(damage: str) -> None:
    octets = bytearray(pack("packs/x", contents(3)).octets)
    match damage:
        case "cut":
            del octets[-1]
        case "index":
            octets[-60] ^= 1
        case "trailer":
            octets[-40] ^= 0x80
        case _:
            octets.clear()
    with pytest.raises(BrokenPack):
        read_index(bytes(octets))
