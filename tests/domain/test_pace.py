"""How many connections a destination gets, and when one that does not answer is asked again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.agency import NextHop
from gateway.domain.pace import (
    CONNECTIONS_START,
    FAILURES_MAX,
    IN_HAND_MAX,
    IN_HAND_MIN,
    PROBE_FIRST,
    PROBE_LAST,
    Bounds,
    Full,
    Granted,
    Later,
    Pace,
    Situation,
    Suspended,
    ask,
    destination_name,
    in_hand_max,
    next_mail,
    opened,
    refused,
    told,
)
from gateway.mail.ids import AgencyId

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
WHY = "The host does not answer"


def situation(pace: Pace, places: int = 0, most: int = 20, mails: int | None = None) -> Situation:
    return Situation(Bounds(most, mails), pace, places)


def silent(pace: Pace, times: int, *, at: datetime = NOW) -> Pace:
    for _ in range(times):
        pace = refused(pace, 0, at=at, why=WHY)
    return pace


@given(st.integers(0, 50), st.integers(1, 30))
def test_there_are_never_more_connections_than_the_most(connections: int, most: int) -> None:
    wide = Pace(1_000.0)
    assert isinstance(ask(situation(wide, connections, most), at=NOW), Granted) == (connections < most)


def test_a_new_destination_begins_with_some_and_each_window_of_mails_opens_one_more() -> None:
    pace = Pace()
    assert isinstance(ask(situation(pace, CONNECTIONS_START - 1), at=NOW), Granted)
    assert ask(situation(pace, CONNECTIONS_START), at=NOW) == Full()
    assert told(pace, CONNECTIONS_START, 0, connections_max=20).window == CONNECTIONS_START + 1
    assert told(pace, 1_000, 0, connections_max=20).window == 20


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=20), st.integers(1, 50))
def test_whatever_becomes_of_mails_one_connection_is_left_and_no_more_than_the_most(
    mails: list[tuple[int, int]], most: int
) -> None:
    pace = Pace()
    for went, deferred in mails:
        pace = told(pace, went, deferred, connections_max=most)
        assert 1 <= pace.window <= max(1, most)
    assert isinstance(ask(situation(pace, 0, most), at=NOW), Granted)


def test_deferrals_close_the_window_down_to_one_connection() -> None:
    pace = Pace(3.0)
    seen = []
    for _ in range(12):
        pace = told(pace, 0, 1, connections_max=20)
        seen.append(pace.window)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 1


def test_one_connection_too_many_is_no_sign_of_a_host_that_is_away() -> None:
    pace = refused(Pace(8.0), 2, at=NOW, why="421 too many")
    assert (pace.window, pace.failures, pace.suspended_at) == (2.0, 0, None)


def test_a_destination_that_does_not_answer_is_suspended_and_probed_by_one_connection() -> None:
    almost = silent(Pace(), FAILURES_MAX - 1)
    assert isinstance(ask(situation(almost), at=NOW), Granted)
    pace = silent(almost, 1)
    assert (pace.suspended_at, pace.why) == (NOW, WHY)
    assert ask(situation(pace), at=NOW) == Suspended(NOW + PROBE_FIRST, WHY)
    then = NOW + PROBE_FIRST
    assert isinstance(ask(situation(pace), at=then), Granted)
    assert ask(situation(pace, 1), at=then) == Full()


def test_pauses_between_probes_grow_up_to_the_longest() -> None:
    pace, at, pauses = silent(Pace(), FAILURES_MAX), NOW, list[timedelta]()
    for _ in range(5):
        assert pace.probe_at is not None
        pauses.append(pace.probe_at - at)
        at = pace.probe_at
        pace = silent(pace, 1, at=at)
    assert pauses == [PROBE_FIRST, 2 * PROBE_FIRST, PROBE_LAST, PROBE_LAST, PROBE_LAST]
    assert pace.suspended_at == NOW


def test_connections_begun_before_it_was_suspended_do_not_put_the_probe_off() -> None:
    pace = silent(Pace(), FAILURES_MAX)
    assert silent(pace, 10, at=NOW + PROBE_FIRST / 2) == pace


def test_a_host_that_answers_again_begins_with_one_connection_and_no_failures() -> None:
    assert opened(silent(Pace(20.0), FAILURES_MAX)) == Pace(1.0)
    assert opened(replace(Pace(20.0), failures=2, why=WHY)) == Pace(20.0)


def test_a_shorter_wait_for_a_second_attempt_brings_the_probe_as_soon() -> None:
    pace, at, pauses = silent(Pace(), FAILURES_MAX - 1), NOW, list[timedelta]()
    for first in [timedelta(seconds=1)] * 4 + [timedelta(hours=1)]:
        pace = refused(pace, 0, at=at, why=WHY, first=first)
        assert pace.probe_at is not None
        pauses.append(pace.probe_at - at)
        at = pace.probe_at
    assert pauses == [*(timedelta(seconds=n) for n in (1, 2, 4, 4)), PROBE_LAST]


def test_of_another_way_nothing_is_known_but_when_the_next_mail_may_go() -> None:
    pace = replace(silent(Pace(way="main"), FAILURES_MAX), next_mail_at=NOW)
    assert pace.by("main") == pace
    assert pace.by("backup") == Pace(way="backup", next_mail_at=NOW)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(1, 10))
def test_relays_end_no_fewer_connections_than_are_too_many_and_each_ends_its_own(
    ours: list[int], most: int
) -> None:
    stands = situation(Pace(1_000.0), sum(ours), most)
    ended = [stands.to_end(each) for each in ours]
    assert all(0 <= end <= own for end, own in zip(ended, ours, strict=True))
    excess = max(0, sum(ours) - most)
    assert excess <= sum(ended) <= (excess + len(ours) - 1 if excess else 0)


@pytest.mark.parametrize(
    ("agency", "narrower"),
    [
        ((None, None), Bounds(20, 600)),
        ((5, 60), Bounds(5, 60)),
        ((50, 6_000), Bounds(20, 600)),  # the gateway's hold for everybody
        ((None, 1), Bounds(20, 1)),
    ],
)
def test_an_agency_narrows_the_bounds_of_the_gateway(
    agency: tuple[int | None, int | None], narrower: Bounds
) -> None:
    assert Bounds(20, 600).within(*agency) == narrower
    assert Bounds(20).within(None, 60) == Bounds(20, 60)


@given(st.lists(st.tuples(st.integers(0, 9_000), st.booleans()), max_size=60), st.integers(1, 6_000))
def test_there_are_never_more_mails_in_a_minute_than_the_most_whoever_asks(
    asked: list[tuple[int, bool]], most: int
) -> None:
    """Each asks some milliseconds after the one before, for a connection with a mail or for a mail."""
    pace, at, gone = Pace(), NOW, list[datetime]()
    for after_ms, is_connection in asked:
        at += timedelta(milliseconds=after_ms)
        stands = situation(pace, 0, mails=most)
        grant = ask(stands, at=at) if is_connection else next_mail(stands, at=at)
        if isinstance(grant, Granted):
            pace = grant.pace
            gone.append(at + timedelta(seconds=grant.in_s))
    assert all(sum(begun <= other < begun + timedelta(minutes=1) for other in gone) <= most for begun in gone)


def test_a_step_that_is_near_is_for_a_connection_there_is() -> None:
    first = next_mail(situation(Pace(), mails=60), at=NOW)
    assert isinstance(first, Granted)
    stands = situation(first.pace, 1, mails=60)
    assert ask(stands, at=NOW) == Later(1.0)
    assert next_mail(stands, at=NOW) == Granted(
        replace(first.pace, next_mail_at=NOW + timedelta(seconds=2)), 1.0
    )
    slow = next_mail(situation(Pace(), mails=10), at=NOW)
    assert isinstance(slow, Granted)
    assert next_mail(situation(slow.pace, 1, mails=10), at=NOW) == Later(6.0)


@given(st.lists(st.sampled_from(["opened", "silent", "full", "went", "deferred", "minute"]), max_size=60))
def test_whatever_happens_a_destination_is_asked_again_within_the_longest_pause(events: list[str]) -> None:
    pace, at = Pace(), NOW
    for event in events:
        match event:
            case "opened":
                pace = opened(pace)
            case "silent":
                pace = silent(pace, 1, at=at)
            case "full":
                pace = refused(pace, 1, at=at, why="421")
            case "went":
                pace = told(pace, 3, 0, connections_max=20)
            case "deferred":
                pace = told(pace, 0, 3, connections_max=20)
            case _:
                at += timedelta(minutes=1)
        grant = ask(situation(pace), at=at)
        assert isinstance(grant, Granted | Suspended)
        assert isinstance(grant, Granted) or at < grant.until <= at + PROBE_LAST


@given(st.integers(0, 10_000), st.floats(0, 100))
def test_what_a_relay_has_in_hand_is_bounded_on_both_sides(went: int, seconds: float) -> None:
    assert IN_HAND_MIN <= in_hand_max(went, seconds) <= IN_HAND_MAX


def test_a_fast_destination_has_more_in_hand_than_a_slow_one() -> None:
    assert in_hand_max(0, 1.0) == in_hand_max(1, 1.0) == IN_HAND_MIN
    assert in_hand_max(50, 1.0) == 100


@pytest.mark.parametrize(
    ("agency", "hop", "domain", "name"),
    [
        ("ag_dld", None, "dld.go.th", "ag_dld"),
        (None, None, "example.net", "example.net"),
        # A person said where: who has asked for it waits for that host, and nobody else does.
        ("ag_dld", NextHop("backup.example", 25), "dld.go.th", "backup.example:25"),
    ],
)
def test_a_destination_is_an_agency_a_host_that_was_said_or_a_domain(
    agency: str | None, hop: NextHop | None, domain: str, name: str
) -> None:
    assert destination_name(AgencyId(agency) if agency else None, hop, domain) == name
