"""What a sender demands of the way of its mail, in the event."""

from datetime import timedelta

from tests.processes.edge.world import EdgeWorld


async def test_a_deadline_counts_from_the_acceptance(world: EdgeWorld) -> None:
    async with world.running(), await world.client() as client:
        await client.envelope("suda@opm.go.th", mail="MAIL FROM:<ann@example.org> BY=600;NT")
        assert (await client.message(b"From: ann@example.org\r\n\r\nHello.\r\n")).startswith(b"250 ")
    (accepted,) = await world.accepted()
    assert accepted.deliver_by == accepted.at + timedelta(seconds=600)
    assert accepted.deliver_by_mode == "NT"
