"""Twenty sessions on three accounts do whatever is legal, and nobody is ever told what is not true.

Issue 4/9, acceptance 3: also while projector, imap and nats-server are killed; and of every message whose
octets a client received there is a read event, however often the role was killed in the middle.
"""

import asyncio
import os
import random
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from gateway.mail.uids import each_uid, parse_uids
from tests.e2e.gateway import CommandFailed, Gateway, eventually, running_gateway
from tests.e2e.imap_storm import MAILBOXES, Door, Tally, Visitor, audit
from tests.imap_belief import Contradiction, Ledger
from tests.imap_client import Gone, ImapClient
from tests.sizes import size

SESSIONS = 20
SECONDS = size(8, 600)
KILLED = ("projector", "imap", "nats")
KILLS_MIN = size(3, 60)
MESSAGES = size(20, 200)
FETCH_KILLS = size(3, 30)


@pytest.fixture(scope="module")
def storm_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("storm")) as running:
        yield running


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("SARABAN_SEED", "0")) or int(time.time())


def doors(gateway: Gateway) -> list[Door]:
    host, port = gateway.address("imaps").rsplit(":", 1)
    tls = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    return [
        Door(host, int(port), tls, account["address"], account["password"])
        for account in gateway.ready["demo_accounts"][:3]
    ]


async def make_mailboxes(door: Door) -> None:
    client = await ImapClient.connect(door.host, door.port, door.tls)
    await client.login(door.username, door.password)
    for mailbox in MAILBOXES[1:]:
        await client.command(f'CREATE "{mailbox}"')
    await client.logout()


async def storm(gateway: Gateway, seed: int, *, with_kills: bool) -> list[Tally]:
    homes = [(door, Ledger()) for door in doors(gateway)]
    for door, _ in homes:
        await make_mailboxes(door)
    visitors = [
        Visitor(f"session{number}", *homes[number % len(homes)], random.Random(f"{seed}-{number}"))
        for number in range(SESSIONS)
    ]
    began, kills = time.monotonic(), 0

    def is_over() -> bool:
        return time.monotonic() - began >= SECONDS and (kills >= KILLS_MIN or not with_kills)

    async def kill() -> None:
        nonlocal kills
        while not is_over():
            role = KILLED[kills % len(KILLED)]
            await eventually(partial(has_followed, gateway, role, 0), f"{role} is there")
            pid = await asyncio.to_thread(gateway.kill, role)
            kills += 1
            await eventually(partial(has_followed, gateway, role, pid), f"{role} is back")

    try:
        async with asyncio.TaskGroup() as group:
            for visitor in visitors:
                group.create_task(visitor.storm(is_over), name=visitor.name)
            if with_kills:
                group.create_task(kill())
        for visitor in visitors:
            await visitor.settle()
        for door, ledger in homes:
            theirs = [visitor for visitor in visitors if visitor.ledger is ledger]
            for visitor in theirs:
                await visitor.settle()
            assert await audit(door, ledger, theirs) > 0
    except* Contradiction as told:
        raise AssertionError(f"SARABAN_SEED={seed}: {told.exceptions[0]}") from told
    finally:
        for visitor in visitors:
            await visitor.leave()
    return [visitor.tally for visitor in visitors]


def has_followed(gateway: Gateway, role: str, pid: int) -> bool:
    """Another process has the role of the one that was killed."""
    with suppress(CommandFailed, OSError):
        found = gateway.pids(role)
        return bool(found) and all(found) and pid not in found
    return False


async def test_no_session_is_ever_told_what_is_not_true(storm_gateway: Gateway, seed: int) -> None:
    tallies = await storm(storm_gateway, seed, with_kills=False)
    assert sum(tally.lost for tally in tallies) == 0
    print(f"{sum(tally.commands for tally in tallies)} commands, seed {seed}")


async def test_nor_while_roles_and_the_log_server_are_killed(storm_gateway: Gateway, seed: int) -> None:
    tallies = await storm(storm_gateway, seed + 1, with_kills=True)
    lost = sum(tally.lost for tally in tallies)
    assert lost > 0, "the kills hit nobody"
    print(f"{sum(t.commands for t in tallies)} commands, {lost} connections lost, seed {seed + 1}")


async def test_what_a_client_received_was_read_by_the_log_before(
    storm_gateway: Gateway, tmp_path: Path
) -> None:
    """The role is killed while it sends; what arrived in whole or in part has its message.read."""
    door = doors(storm_gateway)[0]
    client = await ImapClient.connect(door.host, door.port, door.tls)
    await client.login(door.username, door.password)
    await client.ok('CREATE "Read"')
    body = b"Subject: read\r\n\r\n" + b"0123456789abcdef\r\n" * 2_000
    for _ in range(MESSAGES):
        await client.ok('APPEND "Read" {}', body)
    mailbox_id = (await client.ok('STATUS "Read" (MAILBOXID)')).of("STATUS")[0].tokens[1]
    assert isinstance(mailbox_id, list)
    (identifier,) = mailbox_id[1]  # type: ignore[misc]
    await client.logout()

    received: set[int] = set()
    for number in range(FETCH_KILLS):
        received |= await fetch_until_killed(storm_gateway, door, kill_after=1 + number % 5)
    assert received

    def recorded() -> set[int]:
        events = storm_gateway.events("message.read/1")
        ours = [one["event"]["uids"] for one in events if one["event"]["mailbox_id"] == identifier]
        return {uid for uids in ours for uid in each_uid(parse_uids(uids))}

    assert received <= await asyncio.to_thread(recorded)


async def fetch_until_killed(gateway: Gateway, door: Door, kill_after: int) -> set[int]:
    """UIDs whose octets came, each asked for alone, the role being killed after some of them."""
    await eventually(lambda: bool(gateway.pids("imap")), "imap is there")
    client = None
    while client is None:
        with suppress(OSError, Gone):
            client = await ImapClient.connect(door.host, door.port, door.tls)
            await client.login(door.username, door.password)
    await client.ok('SELECT "Read"')
    pid = await asyncio.to_thread(gateway.pid, "imap")
    received: set[int] = set()
    begun = 0

    def heard(response: object) -> None:
        nonlocal begun
        begun += 1
        if begun == kill_after:
            os.kill(pid, 9)

    client.on_untagged = heard
    with suppress(Gone, OSError):
        for uid in range(1, MESSAGES + 1):
            answer = await client.command(f"UID FETCH {uid} (BODY.PEEK[])")
            received |= {uid} if answer.of("FETCH") else set()
    received |= {uid for uid in range(1, MESSAGES + 1) if f"UID {uid} BODY[]".encode() in client.unfinished}
    await client.close()
    return received
