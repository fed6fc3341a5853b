"""Whose mail a relay takes, when there is more than it has room for."""

from datetime import timedelta

import pytest

from gateway.mail.ids import AgencyId, MailId
from projections.queue import query, turns
from projections.queue.query import LIFTED_AFTER
from tests.projections.gateway import Gateway
from tests.projections.rows import due
from tests.projections.world import Mail

ELSEWHERE = "away.example"


def queued(gateway: Gateway, sender: AgencyId, agency_id: AgencyId | None, priority: int = 0) -> MailId:
    world = gateway.world
    mail: Mail = world.accept(sender, "a@opm.go.th", ["v@dld.go.th" if agency_id else f"v@{ELSEWHERE}"])
    world.queue(mail, agency_id, [0], priority)
    return mail.mail_id


async def test_nobody_waits_behind_the_many_mails_of_another_sender_or_destination(gateway: Gateway) -> None:
    for _ in range(30):
        queued(gateway, gateway.opm, gateway.dld)
    of_another = queued(gateway, gateway.opdc, gateway.dld)
    to_another = queued(gateway, gateway.opm, None)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        found = [one.mail_id for one in await due(rows, gateway.world.now, limit=3)]
    assert {of_another, to_another} <= set(found)


async def test_a_destination_gets_as_many_as_it_has_room_for(gateway: Gateway) -> None:
    for sender in (gateway.opm, gateway.opdc):
        for _ in range(10):
            queued(gateway, sender, gateway.dld)
    elsewhere = queued(gateway, gateway.opm, None)
    await gateway.catch_up()
    now = gateway.world.now
    async with gateway.pool.rows() as rows:
        waiting, _ = await turns.of_whom_waits(rows, now)
        rooms = {gateway.dld: 4, ELSEWHERE: 7}
        found = await query.due(rows, now, {turn: rooms[turn.destination] for turn in waiting}, limit=100)
    senders = [one.queued.accepted_by for one in found if one.agency_id == gateway.dld]
    assert sorted(senders) == sorted(2 * [gateway.opm, gateway.opdc])
    assert [one.mail_id for one in found if one.agency_id is None] == [elsewhere]


async def test_waiting_lifts_a_mail_above_what_is_more_urgent_and_came_later(gateway: Gateway) -> None:
    world = gateway.world
    patient = queued(gateway, gateway.opm, gateway.dld, priority=0)
    world.now += 3 * LIFTED_AFTER
    urgent, very_urgent = (queued(gateway, gateway.opm, gateway.dld, priority) for priority in (2, 5))
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        found = [one.mail_id for one in await due(rows, world.now)]
    assert found == [very_urgent, patient, urgent]


async def test_a_look_goes_on_where_the_one_before_ended(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [
        turns.Turn(*turn)
        for turn in sorted(
            (destination or ELSEWHERE, sender, priority)
            for destination in (gateway.dld, None)
            for sender in (gateway.opm, gateway.opdc)
            for priority in (-9, 9)
        )
    ]
    for turn in expected:
        agency_id = gateway.dld if turn.destination == gateway.dld else None
        queued(gateway, AgencyId(turn.accepted_by), agency_id, turn.priority)
    await gateway.catch_up()
    monkeypatch.setattr(turns, "TURNS_MAX", 3)
    seen, after = list[turns.Turn](), turns.BEFORE_ALL
    async with gateway.pool.rows() as rows:
        for _ in range(3):
            waiting, after = await turns.of_whom_waits(rows, gateway.world.now, after=after)
            seen += waiting
        assert (seen, after) == (expected, turns.BEFORE_ALL)
        earlier = gateway.world.now - timedelta(days=1)
        assert await turns.of_whom_waits(rows, earlier) == ([], expected[2])
