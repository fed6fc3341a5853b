"""What senders demand of the way of their mails, on its way through the router."""

from datetime import timedelta
from typing import Literal

import pytest

from gateway.domain.events import MailQueued
from gateway.mail.dsn_options import DsnOptions
from tests.processes.router.test_dsn import reports, settled
from tests.processes.router.test_router import router, running
from tests.processes.world import AT, World

BY = AT + timedelta(minutes=10)


@pytest.fixture
async def world() -> World:
    world = World()
    await world.know()
    return world


@pytest.mark.parametrize(("mode", "is_given_up"), [("R", True), ("RT", True), ("N", False), ("NT", False)])
async def test_a_mail_that_is_to_be_returned_is_given_up_at_its_deadline(
    world: World, mode: Literal["R", "RT", "N", "NT"], *, is_given_up: bool
) -> None:
    await world.accept("bob@dld.go.th", deliver_by=BY, deliver_by_mode=mode)
    async with running(router(world)):
        (queued,) = await world.until(MailQueued.TOPIC, 1)
    assert isinstance(queued, MailQueued)
    assert (queued.deliver_by, queued.deliver_by_mode) == (BY, mode)
    assert (queued.expires_at == BY) == is_given_up


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
