"""Signing in with a password of one's own and with app passwords, typed or proved."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.domain.agency import IdentityProvider
from gateway.domain.events import Actor, By
from gateway.domain.signin import SignInAccepted, SignInRefused
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Position, TokenHolder
from gateway.processes.signin import app_passwords
from gateway.processes.signin.passwords import make_verifier
from gateway.processes.signin.signin import Origin, Refused, SignIns
from gateway.protocols.sasl.exchange import (
    Challenge,
    Claim,
    PasswordClaim,
    ProofClaim,
    TokenClaim,
    VerifiersWanted,
)
from gateway.protocols.sasl.scram import Scram
from projections.directory.query import AppPasswordRow, Person
from tests.processes.world import AT, MovedClock
from tests.protocols.sasl.client import final_message

SUDA = parse_address("suda@opm.go.th")
PERSON = Person(AccountId("acc_suda"), AgencyId("ag_opm"), SUDA, frozenset({SUDA}))
ORIGIN = Origin("smtp", "PLAIN", "192.0.2.1", "client.example")
OWN = "correct horse battery"


@dataclass
class Door:
    """Who signs in where, with everything behind it in memory."""

    sign_ins: SignIns
    keys: MemoryKeyStore
    log: MemoryLog
    clock: MovedClock
    apps: list[AppPasswordRow]
    identity: IdentityProvider | None = None

    async def find(self, address: Address) -> Person | None:
        return PERSON if address == SUDA else None

    async def app_passwords(self, account_id: AccountId) -> list[AppPasswordRow]:
        return self.apps

    async def provider(self, agency_id: AgencyId) -> IdentityProvider | None:
        return self.identity

    async def holder(self, provider: IdentityProvider, secret: str, token: str) -> TokenHolder | None:
        """The port Tokens: a token is the name of its holder."""
        assert (provider, secret) == (self.identity, "" if not provider.client_id else "ours")
        return TokenHolder(token, AT) if "@" in token else None

    async def new_app(self, **use: object) -> tuple[str, str]:
        """Its id and the password."""
        app_id, password = f"app_{len(self.apps)}", app_passwords.new_password(os.urandom)
        salt = await app_passwords.salt_of(self.keys, PERSON.account_id)
        await app_passwords.keep(self.keys, app_id, password, salt)
        row = AppPasswordRow(app_id, "phone", AT, None, (), ())
        self.apps.append(replace(row, **use))  # type: ignore[arg-type]
        return app_id, password

    async def prove(self, username: str, password: str, origin: Origin = ORIGIN) -> Person | Refused:
        """Sign in by SCRAM."""
        exchange, bare = Scram(), f"n={username},r=abc".encode()
        assert exchange.answer(b"n,," + bare) == VerifiersWanted(username)
        verifiers = await self.sign_ins.verifiers(username, origin.remote_ip)
        if isinstance(verifiers, Refused):
            return verifiers
        first = exchange.found(verifiers).octets
        step = exchange.answer(final_message(b"n,,", bare, first, password, b""))
        claim = exchange.answer(b"") if isinstance(step, Challenge) else step
        assert isinstance(claim, ProofClaim)
        return await self.sign_ins.check(claim, replace(origin, mechanism="SCRAM-SHA-256"))

    async def type(self, username: str, password: str, origin: Origin = ORIGIN) -> Person | Refused:
        claim: Claim = PasswordClaim(username, password)
        return await self.sign_ins.check(claim, origin)

    async def last(self) -> SignInAccepted | SignInRefused:
        event = (await self.log.read(Position(await self.log.last()))).event
        assert isinstance(event, SignInAccepted | SignInRefused), event
        return event


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    clock, log, keys = MovedClock(), MemoryLog(), MemoryKeyStore(os.urandom)
    by = By("edge", "0", "")
    await keys.put("verifier.acc_suda", await asyncio.to_thread(make_verifier, OWN))
    async with open_lane(log, "edge-test-0", clock=clock, actor=Actor("system", "edge"), by=by) as lane:
        door = Door(None, keys, log, clock, [])  # type: ignore[arg-type]  # it stands behind its own sign-ins
        door.sign_ins = SignIns(
            people=door, tokens=door, keys=keys, lane=lane, clock=clock, entropy=os.urandom, by=by
        )
        yield door


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
    assert await door.prove("suda@opm.go.th", OWN) == Refused("password")


async def test_a_wrong_one_or_one_of_nobody_is_refused(door: Door) -> None:
    _, password = await door.new_app()
    other = app_passwords.new_password(os.urandom)
    for sign_in in (door.type, door.prove):
        assert await sign_in("suda@opm.go.th", other) == Refused("password")
        assert await sign_in("nobody@opm.go.th", password) == Refused("unknown")


async def test_of_nobody_the_challenge_looks_the_same_each_time(door: Door) -> None:
    """RFC 5802 §9: else it would tell who is here."""
    one, two = [await door.sign_ins.verifiers("nobody@opm.go.th", "192.0.2.1") for _ in range(2)]
    known = await door.sign_ins.verifiers("suda@opm.go.th", "192.0.2.1")
    assert not isinstance(one, Refused)
    assert not isinstance(two, Refused)
    assert not isinstance(known, Refused)
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
        assert await sign_in("suda@opm.go.th", password) == (Refused(reason) if reason else PERSON)  # type: ignore[arg-type]


async def test_a_mapped_address_is_within_its_network(door: Door) -> None:
    _, password = await door.new_app(networks=("192.0.2.0/24",))
    assert (
        await door.type("suda@opm.go.th", password, replace(ORIGIN, remote_ip="::ffff:192.0.2.9")) == PERSON
    )


async def test_a_revoked_one_opens_nothing_though_its_row_or_its_key_is_late(door: Door) -> None:
    app_id, password = await door.new_app()
    await door.keys.forget(app_passwords.verifier_name(app_id))
    assert await door.type("suda@opm.go.th", password) == Refused("password")
    app_id, password = await door.new_app()
    verifiers = await door.sign_ins.verifiers("suda@opm.go.th", "192.0.2.1")
    assert not isinstance(verifiers, Refused)
    door.apps.clear()  # between the challenge and the proof
    claim = ProofClaim("suda@opm.go.th", app_id)
    assert await door.sign_ins.check(claim, ORIGIN) == Refused("password")


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
    assert found == (Refused(reason) if reason else PERSON)  # type: ignore[arg-type]
    assert getattr(await door.last(), "reason", None) == reason


async def test_who_has_to_wait_is_given_no_challenge(door: Door) -> None:
    for _ in range(5):
        assert await door.prove("suda@opm.go.th", "wrong") == Refused("password")
    assert await door.prove("suda@opm.go.th", "wrong") == Refused("throttled")
    assert await door.prove("suda@opm.go.th", "wrong", replace(ORIGIN, remote_ip="198.51.100.1")) == Refused(
        "password"
    )
