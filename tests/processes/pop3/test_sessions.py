"""POP3 sessions on real sockets of loopback: sign-in, one session a maildrop, ends, mistakes of stores.

What is in the maildrop is in memory here; tests/e2e/test_pop3.py has it in rows and stores.

Source: RFC 1939 §3, §4, §6; RFC 2595 §4, RFC 3206.
"""

import asyncio
import base64
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.domain.events import Actor, By
from gateway.domain.sessions import SessionEnded
from gateway.mail.ids import AccountId, MailboxId
from gateway.mail.uids import Ranges
from gateway.ports import ContentCorrupt, ContentMissing, ServerContext, Unavailable
from gateway.processes.listening import visits
from gateway.processes.listening.certificates import ShownCertificates
from gateway.processes.listening.listener import House
from gateway.processes.listening.networks import NetworkConnections
from gateway.processes.listening.receiving import Listener
from gateway.processes.listening.sessions import Sessions
from gateway.processes.listening.sockets import hold
from gateway.processes.listening.visits import Reception
from gateway.processes.pop3.listener import pop3
from gateway.processes.pop3.maildrops import OpenMaildrop
from gateway.processes.pop3.services import InUse, Pop3Services
from gateway.processes.reading import Reader
from gateway.processes.signin.signin import SignIns
from gateway.protocols.pop3.maildrop import Maildrop
from tests.processes.doors import (
    HOSTNAME,
    PASSWORD,
    SUDA,
    FixedCertificates,
    KeptInMemory,
    Line,
    PeopleInMemory,
)
from tests.processes.world import MovedClock

RIGHT = base64.b64encode(f"\0{SUDA}\0{PASSWORD}".encode())
MESSAGES = (b"Subject: 1\r\n\r\n.one\r\n", b"Subject: 2\r\n\r\ntwo", b"Subject: 3\r\n\r\n")
BY = By("pop3", "0.1.0", "f00d")


class MaildropsInMemory:
    """One INBOX. fault: what reading or expunging raises; after: behind so many octets."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.after = 0
        self.expunged: list[Ranges] = []

    async def open(self, account_id: AccountId, remote_ip: str) -> OpenMaildrop:
        drop = Maildrop(7, range(1, len(MESSAGES) + 1), [len(message) for message in MESSAGES])
        return OpenMaildrop(account_id, MailboxId("mbx_1"), drop, Reader("retr", "", remote_ip))

    async def read(self, drop: OpenMaildrop, uid: int, *, is_peek: bool) -> AsyncIterator[bytes]:
        message = MESSAGES[uid - 1]
        if self.fault is not None:
            if self.after:
                yield message[: self.after]
            raise self.fault
        yield message

    async def expunge(self, drop: OpenMaildrop) -> None:
        if self.fault is not None:
            raise self.fault
        self.expunged.append(drop.maildrop.deleted)


class World(KeptInMemory):
    """One POP3 process."""

    def __init__(self, context: ServerContext, idle_timeout_s: float = 600) -> None:
        self._context, self._idle_timeout_s = context, idle_timeout_s
        self.keys, self.log = MemoryKeyStore(os.urandom), MemoryLog()
        self.clock, self.drops = MovedClock(), MaildropsInMemory()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["asyncio.Task[None]"]:
        people = PeopleInMemory()
        await self.give_password(SUDA, PASSWORD)
        actor, clock = Actor("system", "pop3"), self.clock
        async with open_lane(self.log, "pop3-test-0", clock=clock, actor=actor, by=BY) as lane:
            made = {"keys": self.keys, "lane": lane, "clock": clock, "entropy": os.urandom, "by": BY}
            sessions = Sessions(**made)  # type: ignore[arg-type]
            sign_ins = SignIns(people=people, tokens=people, **made)  # type: ignore[arg-type]
            tls = ShownCertificates(FixedCertificates(self._context), clock)
            services = Pop3Services(
                hostname=HOSTNAME,
                sign_ins=sign_ins,
                maildrops=self.drops,  # type: ignore[arg-type]
                in_use=InUse(),
                idle_timeout_s=self._idle_timeout_s,
            )
            with hold("127.0.0.1:0") as clear, hold("127.0.0.1:0") as secure:
                self.port, self.tls_port = clear.getsockname()[1], secure.getsockname()[1]
                process = pop3(
                    [
                        Listener("pop3", f"127.0.0.1:{self.port}"),
                        Listener("pop3s", f"127.0.0.1:{self.tls_port}", is_tls=True),
                    ],
                    House(clock, 10, tls=tls, sessions=sessions),
                    Reception(clock, NetworkConnections(0), tls, sessions),
                    services,
                )
                ready = asyncio.Event()
                serving = asyncio.create_task(process.run(ready.set))
                await ready.wait()
                try:
                    yield serving
                finally:
                    serving.cancel()
                    await asyncio.wait([serving])

    async def ended(self, number: int = 1) -> list[SessionEnded]:
        """So many sessions, when they have become facts."""
        return await self.until_there(SessionEnded, number)

    async def client(self, trust: ssl.SSLContext) -> Line:
        """Inside TLS, and greeted."""
        streams = await asyncio.open_connection(
            "127.0.0.1", self.tls_port, ssl=trust, server_hostname=HOSTNAME
        )
        client = Line(*streams)
        assert (await client.line()).startswith(b"+OK ")
        return client


async def says(client: Line, command: bytes) -> bytes:
    """Send a command, give the first line of its response."""
    client.writer.write(command + b"\r\n")
    return await client.line()


async def signed_in(client: Line) -> None:
    assert await says(client, b"AUTH PLAIN " + RIGHT) == b"+OK 3 messages, 51 octets\r\n"


@pytest.fixture
async def world(tls: ServerContext, cheap_hashes: None) -> AsyncIterator[World]:
    world = World(tls)
    async with world.serving():
        yield world


async def test_a_session_from_sign_in_to_quit(world: World, trust: ssl.SSLContext) -> None:
    async with await world.client(trust) as client:
        assert (await says(client, b"STAT")).startswith(b"-ERR Sign in first")
        assert (await says(client, b"PASS x")).startswith(b"-ERR USER comes first")
        assert (await says(client, b"USER " + SUDA.encode())).startswith(b"+OK ")
        assert (await says(client, b"PASS " + PASSWORD.encode())).startswith(b"+OK 3 messages")
        assert (await says(client, b"USER again")).startswith(b"-ERR You have signed in already")
        client.writer.write(b"RETR 1\r\nLIST\r\nUIDL 2\r\nDELE 2\r\nRETR 2\r\nQUIT\r\n")  # pipelined
        assert await client.rest() == (
            b"+OK 20 octets\r\nSubject: 1\r\n\r\n..one\r\n.\r\n"
            b"+OK 3 messages\r\n1 20\r\n2 17\r\n3 14\r\n.\r\n"
            b"+OK 2 7.2\r\n+OK It goes when you quit\r\n-ERR There is no such message\r\n+OK Good-bye\r\n"
        )
    assert world.drops.expunged == [[(2, 2)]]
    (event,) = await world.ended()
    assert (event.listener, event.ended, event.mechanism) == ("pop3s", "quit", "USER")


async def test_a_maildrop_has_one_session_at_once(world: World, trust: ssl.SSLContext) -> None:
    async with await world.client(trust) as first, await world.client(trust) as second:
        await signed_in(first)
        assert (await says(second, b"AUTH PLAIN " + RIGHT)).startswith(b"-ERR [IN-USE] ")
        assert await second.rest() == b""
        assert (await says(first, b"QUIT")).startswith(b"+OK ")
        await world.ended(2)
        async with await world.client(trust) as third:
            await signed_in(third)


async def test_three_wrong_passwords_end_the_session(world: World, trust: ssl.SSLContext) -> None:
    async with await world.client(trust) as client:
        for _ in range(3):
            await says(client, b"USER " + SUDA.encode())
            assert (await says(client, b"PASS wrong")).startswith(b"-ERR [AUTH] ")
        assert await client.rest() == b""
    (event,) = await world.ended()
    assert event.limit == "failed_sign_ins_max"


async def test_commands_sent_ahead_of_tls_end_the_connection(world: World) -> None:
    client = Line(*await asyncio.open_connection("127.0.0.1", world.port))
    async with client:
        await client.line()
        client.writer.write(b"STLS\r\nUSER a\r\n")
        assert await client.rest() == b""
    (event,) = await world.ended()
    assert (event.listener, event.ended) == ("pop3", "protocol")


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Unavailable("s3", "away"), b"SYS/TEMP"), (ContentMissing("gone"), b"SYS/PERM")],
    ids=["away", "missing"],
)
async def test_a_message_that_cannot_be_had_is_refused(
    world: World, trust: ssl.SSLContext, fault: Exception, code: bytes
) -> None:
    async with await world.client(trust) as client:
        await signed_in(client)
        world.drops.fault = fault
        assert (await says(client, b"RETR 1")).startswith(b"-ERR [" + code + b"] ")
        world.drops.fault = None
        assert (await says(client, b"NOOP")).startswith(b"+OK ")


async def test_a_message_that_breaks_in_the_middle_never_looks_whole(
    world: World, trust: ssl.SSLContext
) -> None:
    async with await world.client(trust) as client:
        await signed_in(client)
        world.drops.fault, world.drops.after = ContentCorrupt("a digest is wrong"), 5
        client.writer.write(b"RETR 1\r\n")
        assert not (await client.rest()).endswith(b"\r\n.\r\n")
    (event,) = await world.ended()
    assert event.ended == "failed"


async def test_quit_tells_when_nothing_was_deleted(world: World, trust: ssl.SSLContext) -> None:
    """RFC 1939 §6: -ERR, and the server closes."""
    async with await world.client(trust) as client:
        await signed_in(client)
        await says(client, b"DELE 1")
        world.drops.fault = Unavailable("nats", "away")
        assert (await says(client, b"QUIT")).startswith(b"-ERR [SYS/TEMP] ")
        assert await client.rest() == b""
    assert world.drops.expunged == []


async def test_autologout_deletes_nothing(
    tls: ServerContext, trust: ssl.SSLContext, cheap_hashes: None
) -> None:
    """RFC 1939 §3."""
    world = World(tls, idle_timeout_s=0.05)
    async with world.serving():
        async with await world.client(trust) as client:
            await signed_in(client)
            await says(client, b"DELE 1")
            assert await client.rest() == b""
        (event,) = await world.ended()
    assert (event.ended, world.drops.expunged) == ("timeout", [])


async def test_a_stop_ends_sessions_and_deletes_nothing(
    tls: ServerContext, trust: ssl.SSLContext, cheap_hashes: None
) -> None:
    world = World(tls)
    async with world.serving() as serving, await world.client(trust) as client:
        await signed_in(client)
        await says(client, b"DELE 1")
        serving.cancel()
        assert (await client.rest()).startswith(b"-ERR [SYS/TEMP] Shutting down")
        await asyncio.wait([serving])
    assert world.drops.expunged == []


async def test_who_does_not_sign_in_is_sent_away_whatever_it_says(
    world: World, trust: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "STRANGER_S", 0.02)
    async with await world.client(trust) as client:
        with contextlib.suppress(ConnectionError):
            while await says(client, b"STAT"):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    (event,) = await world.ended()
    assert event.ended == "timeout"
