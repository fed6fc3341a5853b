"""Guessing is made slow; whoever else shares the name or the network is not shut out."""

import pytest

from gateway.processes.signin.throttle import (
    FIRST_WAIT_S,
    FORGOTTEN_AFTER_S,
    LONGEST_WAIT_S,
    PATIENCE,
    Throttle,
)
from tests.processes.world import MovedClock

SUDA, MALEE = "suda@opm.go.th", "malee@opdc.go.th"
OFFICE, HOME = "192.0.2.1", "198.51.100.1"


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


async def test_the_wait_doubles_and_has_an_end(clock: MovedClock) -> None:
    throttle = Throttle(clock)
    waits = []
    for _ in range(PATIENCE["person and network"] + 12):
        throttle.failed(SUDA, OFFICE)
        waits.append(throttle.wait_s(SUDA, OFFICE))
        await clock.sleep(waits[-1])
    patient = PATIENCE["person and network"] - 1
    assert waits[: patient + 4] == [0.0] * patient + [FIRST_WAIT_S * n for n in (1, 2, 4, 8)]
    assert waits[-1] == LONGEST_WAIT_S
    assert throttle.wait_s(SUDA, OFFICE) == 0


def test_others_from_there_and_the_person_from_elsewhere_come_in(clock: MovedClock) -> None:
    throttle = Throttle(clock)
    for _ in range(PATIENCE["person and network"]):
        throttle.failed(SUDA, OFFICE)
    assert throttle.wait_s(SUDA, "192.0.2.77") > 0, "the same network"
    assert throttle.wait_s(MALEE, OFFICE) == 0
    assert throttle.wait_s(SUDA, HOME) == 0


def test_a_network_that_tries_many_names_has_to_wait(clock: MovedClock) -> None:
    throttle = Throttle(clock)
    for number in range(PATIENCE["network"]):
        throttle.failed(f"name{number}@opm.go.th", OFFICE)
    assert throttle.wait_s(MALEE, OFFICE) > 0
    assert throttle.wait_s(MALEE, HOME) == 0


def test_an_office_where_people_mistype_and_sign_in_does_not_have_to_wait(clock: MovedClock) -> None:
    throttle = Throttle(clock)
    for number in range(5 * PATIENCE["network"]):
        throttle.failed(f"name{number}@opm.go.th", OFFICE)
        throttle.succeeded(f"name{number}@opm.go.th", OFFICE)
    assert throttle.wait_s(MALEE, OFFICE) == 0


def test_a_name_tried_from_many_networks_has_to_wait(clock: MovedClock) -> None:
    throttle = Throttle(clock)
    for number in range(PATIENCE["person"]):
        throttle.failed(SUDA, f"10.0.{number}.1")
    assert throttle.wait_s(SUDA, HOME) > 0
    assert throttle.wait_s(MALEE, HOME) == 0


async def test_failures_are_forgotten_by_success_and_in_time(clock: MovedClock) -> None:
    throttle = Throttle(clock)
    for _ in range(PATIENCE["person and network"] - 1):
        throttle.failed(SUDA, OFFICE)
    throttle.succeeded(SUDA, OFFICE)
    throttle.failed(SUDA, OFFICE)
    assert throttle.wait_s(SUDA, OFFICE) == 0
    for _ in range(PATIENCE["person and network"] - 2):
        throttle.failed(SUDA, OFFICE)
    await clock.sleep(FORGOTTEN_AFTER_S + 1)
    throttle.failed(SUDA, OFFICE)
    assert throttle.wait_s(SUDA, OFFICE) == 0
