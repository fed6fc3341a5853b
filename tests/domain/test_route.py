"""Where mail of an agency with several servers goes, by what was seen of them."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.agency import NextHop
from gateway.domain.route import (
    Health,
    Route,
    Seen,
    Switch,
    WayName,
    WeightedHop,
    due_switch,
    in_turn,
    to_look_at,
)

ONE, TWO, BACKUP, OTHER = (NextHop(f"mx{number}.dld.go.th", 25) for number in range(4))
ROUTE = Route(
    (WeightedHop(ONE, 3), WeightedHop(TWO)),
    (WeightedHop(BACKUP), WeightedHop(OTHER)),
    down_for_s=900,
    back_for_s=300,
)


def silent(for_s: float) -> Seen:
    return Seen(is_silent=True, for_s=for_s)


def answers(for_s: float) -> Seen:
    return Seen(is_silent=False, for_s=for_s)


SWITCHES: dict[str, tuple[WayName, Health, Switch | None]] = {
    "nobody was looked at": ("main", {}, None),
    "all answer": ("main", {ONE: answers(9_999), TWO: answers(1)}, None),
    "one is silent": ("main", {ONE: silent(9_999), TWO: answers(1)}, None),
    "one is silent and the other was not looked at": ("main", {ONE: silent(9_999)}, None),
    "not for long": ("main", {ONE: silent(9_999), TWO: silent(899)}, None),
    "as long as that": ("main", {ONE: silent(9_999), TWO: silent(900)}, Switch("backup", 900)),
    "the backup answers": (
        "main",
        {ONE: silent(950), TWO: silent(900), BACKUP: silent(5), OTHER: answers(5)},
        Switch("backup", 900),
    ),
    "the backup is silent too": (
        "main",
        {ONE: silent(950), TWO: silent(900), BACKUP: silent(5), OTHER: silent(5)},
        None,
    ),
    "main is silent still": ("backup", {ONE: silent(9_999), TWO: silent(9_999)}, None),
    "nobody looked at main": ("backup", {BACKUP: answers(9_999)}, None),
    "main is just back": ("backup", {ONE: silent(9_999), TWO: answers(299)}, None),
    "one of main is back": ("backup", {ONE: silent(9_999), TWO: answers(300)}, Switch("main", 300)),
}


@pytest.mark.parametrize(("way", "health", "switch"), SWITCHES.values(), ids=SWITCHES)
def test_mail_goes_round_silence_and_back(way: WayName, health: Health, switch: Switch | None) -> None:
    assert due_switch(ROUTE, way, health) == switch


def test_without_a_backup_mail_waits() -> None:
    alone = replace_backup(ROUTE)
    assert due_switch(alone, "main", {ONE: silent(9_999), TWO: silent(9_999)}) is None


def replace_backup(route: Route) -> Route:
    return Route(route.main, (), route.down_for_s, route.back_for_s)


def test_who_is_silent_is_looked_at_and_main_as_long_as_the_backup_has_the_mail() -> None:
    health = {ONE: answers(5), TWO: silent(5), BACKUP: silent(5)}
    assert set(to_look_at(ROUTE, "main", health)) == {TWO, BACKUP}
    assert set(to_look_at(ROUTE, "backup", health)) == {ONE, TWO, BACKUP}
    assert to_look_at(ROUTE, "main", {}) == ()


def test_a_server_without_others_beside_it_is_looked_at_by_its_mail_alone() -> None:
    assert to_look_at(Route((WeightedHop(ONE),)), "main", {ONE: silent(9_999)}) == ()


def chances(*numbers: int) -> object:
    given_ = iter(numbers)
    return lambda octets: next(given_).to_bytes(octets, "big")


# Of the weights 3 and 1, in the order they are named: 0, 1 and 2 are the first's, 3 is the second's.
@pytest.mark.parametrize(("chance", "first"), [(0, ONE), (2, ONE), (3, TWO), (4, ONE), (7, TWO)])
def test_a_weight_is_a_share_of_the_chances(chance: int, first: NextHop) -> None:
    order = in_turn(ROUTE.main, {}, chances(chance, 0))  # type: ignore[arg-type]
    assert (order[0], set(order)) == (first, {ONE, TWO})


def test_who_is_silent_comes_last_whatever_its_weight() -> None:
    for chance in range(4):
        order = in_turn(ROUTE.main, {ONE: silent(1)}, chances(chance, chance))  # type: ignore[arg-type]
        assert order == [TWO, ONE]


HOPS = st.sampled_from((ONE, TWO, BACKUP, OTHER))
SEEN = st.builds(Seen, is_silent=st.booleans(), for_s=st.floats(0, 10_000))
HEALTH = st.dictionaries(HOPS, SEEN)
WAYS = st.lists(HOPS, min_size=1, max_size=4, unique=True)


@given(
    WAYS, HEALTH, st.lists(st.integers(1, 1_000), min_size=4, max_size=4), st.binary(min_size=4, max_size=4)
)
def test_everybody_has_one_turn_and_nobody_waits_for_who_is_silent(
    hops: list[NextHop], health: Health, weights: list[int], chance: bytes
) -> None:
    way = [WeightedHop(hop, weight) for hop, weight in zip(hops, weights, strict=False)]
    order = in_turn(way, health, lambda _: chance)
    assert sorted(order, key=str) == sorted(hops, key=str)
    is_silent = [hop in health and health[hop].is_silent for hop in order]
    assert is_silent == sorted(is_silent)


@given(HEALTH, st.sampled_from(("main", "backup")))
def test_a_switch_is_to_the_other_way_and_not_undone_by_the_same_sight(health: Health, way: WayName) -> None:
    switch = due_switch(ROUTE, way, health)
    if switch is not None:
        assert switch.to != way
        assert due_switch(ROUTE, switch.to, health) is None


@given(st.lists(st.booleans(), max_size=60))
def test_mail_goes_by_the_backup_after_15_silent_minutes_and_back_after_5_answers(
    minutes: list[bool],
) -> None:
    """One server each, looked at every minute. minutes: whether it answered."""
    route = Route((WeightedHop(ONE),), (WeightedHop(BACKUP),), down_for_s=900, back_for_s=300)
    way: WayName = "main"
    seen, since = None, 0
    for minute, is_up in zip(count(), minutes, strict=False):
        if seen is None or seen.is_silent == is_up:
            since = minute
        seen = Seen(is_silent=not is_up, for_s=60.0 * (minute - since))
        switch = due_switch(route, way, {ONE: seen})
        streak = minute - since + 1  # as many looks alike, this one among them
        assert (switch is not None) == (
            streak >= (6 if is_up else 16) and way == ("backup" if is_up else "main")
        )
        way = switch.to if switch else way
