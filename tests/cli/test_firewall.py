"""Bans for nftables: a file that nft takes, in which nobody is free whom a ban holds, or held who is free."""

import ipaddress
import random
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cli.firewall import disjoint, ruleset, span
from gateway.domain.bans import Network
from tests.cli.nft import read

NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


def network(text: str) -> Network:
    return ipaddress.ip_network(text)


def test_a_ruleset_has_a_set_of_each_family_and_closes_the_ports() -> None:
    bans = [
        (network("192.0.2.0/24"), NOW + timedelta(days=1, hours=2, minutes=3, seconds=4)),
        (network("198.51.100.7/32"), NOW + 24 * HOUR),
        (network("2001:db8::/64"), NOW + HOUR),
        (network("203.0.113.0/24"), NOW),
    ]
    text = ruleset(bans, [2525, 2465, 2587, 2525], NOW)
    found = read(text)
    assert found.sets["banned4"].elements == {
        network("192.0.2.0/24"): timedelta(days=1, hours=2, minutes=3, seconds=4),
        network("198.51.100.7/32"): timedelta(days=1),
    }
    assert found.sets["banned6"].elements == {network("2001:db8::/64"): HOUR}
    assert found.drops == {"banned4": [2465, 2525, 2587], "banned6": [2465, 2525, 2587]}
    assert "192.0.2.0/24 timeout 1d2h3m4s,\n" in text
    assert "198.51.100.7 timeout 1d\n" in text


def test_nobody_banned_is_a_ruleset_that_lets_everybody_in() -> None:
    text = ruleset([], [25], NOW)
    assert "elements" not in text
    assert [kept.elements for kept in read(text).sets.values()] == [{}, {}]


@pytest.mark.parametrize(
    ("bans", "expected"),
    [
        # The same twice: the later end.
        ([("192.0.2.0/24", 1), ("192.0.2.0/24", 2)], [("192.0.2.0/24", 2)]),
        # A part that ends no later is no element of its own.
        ([("192.0.2.0/24", 2), ("192.0.2.64/26", 2)], [("192.0.2.0/24", 2)]),
        # A part that lasts longer keeps its end, and the rest around it its own.
        (
            [("192.0.2.0/24", 1), ("192.0.2.64/26", 2)],
            [("192.0.2.0/26", 1), ("192.0.2.64/26", 2), ("192.0.2.128/25", 1)],
        ),
        ([("192.0.2.0/31", 1), ("192.0.2.0/32", 2)], [("192.0.2.0/32", 2), ("192.0.2.1/32", 1)]),
        (
            [("2001:db8::/126", 1), ("2001:db8::3/128", 9), ("192.0.2.0/32", 1)],
            [("192.0.2.0/32", 1), ("2001:db8::/127", 1), ("2001:db8::2/128", 1), ("2001:db8::3/128", 9)],
        ),
    ],
)
def test_no_network_is_in_the_set_twice(bans: list[tuple[str, int]], expected: list[tuple[str, int]]) -> None:
    found = disjoint([(network(text), NOW + hours * HOUR) for text, hours in bans], NOW)
    assert sorted(found, key=lambda each: (each[0].version, each[0].network_address)) == [
        (network(text), NOW + hours * HOUR) for text, hours in expected
    ]


@pytest.mark.parametrize("seed", range(40))
def test_whoever_is_banned_is_dropped_as_long_and_nobody_else(seed: int) -> None:
    """Invariant: for each address the element it is in ends with the last of its bans."""
    chance = random.Random(seed)
    bans = []
    for _ in range(chance.randrange(1, 30)):
        prefix = chance.randrange(24, 33)
        address = ipaddress.ip_address(f"192.0.2.{chance.randrange(256)}")
        found = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
        bans.append((found, NOW + chance.randrange(-1, 6) * HOUR))
    elements = read(ruleset(bans, [25], NOW)).sets["banned4"].elements
    for number in range(256):
        address = ipaddress.ip_address(f"192.0.2.{number}")
        ends = max((until - NOW for each, until in bans if address in each), default=timedelta())
        dropped = [length for each, length in elements.items() if address in each]
        assert dropped == ([ends] if ends > timedelta() else []), address


def test_many_bans_in_a_wide_one_take_no_time() -> None:
    bans = [(network("2001:db8::/32"), NOW + HOUR)]
    bans += [(network(f"2001:db8:{n:x}::/64"), NOW + 2 * HOUR) for n in range(0, 20_000, 2)]
    assert len(disjoint(bans, NOW)) > 10_000


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.2, "1s"), (59, "59s"), (3_600, "1h"), (90_061, "1d1h1m1s"), (7_776_000, "90d")],
)
def test_times_are_written_as_nft_lists_them(seconds: float, written: str) -> None:
    assert span(timedelta(seconds=seconds)) == written


BROKEN = [
    ("192.0.2.0/24 timeout 1h", "192.0.2.1/24 timeout 1h"),
    ("192.0.2.0/24 timeout 1h", "2001:db8::/64 timeout 1h"),
    ("192.0.2.0/24 timeout 1h", "192.0.2.0/24 timeout 1m1h"),
    ("192.0.2.0/24 timeout 1h", "192.0.2.0/24 timeout 1h, 192.0.2.4 timeout 1h"),
    ("192.0.2.0/24 timeout 1h", ""),
    ("@banned4", "@banned5"),
    ("drop", "dorp"),
    ("policy accept;", "policy accept"),
    ("add table inet saraban\n", ""),
    ("\t}\n}", "\t}"),
]


@pytest.mark.parametrize(("said", "instead"), BROKEN)
def test_the_reader_refuses_what_nft_does(said: str, instead: str) -> None:
    """Else the tests above would show nothing."""
    text = ruleset([(network("192.0.2.0/24"), NOW + HOUR)], [25], NOW)
    assert said in text
    read(text)
    with pytest.raises((AssertionError, ValueError, KeyError, IndexError)):
        read(text.replace(said, instead))
