"""A full mailbox at RCPT: refused for now, later for good; the mail's declared size counts."""

from datetime import timedelta

import pytest

from gateway.domain.quota import Room
from gateway.processes.edge.recipients import HOLDS_S
from tests.processes.edge.world import Client, EdgeWorld
from tests.processes.world import AT

SUDA, SOMCHAI = "suda@opm.go.th", "somchai@opm.go.th"


async def rcpt(client: Client, address: str, size: int | None = None) -> bytes:
    """The answer to one recipient of a mail of its own."""
    await client.say(b"RSET\r\n")
    declared = "" if size is None else f" SIZE={size}"
    assert (await client.say(f"MAIL FROM:<ann@example.org>{declared}\r\n".encode())).startswith(b"250")
    return await client.say(f"RCPT TO:<{address}>\r\n".encode())


async def test_a_full_mailbox_is_refused_for_now_and_after_the_grace_time_for_good(world: EdgeWorld) -> None:
    world.rows.rooms[SUDA] = Room(1_000_000, 1_000_000, AT)
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        assert (await rcpt(client, SUDA)).startswith(b"452 4.2.2 ")
        assert (await rcpt(client, SOMCHAI)).startswith(b"250 ")
        world.clock.move(timedelta(days=7).total_seconds())
        assert (await rcpt(client, SUDA)).startswith(b"552 5.2.2 ")
        world.rows.rooms[SUDA] = Room(1_000_000, 10, None)
        world.clock.move(HOLDS_S)
        assert (await rcpt(client, SUDA)).startswith(b"250 ")


@pytest.mark.parametrize(("size", "answer"), [(600_000, b"250 "), (600_001, b"452 4.2.2 "), (None, b"250 ")])
async def test_a_mail_that_says_it_does_not_fit_is_refused(
    world: EdgeWorld, size: int | None, answer: bytes
) -> None:
    world.rows.rooms[SUDA] = Room(1_000_000, 400_000, None)
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        assert (await rcpt(client, SUDA, size)).startswith(answer)


async def test_an_answer_is_remembered_and_each_mail_asks_for_its_own_size(world: EdgeWorld) -> None:
    world.rows.rooms[SUDA] = Room(1_000_000, 400_000, None)
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        assert (await rcpt(client, SUDA, 900_000)).startswith(b"452 4.2.2 ")
        assert (await rcpt(client, SUDA, 1_000)).startswith(b"250 ")
    assert world.rows.asked == 1
