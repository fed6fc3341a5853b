"""Limits of agencies at the edge: attachments, messages, recipients."""

import base64
from pathlib import Path

import pytest

from gateway.domain.agency import ATTACHMENT_OCTETS_MAX, Limits
from gateway.processes.edge.limits import HOLDS_S
from tests.processes.edge.world import Client, EdgeWorld

SUDA, MALEE = "suda@opm.go.th", "malee@opdc.go.th"
HEADER = (
    b"From: ann@example.org\r\nSubject: plan\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)


def with_attachment(octets: int) -> bytes:
    return HEADER + base64.encodebytes(bytes(octets)).replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (ATTACHMENT_OCTETS_MAX, b"250 2.0.0 "),
        (
            ATTACHMENT_OCTETS_MAX + 1,
            b"552 5.3.4 Attachment is larger than the limit of 26214400 octets\r\n",
        ),
    ],
)
async def test_an_attachment_of_25_mib_passes_and_one_octet_more_does_not(
    tmp_path: Path, octets: int, answer: bytes
) -> None:
    async with EdgeWorld(tmp_path, message_octets_max=36 * 1024 * 1024).running() as world:
        assert (await world.send(with_attachment(octets))).startswith(answer)
        assert len(await world.accepted()) == answer.startswith(b"250")
        assert world.has_forgotten_spools


async def test_the_strictest_of_the_recipients_agencies_decides(world: EdgeWorld) -> None:
    world.rows.limits = {
        "ag_opm": Limits(attachment_octets_max=2_000),
        "ag_opdc": Limits(None, None, None, 900),
    }
    for rcpt_to, octets, answer in (
        ([SUDA], 2_000, b"250 "),
        ([SUDA], 2_001, b"552 5.3.4 Attachment is larger than the limit of 2000 octets"),
        ([SUDA, MALEE], 901, b"552 5.3.4 Attachment is larger than the limit of 900 octets"),
        ([MALEE, SUDA], 900, b"250 "),
    ):
        async with await world.client() as client:
            await client.envelope(*rcpt_to)
            assert (await client.message(with_attachment(octets))).startswith(answer)


async def test_a_message_is_refused_by_its_size_and_by_what_it_says_of_it(world: EdgeWorld) -> None:
    world.rows.limits = {"ag_opm": Limits(message_octets_max=1_000)}
    async with await world.client() as client:
        await client.envelope(SUDA)
        refused = await client.message(b"Subject: long\r\n\r\n" + b"a\r\n" * 400)
        assert refused == b"552 5.3.4 Message is larger than the limit of 1000 octets\r\n"
        await client.say(b"MAIL FROM:<ann@example.org> SIZE=1001\r\n")
        assert (await client.say(f"RCPT TO:<{SUDA}>\r\n".encode())).startswith(b"552 5.3.4 ")
        assert (await client.say(f"RCPT TO:<{MALEE}>\r\n".encode())).startswith(b"250 ")


async def test_an_agencys_recipients_are_counted(world: EdgeWorld) -> None:
    world.rows.limits = {"ag_opm": Limits(recipients_max=2)}
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.recipients(MALEE, SUDA)
        refused = await client.say(b"RCPT TO:<somchai@opm.go.th>\r\n")
        assert refused.startswith(b"452 4.5.3 ")


async def test_limits_are_remembered_for_seconds(world: EdgeWorld) -> None:
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        assert (await sized(client, 5_000)).startswith(b"250 ")
        world.rows.limits = {"ag_opm": Limits(message_octets_max=1_000)}
        assert (await sized(client, 5_000)).startswith(b"250 ")
        world.clock.move(HOLDS_S)
        assert (await sized(client, 5_000)).startswith(b"552 5.3.4 ")


async def sized(client: Client, octets: int) -> bytes:
    """The answer to the recipient of a mail that says its size."""
    await client.say(b"RSET\r\n")
    await client.say(f"MAIL FROM:<ann@example.org> SIZE={octets}\r\n".encode())
    return await client.say(f"RCPT TO:<{SUDA}>\r\n".encode())
