"""Acceptance 8: thirty connections sending 36 MiB at once raise one edge's memory by at most 300 MB."""

import asyncio
import base64
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from tests.e2e.gateway import Gateway, memory_octets, memory_peak_octets
from tests.e2e.load import Line, host_and_port
from tests.sizes import size

CONNECTIONS = size(12, 30)
MESSAGE_OCTETS = 36 * 1024 * 1024
RISE_OCTETS_MAX = 300_000_000
PIECE = 256 * 1024


def test_many_large_messages_at_once_are_not_held_in_memory(own_gateway: Gateway) -> None:
    assert CONNECTIONS * MESSAGE_OCTETS > RISE_OCTETS_MAX, "who holds them whole must fail"
    edge = own_gateway.pid("edge")
    _allow_large_attachments(own_gateway)
    asyncio.run(_send(own_gateway, 1))  # what is loaded once is no rise
    before = memory_octets(edge)
    Path(f"/proc/{edge}/clear_refs").write_text("5")  # proc(5): the peak counts from here
    codes = asyncio.run(_send(own_gateway, CONNECTIONS))
    assert codes == [250] * CONNECTIONS
    assert own_gateway.pid("edge") == edge, "it was not restarted meanwhile"
    rise = memory_peak_octets(edge) - before
    print(f"{CONNECTIONS} × {MESSAGE_OCTETS} octets at once: the edge's memory rose by {rise / 1e6:.0f} MB")
    assert rise <= RISE_OCTETS_MAX


def _allow_large_attachments(gateway: Gateway) -> None:
    """36 MiB of base64 are an attachment of 27: more than an agency takes unless it says so."""
    agency_id = next(row["agency_id"] for row in gateway.agencies() if "opdc.go.th" in row["domains"])
    gateway.cli("agency", "limits", agency_id, "--attachment", "none")

    def is_allowed() -> bool:
        return asyncio.run(_send(gateway, 1)) == [250]

    gateway.wait(is_allowed, "the edge knows the new limit")


async def _send(gateway: Gateway, connections: int) -> list[int]:
    """Each message is on its way up to its last octets before any of them ends."""
    common = base64.encodebytes(os.urandom(1024 * 1024)).replace(b"\n", b"\r\n")
    everybody = asyncio.Barrier(connections)
    return list(await asyncio.gather(*(_send_one(gateway, common, everybody) for _ in range(connections))))


async def _send_one(gateway: Gateway, common: bytes, everybody: asyncio.Barrier) -> int:
    own = base64.encodebytes(secrets.token_bytes(57 * 100)).replace(b"\n", b"\r\n")
    head = (
        b"Subject: large\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
    )

    async def pieces() -> AsyncIterator[bytes]:
        left = MESSAGE_OCTETS - len(head) - len(own)
        yield head + own
        while left > PIECE:
            start = left % (len(common) - PIECE) // 78 * 78  # whole lines of 76 and their CRLF
            piece = common[start : start + PIECE // 78 * 78]
            left -= len(piece)
            yield piece
        await everybody.wait()
        yield common[: left // 78 * 78]

    line = await Line.open(*host_and_port(gateway.address("smtp")))
    code, _, _ = await line.send_pieces("large@sender.example", ["malee@opdc.go.th"], pieces())
    await line.quit()
    return code
