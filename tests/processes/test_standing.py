"""Standing holds, on a real PostgreSQL: what comes for a destination is held by the relay that takes it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import pytest

from gateway.adapters.memory.log import open_lane
from gateway.domain.agency import NextHop
from gateway.domain.events import Actor, MailDeferred, MailRelayed, Stamp
from gateway.domain.route import Servers
from gateway.domain.sealing import unseal, unwrap
from gateway.domain.standing import DestinationHeld, DestinationReleased, Toward
from gateway.domain.steering import (
    Cancel,
    Deed,
    DeliveryHeld,
    DeliveryReleased,
    Hold,
    Release,
    SteeringSecret,
    steering_label,
)
from gateway.mail.ids import AgencyId
from gateway.processes.relay.work import QueueRows
from gateway.processes.steering import Steered, Steering
from projections.keyring import Keyring
from projections.queue import listing
from projections.queue.listing import EVERYTHING, Choice
from projections.queue.project import QueueModel
from projections.readmodel import open_pool
from projections.rebuild import rebuild
from tests.processes.relay.host import Host
from tests.processes.relay.test_work import Rows
from tests.processes.world import BY, DLD

WHO = Actor("operator", "wipa")
WHY = "ย้ายเซิร์ฟเวอร์"
DOMAIN, AGENCY = Toward("domain", "dld.go.th"), Toward("agency", DLD)
CHOICES = {DOMAIN: Choice(domain="dld.go.th"), AGENCY: Choice(agency_id=DLD)}


class Queue(QueueRows):
    """The queue's rows; next hops are said."""

    hops: dict[AgencyId, NextHop]

    async def next_hops(self, agencies: Sequence[AgencyId]) -> Mapping[AgencyId, NextHop | Servers]:
        return {agency_id: hop for agency_id, hop in self.hops.items() if agency_id in agencies}


@pytest.fixture
async def setting(postgres_dsn: str) -> AsyncIterator[Rows]:
    async with open_pool(postgres_dsn) as pool:
        setting = Rows(pool)
        await setting.make_tables()
        queue = Queue(pool, setting.world.log, setting.clock, setting.world.entropy, setting.at_dot)
        queue.hops = {}
        setting.queue = queue  # type: ignore[assignment]
        yield setting


async def are_held(setting: Rows, number: int) -> None:
    """Wait until the rows have so many held."""
    async with setting.pool.rows() as rows:
        while await listing.count(rows, Choice(is_held=True)) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def do(setting: Rows, deed: Deed, choice: Choice, *, stands: Toward | None = None) -> Steered:
    """As at the desk: first what comes, then what waits. Rows are folded meanwhile."""
    world = setting.world
    async with open_lane(world.log, "person", clock=setting.clock, actor=WHO, by=BY) as lane:
        steering = Steering(setting.pool, world.log, lane, world.keys, setting.clock, world.entropy)
        stamp, begun = Stamp(setting.clock.now(), WHO, BY), False
        if stands is not None:
            assert isinstance(deed, Hold | Release)
            begun = await steering.stand(stands, deed, stamp, why=WHY)
            choice = replace(choice, stands=False if isinstance(deed, Release) else None)
        return replace(await steering.steer(choice, deed, stamp, why=WHY, patience_s=30), stands=begun)


@pytest.mark.parametrize("toward", CHOICES)
async def test_what_comes_is_held_until_its_destination_is_released(setting: Rows, toward: Toward) -> None:
    choice = CHOICES[toward]
    await setting.queued()
    async with Host().listening() as host, setting.folding():
        assert await do(setting, Hold(), choice, stands=toward) == Steered(changed=1, stands=True)
        assert await do(setting, Hold(), choice, stands=toward) == Steered(unchanged=1)
        async with setting.relay(host):
            await setting.queued("a@dld.go.th", "b@dld.go.th", mails=2)
            held = await setting.world.until(DeliveryHeld.TOPIC, 3)
            assert host.connections == 0
            assert await do(setting, Release(), choice, stands=toward) == Steered(changed=5, stands=True)
            await setting.queued()
            await setting.world.until(MailRelayed.TOPIC, 4)
        assert len(host.taken) == 4
    last = held[-1]
    assert isinstance(last, DeliveryHeld)
    assert (last.actor, last.recipients) == (Actor("system", "relay"), (0, 1))
    (wrap,) = last.keys
    data_key = unwrap(wrap.wrapped, await setting.world.keys.get(wrap.key))
    label = steering_label(last.mail_id)
    assert unseal(SteeringSecret, last.sealed, data_key, label=label) == SteeringSecret(WHY)
    assert len(await setting.world.of(DeliveryReleased.TOPIC)) == 3


async def test_others_go_on(setting: Rows) -> None:
    await setting.queued("a@dld.go.th", "b@example.net", "c@example.net")
    async with setting.folding():
        await do(setting, Hold(), Choice(domain="example.net"), stands=Toward("domain", "example.net"))
        async with Host().listening() as host, setting.relay(host):
            await setting.queued("d@dld.go.th", "e@example.net")
            await setting.world.until(MailRelayed.TOPIC, 2)
            await setting.world.until(DeliveryHeld.TOPIC, 2)
        assert sorted(taken.rcpt_to for taken in host.taken) == [["a@dld.go.th"], ["d@dld.go.th"]]
    assert not await setting.world.of(MailDeferred.TOPIC)


async def test_who_is_released_meanwhile_is_not_held_again(setting: Rows) -> None:
    async with setting.folding(), Host(says={"RCPT": "451 4.3.0 later"}).listening() as host:
        await do(setting, Hold(), CHOICES[AGENCY], stands=AGENCY)
        async with setting.relay(host):
            await setting.queued("a@dld.go.th", "b@dld.go.th")
            (held,) = await setting.world.until(DeliveryHeld.TOPIC, 1)
            assert isinstance(held, DeliveryHeld)
            await are_held(setting, 2)
            assert await do(setting, Release(), Choice(mail_id=held.mail_id)) == Steered(changed=2)
            await setting.world.until(MailDeferred.TOPIC, 1)  # it is tried
            setting.clock.move(3_600)
            await setting.world.until(MailDeferred.TOPIC, 2)  # and again: one hold holds it once
    assert len(await setting.world.of(DeliveryHeld.TOPIC)) == 1


async def test_a_hold_begun_anew_is_of_those_released_before_it(setting: Rows) -> None:
    await setting.queued()
    async with setting.folding():
        for deed in (Hold(), Release(), Hold()):
            await do(setting, deed, CHOICES[DOMAIN], stands=DOMAIN)
        async with setting.pool.rows() as rows:
            assert await listing.count(rows, Choice(is_held=True)) == 1
            (hold,) = await listing.standing_holds(rows)
    assert (hold.toward, hold.held_by, hold.why) == (DOMAIN, "operator wipa", WHY)
    assert [len(await setting.world.of(kind.TOPIC)) for kind in (DestinationHeld, DestinationReleased)] == [
        2,
        1,
    ]


async def test_rows_made_anew_have_the_same_holds(setting: Rows) -> None:
    await setting.queued("a@dld.go.th")
    async with setting.folding(), setting.relay():
        await do(setting, Hold(), CHOICES[DOMAIN], stands=DOMAIN)
        await do(setting, Hold(), CHOICES[AGENCY], stands=AGENCY)
        await do(setting, Release(), CHOICES[AGENCY], stands=AGENCY)
        await setting.queued("b@dld.go.th")
        await setting.world.until(DeliveryHeld.TOPIC, 2)
    await setting.fold()
    async with setting.pool.rows() as rows:
        assert [hold.toward for hold in await listing.standing_holds(rows)] == [DOMAIN]
        assert await listing.count(rows, Choice(is_held=True)) == 2
    comparison = await rebuild(QueueModel(Keyring(setting.world.keys)), setting.world.log, setting.pool)
    assert comparison.is_equal, comparison.different


async def test_a_destination_shows_that_what_comes_is_held(setting: Rows) -> None:
    await setting.queued("a@dld.go.th", "b@example.net")
    async with setting.folding():
        await do(setting, Hold(), CHOICES[AGENCY], stands=AGENCY)
        async with setting.pool.rows() as rows:
            found = await listing.with_holds(rows, await listing.destinations(rows, EVERYTHING, limit=9))
            (hold,) = await listing.standing_holds(rows)
            assert await listing.standing_holds(rows, frozenset()) == []
            assert await listing.standing_holds(rows, frozenset({DLD})) == [hold]
    assert {each.domain: each.held_since for each in found} == {"dld.go.th": hold.since, "example.net": None}


async def test_who_is_held_and_cancelled_has_its_end(setting: Rows) -> None:
    async with setting.folding(), setting.relay():
        await do(setting, Hold(), CHOICES[DOMAIN], stands=DOMAIN)
        await setting.queued()
        await setting.world.until(DeliveryHeld.TOPIC, 1)
        await are_held(setting, 1)
        assert await do(setting, Cancel(is_reported=False), CHOICES[DOMAIN]) == Steered(changed=1)
