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


async def test_a_binary_message_is_kept_as_it_came_and_marked(world: EdgeWorld) -> None:
    """RFC 3030 §3."""
    message = b"From: ann@example.org\r\n\r\n\r.\n" + bytes(range(256)) * 600
    async with world.running(), await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.recipients("suda@opm.go.th", mail="MAIL FROM:<ann@example.org> BODY=BINARYMIME")
        said = await client.say(b"BDAT %d LAST\r\n" % len(message) + message)
    assert said.startswith(b"250 2.0.0 ")
    (accepted,) = await world.accepted()
    assert accepted.binary
    assert accepted.eight_bit
    assert (await world.presented(accepted)).endswith(message)
