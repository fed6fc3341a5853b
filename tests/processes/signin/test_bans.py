"""A network that guesses is banned, longer each time; an account by an operator alone; both as rows say."""

import asyncio
import ipaddress
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.domain.bans import BanImposed, BanSecret, ban_label
from gateway.domain.events import Actor, By, Stamp
from gateway.domain.sealing import unseal
from gateway.mail.ids import AccountId, AgencyId
from gateway.processes.signin.banning import Banning
from gateway.processes.signin.bans import LOOK_EVERY_S, OWN_HOLD_S, REMEMBERED, BanRule, Bans
from gateway.processes.signin.passwords import make_verifier
from gateway.processes.signin.signin import ClaimRefused, SignIns
from gateway.processes.signin.throttle import FORGOTTEN_AFTER_S, LONGEST_WAIT_S, PATIENCE, Throttle
from gateway.protocols.sasl.exchange import PasswordClaim
from tests.processes.kept_bans import KeptBans
from tests.processes.signin.test_signin import ORIGIN, OWN, PERSON, Door
from tests.processes.world import AT, MovedClock

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULE = BanRule(HOUR, DAY, [ipaddress.ip_network("127.0.0.0/8")])
GUESSER, NEIGHBOUR, OTHER = "192.0.2.1", "::ffff:192.0.2.200", "198.51.100.1"


class House:
    """Bans of one process, with everything behind them in memory."""

    def __init__(self, door: Door) -> None:
        self.door, self.kept = door, KeptBans()
        self.rule = RULE

    def open(self, banning: Banning, by: By) -> None:
        self.bans = Bans(self.kept, banning, self.door.clock, by, self.rule)

    async def imposed(self) -> list[tuple[str, BanImposed]]:
        """Network and event of every ban in the log."""
        found = []
        for recorded in await self.door.log.history("access.none"):
            if isinstance(event := recorded.event, BanImposed):
                key = await self.door.keys.get(event.sealed_key)
                secret = unseal(BanSecret, event.sealed, key, label=ban_label(event.ban_id))
                found.append((secret.network, event))
        return found


@pytest.fixture
async def house(cheap_hashes: None) -> AsyncIterator[House]:
    clock, log, keys, by = MovedClock(), MemoryLog(), MemoryKeyStore(os.urandom), By("edge", "0", "")
    async with open_lane(log, "edge-test-0", clock=clock, actor=Actor("system", "edge"), by=by) as lane:
        door = Door(None, keys, log, clock, [])  # type: ignore[arg-type]
        house = House(door)
        house.open(Banning(keys, lane, os.urandom), by)
        door.sign_ins = SignIns(
            people=door,
            tokens=door,
            keys=keys,
            lane=lane,
            clock=clock,
            entropy=os.urandom,
            by=by,
            bans=house.bans,
        )
        yield house


# --- known ----------------------------------------------------------------------------------------------


async def test_a_network_is_banned_with_every_address_in_it_until_its_end(house: House) -> None:
    until = AT + HOUR
    house.kept.impose(until, "192.0.2.0/24")
    house.kept.impose(until, "2001:db8::/32")
    house.kept.impose(until, "203.0.113.9/32")
    await house.bans.look()
    banned = [GUESSER, NEIGHBOUR, "2001:db8:7::1%eth0", "203.0.113.9"]
    free = [OTHER, "203.0.113.8", "2001:db9::1", "::1", "", "unix"]
    assert all(house.bans.of_network(ip) for ip in banned)
    assert not any(house.bans.of_network(ip) for ip in free)
    house.door.clock.move((until - house.door.clock.now()).total_seconds() - 1)
    assert house.bans.of_network(GUESSER)
    house.door.clock.move(1)
    assert not any(house.bans.of_network(ip) for ip in banned)


async def test_of_several_bans_the_one_that_lasts_longest_counts(house: House) -> None:
    house.kept.impose(AT + 2 * HOUR, "192.0.2.0/24")
    house.kept.impose(AT + HOUR, "192.0.2.0/24")
    wide = house.kept.impose(AT + 3 * HOUR, "192.0.0.0/16")
    await house.bans.look()
    house.door.clock.move(2.5 * 3600)
    assert house.bans.of_network(GUESSER) == wide


async def test_a_lifted_ban_and_one_whose_key_is_gone_hold_nobody(house: House) -> None:
    house.kept.impose(AT + HOUR, "192.0.2.0/24", lifted_at=AT)
    house.kept.impose(AT + HOUR, None)
    await house.bans.look()
    assert house.bans.of_network(GUESSER) is None


async def test_rows_are_read_when_something_has_changed_and_what_was_known_holds_without_them(
    house: House,
) -> None:
    house.kept.impose(AT + HOUR, "192.0.2.0/24")
    for _ in range(3):
        await house.bans.look()
    assert house.kept.asked == 1
    house.kept.fault = True
    await house.bans.look()
    assert house.bans.of_network(GUESSER)
    house.kept.fault = False
    house.kept.lift()
    await house.bans.look()
    assert house.bans.of_network(GUESSER) is None


async def test_rows_are_followed_while_it_is_watched(house: House) -> None:
    async with house.bans.watching() as bans:
        house.kept.impose(house.door.clock.now() + 10_000 * HOUR, "192.0.2.0/24")
        while bans.of_network(GUESSER) is None:
            await house.door.clock.sleep(LOOK_EVERY_S)


# --- imposed --------------------------------------------------------------------------------------------


async def test_the_ban_of_a_guessing_network_holds_at_once_and_is_a_fact(house: House) -> None:
    await house.bans.guesses(NEIGHBOUR)
    assert house.bans.of_network(GUESSER)
    await house.bans.guesses(GUESSER)
    ((network, event),) = await house.imposed()
    assert (network, event.what, event.reason) == ("192.0.2.0/24", "network", "sign-ins")
    assert (event.until - event.at, event.actor) == (HOUR, Actor("system", "edge"))
    assert event.sealed_key == "traffic.none.202611"
    await house.bans.look()  # the rows do not know it yet
    assert house.bans.of_network(GUESSER)
    house.door.clock.move(OWN_HOLD_S + 1)
    await house.bans.look()  # and if they never do, they are right
    assert house.bans.of_network(GUESSER) is None


async def test_each_further_ban_is_twice_as_long_and_what_was_lifted_does_not_count(house: House) -> None:
    now = house.door.clock.now()
    house.kept.impose(now - HOUR, "192.0.2.0/24", reason="sign-ins")
    house.kept.impose(now - DAY, "192.0.2.0/24", reason="sign-ins")
    house.kept.impose(now - HOUR, "192.0.2.0/24", reason="sign-ins", lifted_at=now - 2 * HOUR)
    house.kept.impose(now - HOUR, "192.0.2.0/24", reason="operator")
    house.kept.impose(now - REMEMBERED, "192.0.2.0/24", reason="sign-ins")
    house.kept.impose(now - HOUR, "198.51.100.0/24", reason="sign-ins")
    await house.bans.look()
    await house.bans.guesses(GUESSER)
    ((_, event),) = await house.imposed()
    assert event.until - event.at == 4 * HOUR


async def test_networks_of_ones_own_are_not_banned_for_guessing(house: House) -> None:
    for ip in ("127.0.0.1", "::ffff:127.0.0.1", "unix", ""):
        await house.bans.guesses(ip)
    assert await house.imposed() == []


# --- signing in -----------------------------------------------------------------------------------------


async def wrong(house: House, ip: str = GUESSER, name: str = "nobody") -> object:
    """One wrong password, after whatever wait there is."""
    throttle = house.door.sign_ins._throttle
    person = f"{name}@opm.go.th"
    house.door.clock.move(throttle.wait_s(person, ip))
    return await house.door.sign_ins.check(PasswordClaim(person, "wrong"), replace(ORIGIN, remote_ip=ip))


async def test_who_goes_on_after_the_longest_wait_is_banned(house: House) -> None:
    for attempt in range(PATIENCE["network"] + 12):
        house.door.sign_ins._passwords.is_right = _never  # type: ignore[method-assign]
        refused = await wrong(house, name=f"name{attempt}")
        if house.bans.of_network(GUESSER):
            break
    assert refused == ClaimRefused("unknown"), "the last guess was looked at"
    assert attempt == PATIENCE["network"] + 8
    assert await wrong(house, NEIGHBOUR) == ClaimRefused("throttled")
    assert await wrong(house, OTHER) == ClaimRefused("unknown")
    assert len(await house.imposed()) == 1
    house.kept.bans = [replace(ban, lifted_at=AT) for _, ban in house.bans._own]
    house.kept.change += 1
    await house.bans.look()
    assert await house.door.type("suda@opm.go.th", "x", replace(ORIGIN, remote_ip=GUESSER)) == ClaimRefused(
        "password"
    ), "lifted, it begins anew"


async def _never(password: str, verifier: bytes | None) -> bool:
    """Without argon2id's time."""
    return False


async def test_a_banned_account_is_told_so_after_the_right_password_only(house: House) -> None:
    await house.door.keys.put("verifier.acc_suda", await asyncio.to_thread(make_verifier, OWN))
    house.kept.impose(AT + HOUR, what="account", account_id=PERSON.account_id, agency_id=PERSON.agency_id)
    await house.bans.look()
    assert await house.door.type("suda@opm.go.th", "wrong") == ClaimRefused("password")
    assert await house.door.type("suda@opm.go.th", OWN) == ClaimRefused("banned")
    assert (await house.door.last()).account_id == PERSON.account_id
    house.door.clock.move(3700)
    assert await house.door.type("suda@opm.go.th", OWN) == PERSON


async def test_the_ban_of_an_account_is_in_its_agencys_history(house: House) -> None:
    stamp = Stamp(AT, Actor("operator", "somchai"), By("cli", "0", ""))
    banning = house.bans._banning
    ban = await banning.account(AccountId("acc_suda"), AgencyId("ag_opm"), AT + DAY, stamp, why="รหัสผ่านรั่ว")
    await banning.lift(ban, stamp, why="เปลี่ยนรหัสแล้ว")
    stored = await house.door.log.history("access.ag_opm")
    assert [recorded.topic for recorded in stored] == ["ban.imposed/1", "ban.lifted/1"]
    assert not any("รั่ว".encode() in recorded.state for recorded in stored)


def test_a_network_guesses_when_it_has_to_wait_the_longest() -> None:
    clock = MovedClock()
    throttle = Throttle(clock)
    told = [throttle.failed(f"name{number}", GUESSER) for number in range(PATIENCE["network"] + 10)]
    assert told.index(True) == PATIENCE["network"] + 8
    assert throttle.wait_s("name", GUESSER) == LONGEST_WAIT_S
    one = [throttle.failed("name", OTHER) for _ in range(PATIENCE["person and network"] + 9)]
    assert not any(one), "one phone with an old password"
    throttle.forget_network(GUESSER)
    assert throttle.wait_s("name", GUESSER) == 0
    clock.move(FORGOTTEN_AFTER_S + 1)
    assert not throttle.failed("name", GUESSER)
