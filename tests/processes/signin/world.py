"""Somebody at the door, with everything behind it in memory."""

import os
from dataclasses import dataclass, replace

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog
from gateway.domain.agency import IdentityProvider
from gateway.domain.signin import SignInAccepted, SignInRefused
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Position, TokenHolder
from gateway.processes.signin import app_passwords
from gateway.processes.signin.signin import ClaimRefused, Origin, SignIns
from gateway.protocols.sasl.exchange import (
    Challenge,
    Claim,
    PasswordClaim,
    ProofClaim,
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

    async def prove(self, username: str, password: str, origin: Origin = ORIGIN) -> Person | ClaimRefused:
        """Sign in by SCRAM."""
        exchange, bare = Scram(), f"n={username},r=abc".encode()
        assert exchange.answer(b"n,," + bare) == VerifiersWanted(username)
        verifiers = await self.sign_ins.verifiers(username, origin.remote_ip)
        if isinstance(verifiers, ClaimRefused):
            return verifiers
        first = exchange.found(verifiers).octets
        step = exchange.answer(final_message(b"n,,", bare, first, password, b""))
        claim = exchange.answer(b"") if isinstance(step, Challenge) else step
        assert isinstance(claim, ProofClaim)
        return await self.sign_ins.check(claim, replace(origin, mechanism="SCRAM-SHA-256"))

    async def type(self, username: str, password: str, origin: Origin = ORIGIN) -> Person | ClaimRefused:
        claim: Claim = PasswordClaim(username, password)
        return await self.sign_ins.check(claim, origin)

    def claim(self, password: str) -> Claim:
        return PasswordClaim("suda@opm.go.th", password)

    async def last(self) -> SignInAccepted | SignInRefused:
        event = (await self.log.read(Position(await self.log.last()))).event
        assert isinstance(event, SignInAccepted | SignInRefused), event
        return event
