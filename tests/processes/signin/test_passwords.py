"""Passwords: right or wrong, as slow for nobody as for somebody, and hashed once in a while only."""

import os

import pytest
from argon2 import PasswordHasher

from gateway.processes.signin import passwords
from gateway.processes.signin.passwords import NOBODYS, REMEMBERED_S, Passwords, make_verifier
from tests.processes.world import MovedClock

VERIFIER = make_verifier("ถูกต้อง")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The verifiers that passwords were hashed against."""
    seen = list[bytes]()
    verify = passwords._verify

    def watched(verifier: bytes, password: str) -> bool:
        seen.append(verifier)
        return verify(verifier, password)

    monkeypatch.setattr(passwords, "_verify", watched)
    return seen


async def test_the_right_password_is_right_and_any_other_is_not() -> None:
    checked = Passwords(MovedClock(), os.urandom)
    assert await checked.is_right("ถูกต้อง", VERIFIER)
    assert not await checked.is_right("ถูกต้อง ", VERIFIER)
    assert not await checked.is_right("ถูกต้อง", b"no verifier at all")


async def test_nobody_takes_the_same_work_and_is_never_right(hashed: list[bytes]) -> None:
    checked = Passwords(MovedClock(), os.urandom)
    assert not await checked.is_right("nobody's", None)
    assert hashed == [NOBODYS]
    assert not PasswordHasher().check_needs_rehash(NOBODYS.decode()), "the parameters are those of today"


async def test_what_was_right_is_remembered_for_minutes(hashed: list[bytes]) -> None:
    clock = MovedClock()
    checked = Passwords(clock, os.urandom)
    for _ in range(3):
        assert await checked.is_right("ถูกต้อง", VERIFIER)
        assert not await checked.is_right("wrong", VERIFIER)
    assert len(hashed) == 4, "the right one once, the wrong one each time"
    await clock.sleep(REMEMBERED_S)
    assert await checked.is_right("ถูกต้อง", VERIFIER)
    assert len(hashed) == 5


async def test_a_changed_password_is_not_remembered() -> None:
    checked = Passwords(MovedClock(), os.urandom)
    assert await checked.is_right("ถูกต้อง", VERIFIER)
    assert not await checked.is_right("ถูกต้อง", make_verifier("another"))
