"""What senders demand of the way of their mails, on its way through the router."""

from datetime import timedelta
from typing import Literal

import pytest

from gateway.domain.events import (
    Actor,
    ConsumerHeld,
    Event,
    MailAccepted,
    MailBounced,
    MailDelivered,
    MailQueued,
    MailReleased,
    RouterDecided,
    Stamp,
)
from gateway.domain.histories import DUE, consumer_history
from gateway.mail.dsn_options import DsnOptions
from gateway.mail.ids import MailId
from gateway.ports import Position
from gateway.processes.router.decisions import Undecidable
from tests.processes.router.test_dsn import reports, settled
from tests.processes.router.test_router import quiet, router, running
from tests.processes.world import AT, BY, World

BY_THEN = AT + timedelta(days=3)
BY_TIME = AT + timedelta(minutes=10)


@pytest.fixture
async def world() -> World:
    world = World()
    await world.know()
    return world


@pytest.mark.parametrize(("mode", "is_given_up"), [("R", True), ("RT", True), ("N", False), ("NT", False)])
async def test_a_mail_that_is_to_be_returned_is_given_up_at_its_deadline(
    world: World, mode: Literal["R", "RT", "N", "NT"], *, is_given_up: bool
) -> None:
    await world.accept("bob@dld.go.th", deliver_by=BY_TIME, deliver_by_mode=mode)
    async with running(router(world)):
        (queued,) = await world.until(MailQueued.TOPIC, 1)
    assert isinstance(queued, MailQueued)
    assert (queued.deliver_by, queued.deliver_by_mode) == (BY_TIME, mode)
    assert (queued.expires_at == BY_TIME) == is_given_up


async def test_what_stays_inside_tls_is_reported_inside_tls_and_without_its_message(world: World) -> None:
    """RFC 8689 §5."""
    await world.accept("nobody@opm.go.th", "bob@dld.go.th", dsn=DsnOptions("FULL"), requiretls=True)
    async with running(router(world)):
        (queued,) = await world.until(MailQueued.TOPIC, 1)
        await settled(world)
    assert isinstance(queued, MailQueued)
    assert queued.requiretls
    (report,) = await reports(world)
    assert report.requiretls
    assert b"Hello." not in world.contents.messages[report.message.content.digest]


# --- held (RFC 4865) ----------------------------------------------------------------------------------------


async def release(world: World, accepted: Position) -> None:
    """What the steward says when the time of a mail has come."""
    mail = (await world.log.read(accepted)).event
    assert isinstance(mail, MailAccepted)
    stamp = Stamp(at=world.clock.now(), actor=Actor("system", "steward"), by=BY)
    world.put(DUE, MailReleased(**stamp.answering(accepted), mail_id=mail.mail_id, accepted=accepted))


async def decided_on(world: World, position: Position) -> list[Event]:
    """What the router made of a mail."""
    events = [recorded.event for recorded in await world.events()]
    return [event for event in events if event.cause == str(position) and not isinstance(event, MailReleased)]


async def test_a_held_mail_waits_for_its_release_and_nobody_waits_for_it(world: World) -> None:
    held = await world.accept("suda@opm.go.th", "bob@dld.go.th", hold_until=BY_THEN)
    async with running(router(world)):
        await quiet(world)
        assert await decided_on(world, held) == []
        decided = (await world.of(RouterDecided.TOPIC))[-1]
        assert isinstance(decided, RouterDecided)
        assert decided.up_to >= held
        await release(world, held)
        await quiet(world)
    delivered, queued = await decided_on(world, held)
    assert isinstance(delivered, MailDelivered)
    assert isinstance(queued, MailQueued)
    assert delivered.internal_date == BY_THEN
    assert queued.expires_at == BY_THEN + timedelta(days=5)


async def test_a_router_that_comes_later_decides_a_released_mail_once(world: World) -> None:
    held = await world.accept("suda@opm.go.th", hold_until=BY_THEN)
    async with running(router(world)):
        await quiet(world)
    await release(world, held)
    for _ in range(2):
        async with running(router(world)):
            await quiet(world)
    (delivered,) = await decided_on(world, held)
    assert isinstance(delivered, MailDelivered)


async def test_a_release_of_another_mail_stops_the_router_until_it_is_passed_over(world: World) -> None:
    held = await world.accept("suda@opm.go.th", hold_until=BY_THEN)
    stamp = Stamp(at=world.clock.now(), actor=Actor("system", "steward"), by=BY)
    at = world.put(DUE, MailReleased(**stamp.answering(held), mail_id=MailId("mail_other"), accepted=held))
    with pytest.raises(Undecidable, match=f"position {at} "):
        await router(world).run()
    fields = stamp.fields() | {"consumer": "router", "position": at}
    world.put(consumer_history("router"), ConsumerHeld(**fields, reason="test"))
    async with running(router(world)):
        await quiet(world)
    assert await decided_on(world, held) == []


@pytest.mark.parametrize(("mode", "is_returned"), [("R", True), ("N", False)])
async def test_a_mail_that_no_router_saw_in_time_is_returned_where_its_sender_wants_that(
    world: World, mode: Literal["R", "N"], *, is_returned: bool
) -> None:
    """RFC 2852 §4."""
    dsn = DsnOptions(notify=("SUCCESS,FAILURE",))
    position = await world.accept("suda@opm.go.th", deliver_by=BY_TIME, deliver_by_mode=mode, dsn=dsn)
    world.clock.move(601)
    async with running(router(world)):
        await settled(world)
    (event, *_) = await decided_on(world, position)
    if is_returned:
        assert isinstance(event, MailBounced)
        assert (event.status, event.reason) == ("5.4.7", "expired")
    else:
        assert isinstance(event, MailDelivered)
    assert len(await reports(world)) == 1
