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


URGENT = "X-Saraban-Urgency: ด่วนที่สุด\r\nFrom: {}\r\n\r\nHello.\r\n"


async def test_how_urgent_a_message_is_a_stranger_does_not_say(world: EdgeWorld) -> None:
    """RFC 6710, RFC 6758 §4."""
    async with world.running(), await world.client() as client:
        await client.envelope("suda@opm.go.th")
        assert (await client.message(URGENT.format("ann@example.org").encode())).startswith(b"250 ")
        said = await client.say(b"MAIL FROM:<ann@example.org> MT-PRIORITY=9\r\n")
        assert said.startswith(b"250 2.3.6 0 ")
        await client.say(b"RCPT TO:<suda@opm.go.th>\r\n")
        await client.say(b"DATA\r\n")
        await client.message(b"From: ann@example.org\r\n\r\nHello.\r\n")
    assert [accepted.priority for accepted in await world.accepted()] == [0, 0]


async def test_a_message_that_is_to_arrive_in_any_case_says_so(world: EdgeWorld) -> None:
    """RFC 8689 §5."""
    async with world.running(), await world.client() as client:
        for field in (b"", b"TLS-Required: No\r\n"):
            await client.envelope("suda@opm.go.th")
            said = await client.message(field + b"From: ann@example.org\r\n\r\nHello.\r\n")
            assert said.startswith(b"250 ")
    assert [accepted.tls_optional for accepted in await world.accepted()] == [False, True]
