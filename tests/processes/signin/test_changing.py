"""Setting passwords: on record before they hold, never one of the last five, invitations once."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.adapters.openid import OpenIdTokens
from gateway.domain.credentials import PasswordSet, encode_invitation, invitation_name, verifier_name
from gateway.domain.events import Actor, By
from gateway.domain.registration import Refused, Unknown
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Conflict, Position, Unavailable
from gateway.processes.signin import passwords
from gateway.processes.signin.changing import Changing, NotInvited
from gateway.processes.signin.signin import Origin, SignIns
from gateway.processes.signin.totp import secret_name
from gateway.protocols.sasl.exchange import PasswordClaim
from projections.directory.query import EffectiveStatus, Person
from tests.processes.world import MovedClock

pytestmark = pytest.mark.usefixtures("cheap_hashes")

SUDA = parse_address("Suda@opm.go.th")
ACCOUNT, AGENCY = AccountId("acc_1"), AgencyId("ag_1")
OPERATOR = Actor("operator", "root")
FIRST = "the very first one"


class Office:
    """One person, and everything behind her in memory."""

    def __init__(self) -> None:
        self.clock, self.log, self.keys = MovedClock(), MemoryLog(), MemoryKeyStore(os.urandom)
        self.status: EffectiveStatus = "active"

    async def find(self, address: Address) -> Person | None:
        everything = frozenset([SUDA.normalise()])
        return Person(ACCOUNT, AGENCY, SUDA, everything, self.status) if address in everything else None

    async def invite(self, code: str) -> None:
        expires_at = self.clock.now() + timedelta(days=30)
        await self.keys.put(invitation_name(ACCOUNT), encode_invitation(code, expires_at))

    async def set_totp(self) -> str:
        async with self.changing() as changing:
            _, secret = await changing.set_totp(SUDA)
        return secret

    async def remove_totp(self) -> None:
        async with self.changing() as changing:
            await changing.remove_totp(SUDA)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Changing]:
        by = By("cli", "0", "")
        async with open_lane(self.log, "cli-host-0", clock=self.clock, actor=OPERATOR, by=by) as lane:
            yield Changing(
                people=self,
                keys=self.keys,
                lane=lane,
                clock=self.clock,
                entropy=os.urandom,
                actor=OPERATOR,
                by=by,
            )

    async def set(self, password: str, code: str = "", address: Address = SUDA) -> Person:
        async with self.changing() as changing:
            if code:
                return await changing.accept_invitation(address, code, password)
            return await changing.set_password(address, password)

    async def lets_in(self, password: str) -> bool:
        by = By("edge", "0", "")
        async with open_lane(self.log, "edge-host-0", clock=self.clock, actor=OPERATOR, by=by) as lane:
            sign_ins = SignIns(
                people=self,
                tokens=OpenIdTokens(self.clock, os.urandom),
                keys=self.keys,
                lane=lane,
                clock=self.clock,
                entropy=os.urandom,
                by=by,
            )
            claim = PasswordClaim(username=str(SUDA), password=password)
            return isinstance(await sign_ins.check(claim, Origin("smtp", "PLAIN", "192.0.2.1")), Person)

    async def facts(self) -> list[PasswordSet]:
        events = [await self.log.read(Position(at)) for at in range(1, await self.log.last() + 1)]
        assert all(e.subject == "ev.access.ag_1" for e in events if e.topic == PasswordSet.TOPIC)
        assert not any(FIRST.encode() in event.state for event in events)
        return [event.event for event in events if isinstance(event.event, PasswordSet)]


async def test_another_password_signs_in_and_the_former_no_more() -> None:
    office = Office()
    for password in (FIRST, "the second of them"):
        await office.set(password)
        assert await office.lets_in(password)
    assert not await office.lets_in(FIRST)
    facts = await office.facts()
    assert [(fact.how, fact.actor, fact.account_id) for fact in facts] == [
        ("administrator", OPERATOR, ACCOUNT)
    ] * 2


async def test_none_of_the_last_five_is_taken_again() -> None:
    office = Office()
    chosen = [f"password number {number}" for number in range(6)]
    for password in chosen:
        await office.set(password)
    for password in chosen[1:]:
        with pytest.raises(Refused, match="last five"):
            await office.set(password)
    await office.set(chosen[0])
    assert len(await office.facts()) == 7
    assert (await office.keys.get(verifier_name(ACCOUNT))).count(b"$argon2id$") == 5


async def test_a_password_that_was_kept_alone_still_signs_in() -> None:
    office = Office()
    await office.keys.put(verifier_name(ACCOUNT), passwords.make_verifier(FIRST))
    assert await office.lets_in(FIRST)
    with pytest.raises(Refused, match="last five"):
        await office.set(FIRST)


async def test_an_authenticator_is_set_anew_and_removed() -> None:
    office = Office()
    first, second = [await office.set_totp() for _ in range(2)]
    assert first != second
    assert await office.keys.get(secret_name(ACCOUNT)) == second.encode()
    await office.remove_totp()
    assert await office.keys.get(secret_name(ACCOUNT)) == b""
    with pytest.raises(Unknown, match="no authenticator"):
        await office.remove_totp()
    topics = [each.topic for each in await office.log.history("access.ag_1")]
    assert topics == ["totp.set/1", "totp.set/1", "totp.removed/1"]


async def test_a_password_signs_in_however_its_characters_were_composed() -> None:
    office = Office()
    await office.set("cafe\u0301\u00a0au lait")  # RFC 8265 §4.2.2; what a client types comes prepared
    assert await office.lets_in("café au lait")


async def test_a_weak_password_or_nobodys_is_refused() -> None:
    office = Office()
    with pytest.raises(Refused, match="at least 12"):
        await office.set("short")
    with pytest.raises(Refused, match="control characters"):
        await office.set("with a\ttab in it")
    with pytest.raises(Unknown, match="no account here"):
        await office.set(FIRST, address=parse_address("nobody@opm.go.th"))
    assert await office.facts() == []


async def test_an_invitation_is_accepted_once() -> None:
    office = Office()
    await office.invite("code")
    with pytest.raises(Refused, match="no invitation with this code"):
        await office.set(FIRST, code="another")
    with pytest.raises(Refused, match="at least 12"):
        await office.set("short", code="code")
    await office.set(FIRST, code="code")
    assert await office.lets_in(FIRST)
    with pytest.raises(Refused, match="no invitation with this code"):
        await office.set("the second of them", code="code")
    (fact,) = await office.facts()
    assert (fact.how, fact.actor) == ("invitation", Actor("account", ACCOUNT))


async def test_of_many_who_show_a_code_at_once_one_sets_the_password() -> None:
    office = Office()
    await office.invite("code")
    async with office.changing() as changing:
        setting = [changing.accept_invitation(SUDA, "code", f"password of {who}") for who in range(8)]
        done = await asyncio.gather(*setting, return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["NotInvited"] * 7 + ["Person"]
    assert len(await office.facts()) == 1
    (winner,) = [number for number, each in enumerate(done) if isinstance(each, Person)]
    assert await office.lets_in(f"password of {winner}")


async def test_nobodys_invitation_is_refused_as_a_wrong_code_is() -> None:
    with pytest.raises(NotInvited, match=r"nobody@opm\.go\.th has no invitation with this code"):
        await Office().set(FIRST, code="code", address=parse_address("nobody@opm.go.th"))


async def test_an_invitation_runs_out_and_waits_for_nobody_suspended() -> None:
    office = Office()
    await office.invite("code")
    office.status = "suspended"
    with pytest.raises(Refused, match="not active"):
        await office.set(FIRST, code="code")
    office.status = "active"
    office.clock.move(30 * 86400)
    with pytest.raises(Refused, match="has run out"):
        await office.set(FIRST, code="code")


async def test_a_password_that_is_not_on_record_does_not_hold() -> None:
    office = Office()
    office.log.store, store = _refuse, office.log.store  # type: ignore[method-assign]
    with pytest.raises((Unavailable, Conflict)):
        await office.set(FIRST)
    office.log.store = store  # type: ignore[method-assign]
    with pytest.raises(KeyError):
        await office.keys.get(verifier_name(ACCOUNT))


def _refuse(group: object) -> Position:
    raise Unavailable("nats", "not now")
