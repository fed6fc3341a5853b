"""Mail to an address that changed hands (RFC 7293), on its way through the router."""

from dataclasses import replace

import pytest

from gateway.domain.events import AttemptSecret, MailBounced, MailDelivered, MailQueued
from gateway.domain.routing import attempt_label
from gateway.domain.sealing import unseal, unwrap
from gateway.mail.valid_since import Owner
from tests.processes.router.test_dsn import reports, settled
from tests.processes.router.test_router import router, running
from tests.processes.world import AT, SOMCHAI, SUDA, World

BEFORE, AFTER = "2026-11-23T04:05:05Z", "2026-11-23T04:05:06Z"


@pytest.fixture
async def world() -> World:
    world = World()
    await world.know()
    world.directory.people["suda@opm.go.th"] = replace(SUDA, owner=Owner(AT))
    world.directory.people["su@opm.go.th"] = replace(SUDA, owner=Owner(AT.replace(year=2020)))
    world.directory.people["info@opm.go.th"] = replace(SOMCHAI, owner=Owner(AT))
    return world


async def test_a_mail_that_means_an_earlier_owner_bounces(world: World) -> None:
    await world.accept("suda@opm.go.th", "somchai@opm.go.th", rrvs=(BEFORE, ""))
    async with running(router(world)):
        await settled(world)
    (bounced,) = await world.of(MailBounced.TOPIC)
    assert isinstance(bounced, MailBounced)
    assert (bounced.recipients, bounced.code, bounced.status) == ((0,), 550, "5.7.17")
    data_key = unwrap(bounced.keys[0].wrapped, await world.keys.get(bounced.keys[0].key))
    said = unseal(AttemptSecret, bounced.sealed, data_key, label=attempt_label(bounced.mail_id))
    assert "another owner" in said.reply_text
    assert len(await reports(world)) == 1


async def test_a_mail_that_means_somebody_who_is_not_on_record_bounces(world: World) -> None:
    """RFC 7293 §9. By a header field it goes on where nobody can tell."""
    world.directory.people["su@opm.go.th"] = replace(SUDA, owner=Owner(AT, is_first=True))
    await world.accept("suda@opm.go.th", "su@opm.go.th", rrvs=("", BEFORE))
    await world.accept("su@opm.go.th", rrvs=(f"{BEFORE};C",))
    async with running(router(world)):
        await settled(world)
    (bounced,) = await world.of(MailBounced.TOPIC)
    assert isinstance(bounced, MailBounced)
    assert (bounced.recipients, bounced.status, bounced.reason) == ((1,), "5.7.19", "mailbox")


async def test_a_mail_that_means_the_owner_there_is_gets_there(world: World) -> None:
    await world.accept("suda@opm.go.th", rrvs=(AFTER,))
    async with running(router(world)):
        await settled(world)
    assert await world.of(MailBounced.TOPIC) == []


async def test_addresses_of_one_account_are_each_asked_and_it_gets_the_mail_once(world: World) -> None:
    await world.accept("suda@opm.go.th", "su@opm.go.th", "SU@opm.go.th", rrvs=(BEFORE, BEFORE, ""))
    async with running(router(world)):
        await settled(world)
    (bounced,) = await world.of(MailBounced.TOPIC)
    delivered = [event for event in await world.of(MailDelivered.TOPIC) if isinstance(event, MailDelivered)]
    assert isinstance(bounced, MailBounced)
    assert bounced.recipients == (0,)
    assert delivered[0].recipients == (1, 2)


async def test_an_office_is_whoever_holds_it(world: World) -> None:
    await world.accept("info@opm.go.th", rrvs=(BEFORE,))
    async with running(router(world)):
        await settled(world)
    assert await world.of(MailBounced.TOPIC) == []


async def test_each_destination_gets_what_is_asked_of_its_own_recipients(world: World) -> None:
    await world.accept(
        "a@dld.go.th", "suda@opm.go.th", "b@dld.go.th", "c@example.net", rrvs=("", AFTER, BEFORE, "")
    )
    async with running(router(world)):
        at_dld, elsewhere = await world.until(MailQueued.TOPIC, 2)
    assert isinstance(at_dld, MailQueued)
    assert isinstance(elsewhere, MailQueued)
    assert (at_dld.rrvs, elsewhere.rrvs) == (("", BEFORE), ())
