"""What was accepted for a mailbox that is full when it is decided."""

from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import pytest

from gateway.domain.events import MailAccepted, MailBounced, MailDelivered
from gateway.domain.quota import QuotaRule, Room
from gateway.domain.routing import Hosted
from gateway.processes.router.filling import Filling
from tests.processes.router.test_router import router, running
from tests.processes.world import SOMCHAI, SUDA, World

MESSAGE = b"Subject: a\r\n\r\n" + b"a" * 99_000
OCTETS = len(MESSAGE) + len(b"Return-Path: <ann@example.org>\r\n")


@pytest.fixture
async def world() -> World:
    world = World()
    await world.know()
    return world


def give_room(world: World, quota: int, octets: int, *, is_office: bool = False) -> None:
    suda = replace(SUDA, room=Room(quota, octets, None, is_office))
    world.directory.people |= {"suda@opm.go.th": suda, "s.jaidee@opm.go.th": suda}


async def test_a_full_mailbox_bounces_and_its_sender_reads_why_in_thai_and_english(world: World) -> None:
    give_room(world, 1_000_000, 1_000_000)
    await world.accept("suda@opm.go.th", "somchai@opm.go.th")
    async with running(router(world)):
        (bounced,) = await world.until(MailBounced.TOPIC, 1)
        (delivered,) = await world.until(MailDelivered.TOPIC, 1)
        _, report = await world.until(MailAccepted.TOPIC, 2)
    assert isinstance(bounced, MailBounced)
    assert (bounced.code, bounced.status, bounced.reason) == (552, "5.2.2", "full")
    assert bounced.recipients == (0,)
    assert isinstance(delivered, MailDelivered)
    assert (delivered.account_id, delivered.recipients) == (SOMCHAI.account_id, (1,))
    assert isinstance(report, MailAccepted)
    message = message_from_bytes(world.contents.messages[report.message.content.digest], policy=default)
    text = next(message.iter_parts()).get_content()
    assert "ตู้ไปรษณีย์ของผู้รับเต็ม" in text
    assert "The mailbox of the recipient is full." in text
    assert "552 5.2.2 Mailbox is full" in text


async def test_a_mailbox_below_its_quota_gets_the_mail_that_fills_it(world: World) -> None:
    give_room(world, 1_000_000, 999_999)
    await world.accept("suda@opm.go.th", message=MESSAGE)
    async with running(router(world)):
        (delivered,) = await world.until(MailDelivered.TOPIC, 1)
    assert isinstance(delivered, MailDelivered)


async def test_an_offices_mailbox_may_be_spared(world: World) -> None:
    office = Room(1_000, 2_000, None, is_office=True)
    hosted: list[Hosted] = [replace(SUDA, room=office)]
    for rule, full in ((QuotaRule(), {SUDA.account_id}), (QuotaRule(spares_offices=True), set())):
        assert Filling(rule, world.clock).begin().full_among([*hosted]) == full


@pytest.mark.parametrize("at_once", [True, False])
async def test_50_mails_that_race_into_the_last_free_megabyte_overshoot_by_one(
    world: World, at_once: bool
) -> None:
    """The rows say all the while that a megabyte is free: they have not followed yet."""
    give_room(world, 10_000_000, 9_000_000)
    async with running(router(world)):
        for number in range(50):
            to = ("suda@opm.go.th", "s.jaidee@opm.go.th")[: 1 + number % 2]
            await world.accept(*to, message=MESSAGE)
            if not at_once:
                await world.until(MailDelivered.TOPIC if number < 11 else MailBounced.TOPIC, 1)
        await world.accept("somchai@opm.go.th")
        await world.until(MailBounced.TOPIC, 39)
    delivered = await world.of(MailDelivered.TOPIC)
    taken = [one for one in delivered if isinstance(one, MailDelivered) and one.account_id == SUDA.account_id]
    assert 1_000_000 <= len(taken) * OCTETS < 1_000_000 + OCTETS
    bounced = {one.mail_id for one in await world.of(MailBounced.TOPIC) if isinstance(one, MailBounced)}
    assert len(bounced) + len(taken) == 50
    assert bounced.isdisjoint(one.mail_id for one in taken)


async def test_the_rows_are_believed_again_after_a_while(world: World) -> None:
    give_room(world, 100_000, 99_999)
    async with running(router(world)):
        await world.accept("suda@opm.go.th", message=MESSAGE)
        await world.until(MailDelivered.TOPIC, 1)
        give_room(world, 100_000, 10)  # somebody has made room
        world.clock.move(60)
        await world.accept("suda@opm.go.th", message=MESSAGE)
        await world.until(MailDelivered.TOPIC, 2)
        assert await world.of(MailBounced.TOPIC) == []
