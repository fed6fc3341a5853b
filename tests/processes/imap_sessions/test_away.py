"""Servers that go away at the worst moment: what is in the log is not refused, no response ends halfway."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from gateway.domain.changes import MessageAppended, MessageFlagged
from gateway.ports import ContentMissing, Position, Unavailable
from gateway.processes.changing import Changing
from gateway.processes.imap.session import PROGRESS_EVERY_S, ROWS_PATIENCE_S
from gateway.processes.listening.wire import Over
from projections.readmodel import Pool, Rows
from tests.processes.imap_sessions.home import Home, Visit
from tests.processes.world import MovedClock

MESSAGE = b"Subject: m\r\n\r\nbody\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 20_000


class Fragile:
    """A pool that gives no rows while it is away. goes_when: or from the moment when this is so."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self.is_away, self.asked = pool, False, asyncio.Event()
        self.goes_when: Callable[[], bool] = lambda: False

    @asynccontextmanager
    async def rows(self) -> AsyncIterator[Rows]:
        self._check()
        async with self._pool.rows() as rows:
            yield rows

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Rows]:
        self._check()
        async with self._pool.snapshot() as rows:
            yield rows

    def _check(self) -> None:
        if self.is_away or self.goes_when():
            self.asked.set()
            raise Unavailable("postgres", "gone")


class NeverThere(Changing):
    """Rows whose server is away once something was appended."""

    async def await_rows(
        self, account_id: Any, position: Position, timeout_s: float, hint: asyncio.Event | None = None
    ) -> bool:
        raise Unavailable("postgres", "gone")


async def opened(home: Home) -> tuple[Visit, Fragile]:
    """INBOX with a message, open; and what its rows come from."""
    pool = Fragile(home.pool)
    home.room = replace(home.room, pool=cast(Pool, pool))
    one = await home.visit()
    await one.ok("APPEND INBOX {}", MESSAGE)
    await one.ok("SELECT INBOX")
    return one, pool


async def test_a_change_in_the_log_is_no_no_when_the_rows_go_away(home: Home) -> None:
    one, pool = await opened(home)
    pool.goes_when = lambda: bool(home.events(MessageFlagged))
    with pytest.raises(Over):
        await one.command("STORE 1 +FLAGS (\\Flagged)")
    assert b"BYE [UNAVAILABLE]" in one.paper.said
    assert b" NO " not in one.paper.said
    assert len(home.events(MessageFlagged)) == 1


async def test_an_append_in_the_log_is_ok_when_the_rows_go_away(home: Home) -> None:
    one, pool = await opened(home)
    pool.goes_when = lambda: len(home.events(MessageAppended)) > 1
    answer = await one.command("APPEND INBOX {}", MESSAGE)
    assert (answer.status, answer.code) == ("OK", "")
    assert len(home.events(MessageAppended)) == 2


async def test_what_is_not_in_the_log_is_refused_when_the_log_is_away(home: Home) -> None:
    one, _ = await opened(home)
    home.log.fault = Unavailable("nats", "gone")
    assert (await one.command("STORE 1 +FLAGS (\\Flagged)")).code == "UNAVAILABLE"
    home.log.fault = None
    await one.ok("STORE 1 +FLAGS (\\Flagged)")


async def test_a_client_hears_now_and_then_that_it_goes_on(home: Home) -> None:
    one, _ = await opened(home)
    changing = home.room.changing
    clock = MovedClock()
    one.session.room = replace(
        home.room,
        clock=clock,
        changing=NeverThere(log=home.log, lane=changing._lane, pool=home.pool, clock=clock),
    )
    with pytest.raises(Over):
        await one.command("STORE 1 +FLAGS (\\Flagged)")
    told = one.paper.said.count(b"INPROGRESS")
    assert told <= ROWS_PATIENCE_S / PROGRESS_EVERY_S
    assert told >= 2


async def test_who_is_idle_stays_so_while_the_rows_are_away(home: Home) -> None:
    one, pool = await opened(home)
    other = await home.visit()
    said = asyncio.Event()

    async def done() -> bytes:
        await said.wait()
        return b"DONE"

    one.session.next_line = done
    pool.is_away = True
    idle = asyncio.create_task(one.command("IDLE"))
    await pool.asked.wait()
    pool.is_away = False
    await other.ok("APPEND INBOX {}", MESSAGE)
    async with asyncio.timeout(30):
        await one.paper.hears(b"2 EXISTS")
    said.set()
    answer = await idle
    assert answer.status == "OK"


async def test_a_response_that_broke_off_ends_the_connection(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await home.visit()
    await one.ok("APPEND INBOX {}", LARGE)
    await one.ok("SELECT INBOX")
    opens, whole = 0, home.contents.open

    async def once(*arguments: Any, **options: Any) -> AsyncIterator[bytes]:
        nonlocal opens
        opens += 1
        if opens == 2:
            raise ContentMissing("lost meanwhile")
        async for piece in whole(*arguments, **options):
            yield piece

    monkeypatch.setattr(home.contents, "open", once)
    with pytest.raises(Over):
        await one.command("FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT])")
    assert b" NO " not in one.paper.said


async def test_a_message_is_read_while_the_rows_are_behind(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = await opened(home)

    async def behind(account_id: object) -> None:
        raise Unavailable("projector", "behind")

    monkeypatch.setattr(home.room.changing, "_check_rows", behind)
    assert (await one.command("STORE 1 +FLAGS (\\Flagged)")).code == "UNAVAILABLE"
    (fetched, *_) = (await one.ok("FETCH 1 (BODY[])")).of("FETCH")
    assert fetched.items["BODY[]"] == MESSAGE
