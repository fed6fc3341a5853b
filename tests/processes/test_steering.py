"""A postmaster's deeds on what waits, on a real PostgreSQL: what the relay does afterwards."""

import asyncio
from datetime import timedelta

import pytest

from gateway.adapters.memory.log import open_lane
from gateway.domain.agency import NextHop
from gateway.domain.events import Actor, MailBounced, MailQueued, Stamp
from gateway.domain.pace import FAILURES_MAX, Suspended
from gateway.domain.sealing import unseal, unwrap
from gateway.domain.steering import (
    Cancel,
    Deed,
    DeliveryHeld,
    Hold,
    MailCancelled,
    Release,
    Reroute,
    Retry,
    SteeringSecret,
    steering_label,
)
from gateway.mail.address import parse_address
from gateway.processes.relay.paces import Place
from gateway.processes.relay.work import Job
from gateway.processes.steering import Steered, Steering
from projections.queue import listing, query
from projections.queue.listing import EVERYTHING, Choice
from projections.readmodel import Pool
from tests.processes.relay.test_work import Rows, recipients
from tests.processes.router.test_router import router, running
from tests.processes.world import BY, DLD

WHO = Actor("operator", "wipa")
BACKUP = NextHop("backup.example", 25)


@pytest.fixture
async def setting(emptied_pool: Pool) -> Rows:
    setting = Rows(emptied_pool)
    await setting.make_tables()
    return setting


async def steer(
    setting: Rows, deed: Deed, choice: Choice = EVERYTHING, *, why: str = "test", patience_s: float = 0
) -> Steered:
    async with (
        setting.folding(),
        open_lane(setting.world.log, "person", clock=setting.clock, actor=WHO, by=BY) as lane,
    ):
        world = setting.world
        steering = Steering(setting.pool, world.log, lane, world.keys, setting.clock, world.entropy)
        stamp = Stamp(setting.clock.now(), WHO, BY)
        return await steering.steer(choice, deed, stamp, why=why, patience_s=patience_s)


async def due(setting: Rows) -> list[Job]:
    """What a relay takes now; given back at once."""
    await setting.fold()
    jobs = list(await setting.rows().take(1_000))
    async with setting.pool.rows() as rows:
        await rows.execute("DELETE FROM leases.relay_lease")
    return jobs


async def test_what_is_held_is_not_tried_until_released(setting: Rows) -> None:
    await setting.queued("a@dld.go.th", "b@dld.go.th", mails=3)
    await setting.fold()
    assert await steer(setting, Hold(), why="ย้ายเซิร์ฟเวอร์") == Steered(changed=6)
    assert await due(setting) == []
    assert await steer(setting, Hold()) == Steered(unchanged=6)
    assert await steer(setting, Retry()) == Steered(unchanged=6)
    assert await steer(setting, Release()) == Steered(changed=6)
    assert len(recipients(await due(setting))) == 6


@pytest.mark.parametrize("deed", [Retry(), Release()])
async def test_what_a_person_wants_tried_does_not_wait_for_the_next_probe(setting: Rows, deed: Deed) -> None:
    await setting.queued()
    await setting.fold()
    if deed == Release():
        await steer(setting, Hold())
    paces = setting.paces()
    for _ in range(FAILURES_MAX):
        place, _ = await paces.take(DLD)
        assert isinstance(place, Place)
        await paces.refused(place, "The host does not answer")
        await paces.release([place])
    assert isinstance((await paces.take(DLD))[0], Suspended)
    assert await steer(setting, deed) == Steered(changed=1)
    assert isinstance((await paces.take(DLD))[0], Place)


async def test_the_reason_is_sealed_and_says_who_did_it(setting: Rows) -> None:
    await setting.queued()
    await setting.fold()
    await steer(setting, Hold(), why="ย้ายเซิร์ฟเวอร์")
    (held,) = await setting.world.of(DeliveryHeld.TOPIC)
    assert isinstance(held, DeliveryHeld)
    assert held.actor == WHO
    (wrap,) = held.keys
    data_key = unwrap(wrap.wrapped, await setting.world.keys.get(wrap.key))
    label = steering_label(held.mail_id)
    assert unseal(SteeringSecret, held.sealed, data_key, label=label) == SteeringSecret("ย้ายเซิร์ฟเวอร์")


async def test_what_is_held_longer_than_it_may_wait_is_given_up_untried(setting: Rows) -> None:
    await setting.queued()
    await setting.fold()
    await steer(setting, Hold())
    (queued,) = await setting.world.of(MailQueued.TOPIC)
    assert isinstance(queued, MailQueued)
    setting.clock.move((queued.expires_at - setting.clock.now() + timedelta(seconds=1)).total_seconds())
    setting.queue = setting.rows()  # type: ignore[assignment]
    async with setting.folding(), setting.relay():
        (bounced,) = await setting.world.until(MailBounced.TOPIC, 1)
    assert isinstance(bounced, MailBounced)
    assert (bounced.reason, bounced.code, bounced.status) == ("expired", 0, "5.4.7")


async def test_a_mail_is_cancelled_for_good_and_its_sender_told(setting: Rows) -> None:
    await setting.queued("a@dld.go.th", "b@dld.go.th")
    await setting.queued("c@dld.go.th")
    await setting.fold()
    choice = Choice(recipient=parse_address("B@dld.go.th"))
    assert await steer(setting, Cancel(is_reported=True), choice) == Steered(changed=1)
    (cancelled,) = await setting.world.of(MailCancelled.TOPIC)
    assert isinstance(cancelled, MailCancelled)
    assert (cancelled.recipients, cancelled.report_failure) == ((1,), (1,))
    async with running(router(setting.world)):
        report = (await setting.world.until("mail.accepted/1", 3))[-1]
    assert report.report_of == cancelled.mail_id  # type: ignore[attr-defined]
    assert sorted(recipient for _, recipient in recipients(await due(setting))) == [0, 0]
    assert await steer(setting, Cancel(is_reported=True), choice) == Steered()


async def test_a_silent_cancellation_reports_to_nobody(setting: Rows) -> None:
    await setting.queued()
    await setting.fold()
    await steer(setting, Cancel(is_reported=False))
    (cancelled,) = await setting.world.of(MailCancelled.TOPIC)
    assert isinstance(cancelled, MailCancelled)
    assert cancelled.report_failure == ()


async def test_another_way_is_taken_until_it_is_taken_back(setting: Rows) -> None:
    await setting.queued(mails=2)
    await setting.fold()
    assert await steer(setting, Reroute(BACKUP), Choice(agency_id=DLD)) == Steered(changed=2)
    assert {(job.next_hop, job.destination) for job in await due(setting)} == {(BACKUP, str(BACKUP))}
    assert await steer(setting, Reroute(BACKUP)) == Steered(unchanged=2)
    assert await steer(setting, Reroute(None)) == Steered(changed=2)
    assert {(job.next_hop, job.destination) for job in await due(setting)} == {(None, DLD)}


async def test_who_is_being_tried_is_left_alone_and_asked_for(setting: Rows) -> None:
    await setting.queued(mails=2)
    await setting.fold()
    first, second = await setting.rows().take(10)
    assert await steer(setting, Cancel(is_reported=True)) == Steered(busy=2)
    await setting.rows().renew([first, second])
    assert first.lease is not None and first.lease.is_wanted  # noqa: PT018
    steering = asyncio.create_task(steer(setting, Cancel(is_reported=True), patience_s=30))
    assert await setting.rows().release([first, second], await setting.world.log.last())
    assert await steering == Steered(changed=2)
    assert await due(setting) == []


async def test_a_choice_takes_what_fits_all_of_it(setting: Rows) -> None:
    await setting.queued("a@dld.go.th", "b@example.net")
    await setting.fold()
    queued = [event for event in await setting.world.of(MailQueued.TOPIC) if isinstance(event, MailQueued)]
    mail = queued[0]
    async with setting.pool.rows() as rows:
        for choice, number in (
            (EVERYTHING, 2),
            (Choice(domain="example.net"), 1),
            (Choice(mail_id=mail.mail_id, agency_id=DLD), 1),
            (Choice(sender=parse_address("Ann@example.org")), 2),
            (Choice(sender=parse_address("other@example.org")), 0),
            (Choice(is_held=True), 0),
        ):
            assert await listing.count(rows, choice) == number, choice
        by_domain = await listing.destinations(rows, EVERYTHING, limit=10)
        assert {each.domain: each.recipients for each in by_domain} == {"dld.go.th": 1, "example.net": 1}
        assert await query.waiting(rows) == 2
