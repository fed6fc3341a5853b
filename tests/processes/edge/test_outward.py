"""Who may send to domains that no agency has: agencies' own servers for their own people, and no stranger.

Clients come from where their PROXY header says.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.processes.edge.outward import HOLDS_S, addresses_of
from tests.processes.edge.world import MESSAGE, Client, EdgeWorld, away

SERVER, SHARED, STRANGER = "192.0.2.25", "192.0.2.77", "198.51.100.9"
SUDA, SOMEBODY = "suda@opm.go.th", "somebody@example.org"
OURS = "officer@dld.go.th"  # of the agency that has a server of its own


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[EdgeWorld]:
    """dld.go.th's server is at SERVER; SHARED is that of both others."""
    edge = EdgeWorld(tmp_path, sends_out=True, proxy_networks="127.0.0.0/8")
    edge.rows.servers = {"ag_dld": SERVER, "ag_opm": SHARED, "ag_opdc": SHARED}
    async with edge.running() as world:
        yield world


@asynccontextmanager
async def client(world: EdgeWorld, ip: str) -> AsyncIterator[Client]:
    async with await world.connect(world.port) as client:
        family = "TCP6" if ":" in ip else "TCP4"
        to = "2001:db8::1" if ":" in ip else "192.0.2.1"
        client.writer.write(f"PROXY {family} {ip} {to} 40000 25\r\n".encode())
        assert (await client.reply()).startswith(b"220 ")
        assert (await client.say(b"EHLO server.example\r\n")).startswith(b"250")
        yield client


async def rcpt(client: Client, mail_from: str, *rcpt_to: str) -> list[bytes]:
    """The answers to each recipient, without their texts."""
    assert (await client.say(f"MAIL FROM:<{mail_from}>\r\n".encode())).startswith(b"250 ")
    return [(await client.say(f"RCPT TO:<{address}>\r\n".encode()))[:9].rstrip() for address in rcpt_to]


WHO = {
    "an agency's server, for its people": (SERVER, OURS, b"250 2.1.5"),
    "and for its reports": (SERVER, "", b"250 2.1.5"),
    "but not for another agency's": (SERVER, SUDA, b"550 5.7.1"),
    "and not for strangers": (SERVER, "ann@example.com", b"550 5.7.1"),
    "a server of two agencies, for the one": (SHARED, SUDA, b"250 2.1.5"),
    "and for the other": (SHARED, "malee@opdc.go.th", b"250 2.1.5"),
    "a stranger": (STRANGER, "ann@example.com", b"550 5.7.1"),
    "a stranger in an agency's name": (STRANGER, OURS, b"550 5.7.1"),
    "a stranger with a null sender": (STRANGER, "", b"550 5.7.1"),
    "the server in IPv6's clothes": (f"::ffff:{SERVER}", OURS, b"250 2.1.5"),
}


@pytest.mark.parametrize(("ip", "mail_from", "said"), WHO.values(), ids=WHO)
async def test_who_may_send_elsewhere(world: EdgeWorld, ip: str, mail_from: str, said: bytes) -> None:
    async with client(world, ip) as host:
        # To an agency everybody may send; the second time the directory's answer is known already.
        answers = await rcpt(host, mail_from, SOMEBODY, SUDA, SOMEBODY)
    assert answers == [said, b"250 2.1.5", said]


async def test_nobody_on_this_machine_is_an_agencys_server(world: EdgeWorld) -> None:
    world.rows.servers = {"ag_dld": "127.0.0.1"}
    async with client(world, "127.0.0.1") as host:
        assert await rcpt(host, OURS, SOMEBODY) == [b"550 5.7.1"]


async def test_each_mail_is_asked_for_anew(world: EdgeWorld) -> None:
    async with client(world, SERVER) as host:
        assert await rcpt(host, OURS, SOMEBODY) == [b"250 2.1.5"]
        await host.say(b"RSET\r\n")
        assert await rcpt(host, "ann@example.com", SOMEBODY) == [b"550 5.7.1"]
        await host.say(b"RSET\r\n")
        assert await rcpt(host, OURS, SOMEBODY) == [b"250 2.1.5"]


async def test_what_goes_elsewhere_is_its_senders_agencys(world: EdgeWorld) -> None:
    async with client(world, SERVER) as host:
        for recipients in ([SUDA], [SUDA, SOMEBODY]):
            assert set(await rcpt(host, OURS, *recipients)) == {b"250 2.1.5"}
            assert (await host.say(b"DATA\r\n")).startswith(b"354 ")
            assert (await host.message(MESSAGE)).startswith(b"250 ")
    inside, outside = await world.accepted()
    assert (inside.agency_id, outside.agency_id) == ("ag_opm", "ag_dld")
    assert [recipient.agency_id for recipient in outside.recipients] == ["ag_opm", None]


async def test_a_server_that_moves_is_known_in_a_minute(world: EdgeWorld) -> None:
    async with client(world, STRANGER) as host:
        assert await rcpt(host, OURS, SOMEBODY) == [b"550 5.7.1"]
        world.rows.servers["ag_dld"] = STRANGER
        await host.say(b"RSET\r\n")
        assert await rcpt(host, OURS, SOMEBODY) == [b"550 5.7.1"]
        world.clock.move(HOLDS_S)
        await host.say(b"RSET\r\n")
        assert await rcpt(host, OURS, SOMEBODY) == [b"250 2.1.5"]


async def test_names_are_looked_up_as_this_machine_does() -> None:
    """RFC 6761 §6.3, §6.4: whom everybody knows, and nobody."""
    assert set(await addresses_of("localhost")) & {"127.0.0.1", "::1"}
    assert list(await addresses_of("nobody.invalid")) == []
    assert list(await addresses_of("::ffff:192.0.2.25")) == ["192.0.2.25"]


async def test_while_the_rows_are_away_the_answer_is_later(world: EdgeWorld) -> None:
    async with client(world, SERVER) as host:
        assert await rcpt(host, OURS, SUDA) == [b"250 2.1.5"]
        world.rows.fault = away()
        assert (await host.say(f"RCPT TO:<{SOMEBODY}>\r\n".encode())).startswith(b"451 4.3.0 ")


async def test_without_a_way_out_an_agencys_server_is_as_everybody(tmp_path: Path) -> None:
    edge = EdgeWorld(tmp_path, proxy_networks="127.0.0.0/8")
    edge.rows.servers = {"ag_dld": SERVER}
    async with edge.running() as world, client(world, SERVER) as host:
        assert await rcpt(host, OURS, SOMEBODY) == [b"550 5.7.1"]
