"""Codes of an authenticator: right for a minute and a half, and once."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from gateway.mail.address import parse_address
from gateway.processes.signin.signin import ClaimRefused
from gateway.processes.signin.totp import STEP_S, Codes, address_of_secret, new_secret
from tests.processes.signin.world import ORIGIN, OWN, PERSON, Door

AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
WEB = replace(ORIGIN, protocol="web", mechanism="password")


def test_the_vectors_of_rfc_6238() -> None:
    """Appendix B, SHA-1; its codes have eight digits, ours their last six."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924")):
        assert Codes().is_right(secret, code, datetime.fromtimestamp(seconds, UTC))


def test_a_code_is_right_one_step_to_either_side_and_once() -> None:
    secret = new_secret(os.urandom)
    code = pyotp.TOTP(secret).at(AT)
    for steps, right in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        assert Codes().is_right(secret, code, AT + timedelta(seconds=steps * STEP_S)) is right
    codes = Codes()
    assert codes.is_right(secret, code, AT)
    assert not codes.is_right(secret, code, AT), "who looked over the shoulder"
    later = AT + timedelta(seconds=STEP_S)
    assert codes.is_right(secret, pyotp.TOTP(secret).at(later), later)


def test_an_authenticator_takes_the_address_of_a_secret() -> None:
    secret = new_secret(os.urandom)
    uri = address_of_secret(secret, parse_address("สมชาย@opm.go.th"))
    assert uri.startswith("otpauth://totp/Saraban:")
    assert pyotp.parse_uri(uri).now() == pyotp.TOTP(secret).now()


@pytest.mark.parametrize(
    ("code_of", "reason"),
    [
        (lambda secret, at: pyotp.TOTP(secret).at(at), None),
        (lambda secret, at: "", "code"),
        (lambda secret, at: "000000" if pyotp.TOTP(secret).at(at) != "000000" else "111111", "code"),
        (lambda secret, at: pyotp.TOTP(secret).at(at - timedelta(minutes=5)), "code"),
        (lambda secret, at: "๑๒๓๔๕๖", "code"),
    ],
)
async def test_who_has_an_authenticator_shows_its_code_to_administer(
    door: Door,
    code_of: Callable[[str, datetime], str],
    reason: str | None,
) -> None:
    secret = new_secret(os.urandom)
    await door.keys.put("totp.acc_suda", secret.encode())
    code = code_of(secret, door.clock.now())
    found = await door.sign_ins.check(door.claim(OWN), WEB, code)
    assert found == (ClaimRefused(reason) if reason else PERSON)  # type: ignore[arg-type]
    assert await door.sign_ins.check(door.claim(OWN), ORIGIN) == PERSON, "a mail program shows none"
    await door.keys.put("totp.acc_suda", b"")
    assert await door.sign_ins.check(door.claim(OWN), WEB) == PERSON
