"""Return paths of forwarded mails at RCPT: reports come in, guesses and what is long past do not."""

from datetime import timedelta

import pytest

from gateway.domain.events import MailAccepted
from gateway.domain.quota import Room
from gateway.mail import srs
from gateway.mail.address import Address, parse_address
from gateway.ports import Position
from gateway.processes.edge.recipients import HOLDS_S
from gateway.processes.return_paths import ReturnPaths
from tests.processes.edge.world import EdgeWorld, away

ANN = parse_address("ann@example.org")


async def written(world: EdgeWorld) -> Address:
    paths = ReturnPaths(log=world.log, keys=world.keys, clock=world.clock)
    return await paths.write(ANN, "opm.go.th", Position(1))


async def answers(world: EdgeWorld, mail_from: bytes, *rcpt_to: object) -> list[bytes]:
    """What RCPT is answered with, one mail for each."""
    found = list[bytes]()
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        for recipient in rcpt_to:
            await client.say(b"MAIL FROM:<" + mail_from + b">\r\n")
            found.append(await client.say(f"RCPT TO:<{recipient}>\r\n".encode()))
            await client.say(b"RSET\r\n")
    return found


async def test_a_report_is_taken_in_and_a_mail_from_somebody_is_not(world: EdgeWorld) -> None:
    path = await written(world)
    (yes,) = await answers(world, b"", path)
    assert yes.startswith(b"250 2.1.5 ")
    (no,) = await answers(world, b"mallory@example.net", path)
    assert no == b"550 5.7.1 This return path takes reports alone, from the null sender\r\n"
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<>\r\n")
        await client.say(f"RCPT TO:<{path}>\r\n".encode())
        await client.say(b"DATA\r\n")
        assert (await client.say(b"Subject: it failed\r\n\r\n.\r\n")).startswith(b"250 2.0.0 ")
    (accepted,) = await world.events(MailAccepted)
    assert accepted.agency_id == "ag_opm"


async def test_what_was_not_written_here_is_refused(world: EdgeWorld) -> None:
    path = str(await written(world))
    forged = [
        path.replace("=ann@", "=joe@"),
        path.replace("example.org", "example.com"),
        "SRS0=AAAAAAAA=AA=example.org=ann@opm.go.th",
        "SRS1=AAAAAAAA=example.org==x=AA=example.net=ann@opm.go.th",
        "SRS0=nonsense@opm.go.th",
    ]
    for answer in await answers(world, b"", *forged):
        assert answer == b"550 5.7.1 This return path was not written here\r\n"
    (elsewhere,) = await answers(world, b"", path.replace("opm.go.th", "example.org"))
    assert b"does not relay" in elsewhere


async def test_what_is_long_past_is_refused(world: EdgeWorld) -> None:
    key = await world.keys.get_or_make(f"srs.{world.clock.now():%Y%m}")
    long_past = (world.clock.now() - timedelta(days=srs.AGE_DAYS_MAX + 1)).date()
    path = srs.rewrite(ANN, "opm.go.th", secret=key, today=long_past)
    assert await answers(world, b"", path) == [b"550 5.7.1 This return path has expired\r\n"]


async def test_while_nobody_can_say_it_is_tried_again(
    world: EdgeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await written(world)

    async def nobody(name: str) -> bytes:
        raise away()

    monkeypatch.setattr(world.keys, "get", nobody)
    (answer,) = await answers(world, b"", path)
    assert answer.startswith(b"451 4.3.0 ")


async def test_a_full_mailbox_is_no_matter_where_no_copy_is_kept(world: EdgeWorld) -> None:
    full = Room(1_000, 1_000, world.clock.now())
    world.rows.rooms["suda@opm.go.th"] = full
    rule = {
        "account_id": "acc_suda@opm.go.th", "address": "suda@opm.go.th", "status": "active",
        "agency_status": "active", "policy": "anywhere", "keeps_copy": True, "targets": ["ann@example.org"],
        "set_at": world.clock.now(), "set_by": "root",
    }  # fmt: skip
    world.rows.rules["acc_suda@opm.go.th"] = rule
    (kept,) = await answers(world, b"ann@example.org", "suda@opm.go.th")
    assert kept.startswith(b"452 4.2.2 ")
    rule["keeps_copy"] = False
    world.clock.move(HOLDS_S)
    (passed_on,) = await answers(world, b"ann@example.org", "suda@opm.go.th")
    assert passed_on.startswith(b"250 ")
