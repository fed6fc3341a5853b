"""Signing in with a password of one's own and with app passwords, typed or proved."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.agency import IdentityProvider
from gateway.domain.signin import SignInAccepted
from gateway.processes.signin import app_passwords
from gateway.processes.signin.signin import ClaimRefused
from gateway.protocols.sasl.exchange import (
    ProofClaim,
    TokenClaim,
)
from tests.processes.signin.world import ORIGIN, OWN, PERSON, Door
from tests.processes.world import AT


async def test_an_app_password_opens_typed_and_proved_and_is_named(door: Door) -> None:
    for _ in range(2):
        app_id, password = await door.new_app()
        for sign_in in (door.type, door.prove):
            assert await sign_in("suda@opm.go.th", password) == PERSON
            event = await door.last()
            assert (type(event), event.app_id) == (SignInAccepted, app_id)
    assert await door.type("SUDA@opm.go.th", OWN) == PERSON
    assert (await door.last()).app_id == ""


async def test_the_accounts_own_password_is_never_proved(door: Door) -> None:
    """It has no SCRAM verifier: what is kept of it is slow to try."""
    assert await door.prove("suda@opm.go.th", OWN) == ClaimRefused("password")


async def test_a_wrong_one_or_one_of_nobody_is_refused(door: Door) -> None:
    _, password = await door.new_app()
    other = app_passwords.new_password(os.urandom)
    for sign_in in (door.type, door.prove):
        assert await sign_in("suda@opm.go.th", other) == ClaimRefused("password")
        assert await sign_in("nobody@opm.go.th", password) == ClaimRefused("unknown")


async def test_of_nobody_the_challenge_looks_the_same_each_time(door: Door) -> None:
    """RFC 5802 §9: else it would tell who is here."""
    one, two = [await door.sign_ins.verifiers("nobody@opm.go.th", "192.0.2.1") for _ in range(2)]
    known = await door.sign_ins.verifiers("suda@opm.go.th", "192.0.2.1")
    assert not isinstance(one, ClaimRefused)
    assert not isinstance(two, ClaimRefused)
    assert not isinstance(known, ClaimRefused)
    assert one.salt == two.salt != known.salt
    assert (len(one.salt), one.iterations) == (len(known.salt), known.iterations)
    assert one.nonce != two.nonce


NOT_FOR_THIS = [
    ({"expires_at": AT}, "expired"),
    ({"expires_at": AT + timedelta(seconds=1)}, None),
    ({"protocols": ("imap", "pop3")}, "protocol"),
    ({"protocols": ("imap", "smtp")}, None),
    ({"networks": ("198.51.100.0/24",)}, "network"),
    ({"networks": ("198.51.100.0/24", "192.0.2.0/24")}, None),
    ({"networks": ("2001:db8::/32",)}, "network"),
]


@pytest.mark.parametrize(("use", "reason"), NOT_FOR_THIS)
async def test_it_opens_only_what_it_is_for(door: Door, use: dict[str, object], reason: str | None) -> None:
    _, password = await door.new_app(**use)
    for sign_in in (door.type, door.prove):
        assert await sign_in("suda@opm.go.th", password) == (ClaimRefused(reason) if reason else PERSON)  # type: ignore[arg-type]


async def test_a_mapped_address_is_within_its_network(door: Door) -> None:
    _, password = await door.new_app(networks=("192.0.2.0/24",))
    assert (
        await door.type("suda@opm.go.th", password, replace(ORIGIN, remote_ip="::ffff:192.0.2.9")) == PERSON
    )


async def test_a_revoked_one_opens_nothing_though_its_row_or_its_key_is_late(door: Door) -> None:
    app_id, password = await door.new_app()
    await door.keys.forget(app_passwords.app_password_name(app_id))
    assert await door.type("suda@opm.go.th", password) == ClaimRefused("password")
    app_id, password = await door.new_app()
    verifiers = await door.sign_ins.verifiers("suda@opm.go.th", "192.0.2.1")
    assert not isinstance(verifiers, ClaimRefused)
    door.apps.clear()  # between the challenge and the proof
    claim = ProofClaim("suda@opm.go.th", app_id)
    assert await door.sign_ins.check(claim, ORIGIN) == ClaimRefused("password")


PROVIDER = IdentityProvider("https://id.example.org", "saraban")


@pytest.mark.parametrize(
    ("username", "token", "provider", "reason"),
    [
        ("suda@opm.go.th", "Suda@OPM.go.th", PROVIDER, None),
        (
            "suda@opm.go.th",
            "suda@opm.go.th",
            IdentityProvider("https://id.example.org", "saraban", "saraban"),
            None,
        ),
        ("suda@opm.go.th", "malee@opdc.go.th", PROVIDER, "token"),
        ("suda@opm.go.th", "expired", PROVIDER, "token"),
        ("suda@opm.go.th", "suda@opm.go.th", None, "no-provider"),
        ("nobody@opm.go.th", "nobody@opm.go.th", PROVIDER, "unknown"),
    ],
)
async def test_a_token_opens_to_whom_its_agencys_provider_gave_it(
    door: Door, username: str, token: str, provider: IdentityProvider | None, reason: str | None
) -> None:
    door.identity = provider
    await door.keys.put("identity.ag_opm", b"ours")
    found = await door.sign_ins.check(TokenClaim(username, token), ORIGIN)
    assert found == (ClaimRefused(reason) if reason else PERSON)  # type: ignore[arg-type]
    assert getattr(await door.last(), "reason", None) == reason


async def test_who_has_to_wait_is_given_no_challenge(door: Door) -> None:
    for _ in range(5):
        assert await door.prove("suda@opm.go.th", "wrong") == ClaimRefused("password")
    assert await door.prove("suda@opm.go.th", "wrong") == ClaimRefused("throttled")
    assert await door.prove(
        "suda@opm.go.th", "wrong", replace(ORIGIN, remote_ip="198.51.100.1")
    ) == ClaimRefused("password")
