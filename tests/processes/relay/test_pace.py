"""Connections of many relays to one destination, on a real PostgreSQL; and one that does not answer."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.adapters.system import SystemClock
from gateway.domain.delivery import suspended
from gateway.domain.events import Attempted, MailDeferred, MailRelayed
from gateway.domain.pace import (
    CONNECTIONS_START,
    FAILURES_MAX,
    IN_HAND_MIN,
    PROBE_FIRST,
    Bounds,
    Full,
    Granted,
    Later,
    Suspended,
)
from gateway.domain.targets import MailDomain, Target
from gateway.mail.reply import Reply
from gateway.processes.relay import paces
from gateway.processes.relay.connection import NO_CONNECTION
from gateway.processes.relay.in_hand import JOBS_MAX
from gateway.processes.relay.paces import PaceRows, Place
from gateway.processes.relay.ways import MailHosts
from projections.queue import pacing
from projections.readmodel import Pool, open_pool
from tests.processes.relay.host import Host
from tests.processes.relay.paces import MemoryPaces
from tests.processes.relay.setting import Setting
from tests.processes.relay.test_work import Rows
from tests.processes.world import DLD

MOST = 5
BOUNDS = Bounds(MOST)
WHY = NO_CONNECTION.text[0]


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    async with open_pool(postgres_dsn) as pool:
        setting = Rows(pool)
        await setting.make_tables()
        yield pool


@pytest.fixture
def setting() -> Setting:
    return Setting()


def relays(pool: Pool, number: int, bounds: Bounds = BOUNDS) -> list[PaceRows]:
    names = [f"relay-{n}" for n in range(number)]
    return [PaceRows(pool, SystemClock(), os.urandom, bounds=bounds, holder=name) for name in names]


async def test_many_relays_that_ask_at_once_have_no_more_places_than_one_would(pool: Pool) -> None:
    asked = [relay.take("ag_dld") for relay in relays(pool, 3) for _ in range(4)]
    answers = [answer for answer, _ in await asyncio.gather(*asked)]
    assert sum(isinstance(answer, Place) for answer in answers) == MOST
    assert sum(isinstance(answer, Full) for answer in answers) == 12 - MOST
    elsewhere, _ = await relays(pool, 1)[0].take("example.net")
    assert isinstance(elsewhere, Place)


async def test_a_place_is_free_again_when_it_is_released_or_has_run_out(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (relay,) = relays(pool, 1)
    held = [place for place, _ in [await relay.take("ag_dld") for _ in range(MOST)]]
    assert all(isinstance(place, Place) for place in held)
    await relay.release([place for place in held if isinstance(place, Place)][:1])
    monkeypatch.setattr(paces, "PLACE_S", 0.05)  # of a relay that dies
    dead, _ = await relay.take("ag_dld")
    assert isinstance(dead, Place)
    monkeypatch.undo()
    async with asyncio.timeout(30):
        while isinstance((answer := await relay.take("ag_dld"))[0], Full):
            pass
    assert isinstance(answer[0], Place)
    await relay.renew([dead])
    assert dead.ends_s == 0.0


async def test_what_one_relay_learns_of_a_destination_all_know(pool: Pool) -> None:
    one, other = relays(pool, 2)
    for _ in range(FAILURES_MAX):
        place, _ = await one.take("ag_dld")
        assert isinstance(place, Place)
        _, after = await one.refused(place, WHY)
        await one.release([place])
    answer, known = await other.take("ag_dld")
    assert (answer, known) == (Suspended(after.pace.probe_at, WHY), replace(after, places=0))


async def test_a_refusal_while_others_have_connections_is_one_too_many(pool: Pool) -> None:
    one, other = relays(pool, 2)
    there, _ = await one.take("ag_dld")
    refused, _ = await other.take("ag_dld")
    assert isinstance(there, Place)
    assert isinstance(refused, Place)
    await one.opened(there)
    _, after = await other.refused(refused, "421 too many")
    assert (after.pace.window, after.pace.failures) == (1.0, 0)
    assert (await one.told(there, 1, 0))[1].pace.window == 2.0


async def test_a_relay_that_is_started_again_gives_up_the_places_of_the_one_that_was_killed(
    pool: Pool,
) -> None:
    one, other = relays(pool, 2)
    for _ in range(MOST - 1):
        await one.take("ag_dld")
    kept, _ = await other.take("ag_dld")
    assert isinstance(kept, Place)
    assert (await other.take("ag_dld"))[0] == Full()
    (again, _) = relays(pool, 2)
    await again.inherit()
    answers = [(await again.take("ag_dld"))[0] for _ in range(MOST)]
    assert [type(answer) for answer in answers] == [Place] * (MOST - 1) + [Full]
    await other.renew([kept])
    assert kept.ends_s > 0


async def test_many_relays_that_ask_at_once_have_the_mails_of_a_minute_between_them(pool: Pool) -> None:
    some = relays(pool, 3, Bounds(20, mails_a_minute=30))
    answers = [answer for answer, _ in await asyncio.gather(*(relay.take("ag_dld") for relay in some))]
    (place,) = (answer for answer in answers if isinstance(answer, Place))
    assert sum(isinstance(answer, Later) for answer in answers) == 2
    more = await asyncio.gather(*(relay.next_mail(place) for relay in some))
    (granted,) = (answer for answer in more if isinstance(answer, Granted))
    assert 0 < granted.in_s <= 2
    assert sum(isinstance(answer, Later) for answer in more) == 2


async def test_when_fewer_connections_are_allowed_each_relay_ends_its_share(pool: Pool) -> None:
    wide, narrow = relays(pool, 1, Bounds(20)), relays(pool, 1, Bounds(2))
    for _ in range(CONNECTIONS_START):
        await wide[0].take("ag_dld")
    situation = (await narrow[0].look(["ag_dld", "unknown.example"]))["ag_dld"]
    assert (situation.places, situation.places_max) == (5, 2)
    assert (situation.to_end(5), situation.to_end(2)) == (3, 2)


async def test_what_nobody_has_asked_for_is_forgotten(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    (relay,) = relays(pool, 1)
    place, _ = await relay.take("example.net")
    assert isinstance(place, Place)
    await relay.renew([place])
    assert "example.net" in await relay.look(["example.net"])
    monkeypatch.setattr(pacing, "FORGOTTEN_AFTER", timedelta())
    await relay.renew([place])
    assert await relay.look(["example.net"]) == {}


async def deferred(setting: Setting, number: int) -> list[Attempted]:
    outcomes = await setting.outcomes(number)
    assert all(isinstance(outcome, MailDeferred) for outcome in outcomes)
    return outcomes


async def test_mail_for_a_suspended_destination_is_put_off_and_comes_with_the_probe(setting: Setting) -> None:
    await setting.queued(mails=4 * FAILURES_MAX)
    async with Host(greeting="421 4.3.2 away").listening() as host, setting.relay(host):
        events = await deferred(setting, 4 * FAILURES_MAX)
        texts = [(await setting.said(event)).reply_text for event in events]
        assert suspended("away").text[0] in texts
        was_asked = host.connections
        assert was_asked < 4 * FAILURES_MAX
        put_off = [event for event in events if isinstance(event, MailDeferred)]
        assert all(event.next_attempt_at >= event.at + PROBE_FIRST * 0.8 for event in put_off)

        host.greeting = "220 mx.dld.go.th"
        setting.clock.move(10 * PROBE_FIRST.total_seconds())
        await host.has_taken(4 * FAILURES_MAX)
    assert host.connections > was_asked


async def test_a_probe_that_comes_to_nothing_is_one_connection(setting: Setting) -> None:
    await setting.queued(mails=4 * FAILURES_MAX)
    async with Host(greeting="421 4.3.2 away").listening() as host, setting.relay(host):
        await deferred(setting, 4 * FAILURES_MAX)
        was_asked = host.connections
        setting.clock.move(10 * PROBE_FIRST.total_seconds())
        await deferred(setting, 8 * FAILURES_MAX)
        assert host.connections == was_asked + 1


class Straight(MailHosts):
    """Mail for every domain goes to one host."""

    def __init__(self, host: Host) -> None:
        self.host = host

    async def of(self, domain: MailDomain) -> Sequence[Target] | Reply:
        return [Target("mx.example.net", self.host.hop.host, self.host.hop.port)]


async def test_a_slow_destination_with_many_mails_leaves_room_for_a_good_one(setting: Setting) -> None:
    """The slow one has its first mails and says nothing more; all of the good one's come."""
    await setting.queued(mails=JOBS_MAX + 1)
    await setting.queued("bob@example.net", mails=20)
    async with Host(dot=["…"] * JOBS_MAX).listening() as slow, Host().listening() as good:
        setting.means = replace(setting.means, mail_hosts=Straight(good))
        async with setting.relay(slow):
            await slow.at_dot.wait()
            await good.has_taken(20)
            assert slow.taken == []
            assert len(setting.queue.held) <= 2 * IN_HAND_MIN


async def test_a_host_that_puts_mails_off_is_left_one_connection(setting: Setting) -> None:
    await setting.queued(mails=40)
    setting.watched = known = MemoryPaces(setting.clock, setting.means.bounds)
    async with Host(says={"RCPT": "451 4.7.1 greylisted"}).listening() as host, setting.relay(host):
        await deferred(setting, 40)
    assert known.known[DLD].window == 1.0
    assert known.places == {}


async def test_a_fast_host_gets_more_connections_than_it_began_with(setting: Setting) -> None:
    setting.means = replace(setting.means, bounds=Bounds(8))
    await setting.queued(mails=300)
    setting.watched = known = MemoryPaces(setting.clock, Bounds(8))
    async with Host().listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(300)
    assert {type(outcome) for outcome in outcomes} == {MailRelayed}
    assert known.known[DLD].window == 8.0
    assert host.connections <= 8


async def test_mails_go_at_even_steps_to_a_destination_that_takes_so_many_a_minute(setting: Setting) -> None:
    setting.watched = known = MemoryPaces(setting.clock, Bounds(4, mails_a_minute=600))
    await setting.queued(mails=12)
    begun = setting.clock.now()
    async with Host().listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(12)
    assert {type(outcome) for outcome in outcomes} == {MailRelayed}
    next_mail_at = known.known[DLD].next_mail_at
    assert next_mail_at is not None
    assert next_mail_at - begun >= timedelta(minutes=1) * 12 / 600
