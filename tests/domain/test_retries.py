"""When a recipient is tried again (RFC 5321 §4.5.4.1), by what stood in the way."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.retries import GREYLISTING_ATTEMPTS, PATIENCE, Hindrance, RetrySchedule, hindrance_of
from gateway.mail.reply import reply

SCHEDULE = RetrySchedule()

HINDRANCES: list[tuple[int, str | None, bool, Hindrance]] = [
    # What is said at RCPT by hosts that greylist: RFC 6647, Postgrey behind Postfix, milter-greylist, spamd.
    (450, "4.7.1", True, "greylisting"),
    (450, "4.2.0", True, "greylisting"),
    (451, "4.7.1", True, "greylisting"),
    (451, "4.7.0", True, "greylisting"),
    (451, None, True, "greylisting"),
    # The same elsewhere, or more closely said, is no greylisting.
    (451, "4.7.1", False, "policy"),
    (451, None, False, "host"),
    (450, "4.7.28", True, "policy"),
    (421, "4.7.0", True, "policy"),
    (450, "4.1.1", True, "host"),  # Postfix, while it asks for the address behind it
    (452, "4.2.2", True, "mailbox"),
    (450, "4.2.1", True, "mailbox"),
    (452, "4.3.1", True, "host"),
    (452, "4.5.3", True, "host"),
    (421, None, False, "host"),
    (451, "4.4.1", False, "network"),
    # A connection refused for good; a host may be back tomorrow.
    (554, "5.7.1", False, "policy"),
    (554, None, False, "host"),
]


@pytest.mark.parametrize(("code", "status", "is_at_rcpt", "hindrance"), HINDRANCES)
def test_what_a_host_says_tells_what_stands_in_the_way(
    code: int, status: str | None, is_at_rcpt: bool, hindrance: Hindrance
) -> None:
    said = reply(code, status, "no")
    assert hindrance_of(said, is_ours=False, is_at_rcpt=is_at_rcpt, attempt=1) == hindrance


def test_what_no_host_has_said_is_the_way_to_it() -> None:
    said = reply(451, "4.7.5", "TLS could not be started")
    assert hindrance_of(said, is_ours=True, is_at_rcpt=False, attempt=1) == "network"


def test_who_greylists_for_an_hour_does_not() -> None:
    said = reply(450, "4.7.1", "greylisted")
    found = [hindrance_of(said, is_ours=False, is_at_rcpt=True, attempt=number) for number in range(1, 11)]
    assert found == ["greylisting"] * GREYLISTING_ATTEMPTS + ["policy"] * 2
    waited = sum(
        (SCHEDULE.delay_after(number, 0.5, "greylisting") for number in range(1, GREYLISTING_ATTEMPTS + 1)),
        timedelta(),
    )
    assert waited == timedelta(minutes=75)


DELAYS: list[tuple[Hindrance, int, float, timedelta]] = [
    # Doubled from a minute to four hours, moved by a fifth at most.
    ("network", 1, 0.5, timedelta(minutes=1)),
    ("network", 1, 0.0, timedelta(seconds=48)),
    ("network", 1, 1.0, timedelta(seconds=72)),
    ("network", 2, 0.5, timedelta(minutes=2)),
    ("network", 8, 0.5, timedelta(minutes=128)),
    ("network", 9, 0.5, timedelta(hours=4)),
    ("network", 1_000, 0.5, timedelta(hours=4)),
    ("host", 1, 0.5, timedelta(minutes=1)),
    ("greylisting", 1, 0.5, timedelta(minutes=1)),
    ("greylisting", 4, 0.5, timedelta(minutes=8)),
    ("greylisting", 5, 0.5, timedelta(minutes=15)),
    ("policy", 1, 0.5, timedelta(minutes=10)),
    ("policy", 2, 0.5, timedelta(minutes=20)),
    ("mailbox", 1, 0.5, timedelta(minutes=30)),
    ("mailbox", 4, 0.5, timedelta(hours=4)),
]


@pytest.mark.parametrize(("hindrance", "attempt", "chance", "delay"), DELAYS)
def test_delays_grow_to_a_limit(hindrance: Hindrance, attempt: int, chance: float, delay: timedelta) -> None:
    assert SCHEDULE.delay_after(attempt, chance, hindrance) == delay


seconds = st.integers(1, 86_400).map(lambda number: timedelta(seconds=number))
hindrances = st.sampled_from(sorted(PATIENCE))


@given(seconds, seconds, hindrances, st.integers(1, 100), st.floats(0, 1))
def test_no_setting_has_a_mail_wait_longer_than_the_longest_delay_or_come_back_at_once(
    first: timedelta, longest: timedelta, hindrance: Hindrance, attempt: int, chance: float
) -> None:
    delay = RetrySchedule(first, longest).delay_after(attempt, chance, hindrance)
    assert 0.8 * min(first, longest) <= delay <= 1.2 * longest


@given(seconds, seconds, hindrances, st.integers(1, 100))
def test_nobody_is_asked_again_sooner_than_the_time_before(
    first: timedelta, longest: timedelta, hindrance: Hindrance, attempt: int
) -> None:
    schedule = RetrySchedule(first, longest)
    assert schedule.delay_after(attempt, 0.5, hindrance) <= schedule.delay_after(attempt + 1, 0.5, hindrance)


@given(hindrances, st.integers(1, 100), st.floats(0, 1), st.floats(0, 1))
def test_chance_moves_a_delay_by_a_fifth_at_most(
    hindrance: Hindrance, attempt: int, one: float, other: float
) -> None:
    middle = SCHEDULE.delay_after(attempt, 0.5, hindrance)
    sooner, later = (SCHEDULE.delay_after(attempt, chance, hindrance) for chance in sorted((one, other)))
    assert 0.8 * middle <= sooner <= later <= 1.2 * middle


@given(st.integers(0, 599), st.integers(0, 999), st.integers(0, 999), st.booleans(), st.integers(1, 100))
def test_every_no_for_now_stands_for_something(
    code: int, subject: int, detail: int, is_at_rcpt: bool, attempt: int
) -> None:
    for status in (None, f"4.{subject}.{detail}"):
        said = reply(400 + code % 100, status, "no")
        hindrance = hindrance_of(said, is_ours=False, is_at_rcpt=is_at_rcpt, attempt=attempt)
        assert hindrance in PATIENCE
        assert hindrance != "greylisting" or (is_at_rcpt and attempt <= GREYLISTING_ATTEMPTS)
