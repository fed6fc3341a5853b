"""A stop breaks no promise: mails in hand are concluded, everybody else hears 421 (RFC 5321 §3.8)."""

import asyncio
from pathlib import Path

import pytest

from tests.processes.edge.world import MESSAGE, EdgeWorld, stuffed


async def test_a_stop_concludes_what_is_in_hand_and_says_421_to_the_others(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path)
    async with (
        world.serving() as serving,
        await world.client() as busy,
        await world.client() as idle,
        await world.client() as half,
    ):
        await half.envelope("suda@opm.go.th")
        half.writer.write(b"Subject: half\r\n")
        world.gate.open.clear()
        await busy.envelope("suda@opm.go.th")
        busy.writer.write(stuffed(MESSAGE))
        await world.gate.reached.wait()
        serving.cancel()
        for client in (idle, half):
            assert await client.rest() == b"421 4.3.2 Shutting down, try again later\r\n"
        assert not serving.done()
        world.gate.open.set()
        said, _, last = (await busy.rest()).partition(b"\r\n")
        await asyncio.wait([serving])
    (event,) = await world.accepted()
    assert said == b"250 2.0.0 " + event.mail_id.encode()
    assert last.startswith(b"421 4.3.2 ")


async def test_recipients_sent_ahead_do_not_outlive_a_stop(tmp_path: Path) -> None:
    """A question about a recipient is in hand when the stop comes; the next one is not asked any more."""
    world = EdgeWorld(tmp_path)
    async with world.serving() as serving, await world.client() as client:
        world.gate.open.clear()
        await client.envelope("suda@opm.go.th")
        client.writer.write(
            stuffed(MESSAGE)
            + b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<malee@opdc.go.th>\r\nRCPT TO:<a@dld.go.th>\r\n"
        )
        await world.gate.reached.wait()
        serving.cancel()
        world.gate.open.set()
        said = (await client.rest()).splitlines()
        await asyncio.wait([serving])
    assert said[0].startswith(b"250 2.0.0 mail_")
    assert said[-1].startswith(b"421 4.3.2 ")
    assert len(await world.accepted()) == 1


async def test_a_mail_whose_client_has_gone_is_concluded_before_the_stop(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path)
    async with world.serving() as serving:
        world.gate.open.clear()
        client = await world.client()
        await client.envelope("suda@opm.go.th")
        client.writer.write(stuffed(MESSAGE))
        await world.gate.reached.wait()
        client.vanish()
        serving.cancel()
        done, _ = await asyncio.wait([serving], timeout=0.05)
        assert not done
        world.gate.open.set()
        await asyncio.wait([serving])
        assert len(await world.accepted()) == 1


async def test_nobody_is_served_after_a_stop(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path)
    async with world.serving() as serving:
        assert (await world.send()).startswith(b"250 ")
        serving.cancel()
        await asyncio.wait([serving])
        with pytest.raises(ConnectionRefusedError):
            await world.connect()
