"""`saraban check`: does everything hold together? Log, content, rows and queue, one verdict.

The log is read whole and every recipient of every mail is booked from accepted to its end; the rows must
be where the log is and the queue must hold exactly what the books leave open; contents are read back and
verified by digest, a sample or all.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

import click

from gateway.cli.desk import at_desk
from gateway.cli.output import as_json, cell, print_json
from gateway.domain.books import LATE, Books, Wait
from gateway.domain.changes import MessageAppended
from gateway.domain.codec import MalformedEvent, UnknownTopic
from gateway.domain.events import MailAccepted
from gateway.domain.sealing import BrokenSeal
from gateway.mail.ids import MailId
from gateway.ports import (
    START,
    Clock,
    ContentCorrupt,
    ContentMissing,
    EventLog,
    KeyForgotten,
    LogCorrupt,
    Position,
    Unavailable,
)
from gateway.processes.presenting import open_message
from gateway.wiring.desk import Desk
from gateway.wiring.ground import READ_MODELS
from projections.checkpoint import position_of, reached
from projections.queue import listing
from projections.queue.project import QueueModel, Recipient
from projections.readmodel import Pool, Rows

SAMPLE: Final = 500
SETTLE_S: Final = 30.0
FAULTS_SHOWN: Final = 20


@click.command()
@click.option("--all", "every", is_flag=True, help=f"Read every content back, not {SAMPLE} spread evenly.")
@at_desk
async def check(desk: Desk, every: bool) -> None:
    """Hold log, content, rows and queue against each other. Exit code 1 when anything is wrong.

    Example: saraban check --all
    """
    books, last = Books(), await desk.log.last()
    waiting = await prove_queue(desk.log, desk.pool, desk.clock, books)
    contents = books.accepted + books.appended
    step = 1 if every else max(len(contents) // SAMPLE, 1)
    read, erased = await _read_contents(desk, books, contents[::step])
    behind = await _rows_behind(desk, last)
    books.faults += [_behind(name, lag) for name, lag in behind.items() if lag and name != QueueModel.name]
    verdict = {
        "verdict": "whole" if not books.faults else "damaged",
        "log": {"position": last, "events": books.events},
        "mails": {"accepted": books.mails, "undecided": len(books.undecided), "erased": erased},
        "content": {"read": read, "of": len(contents)},
        "rows": {"behind": behind},
        "queue": {"waiting": waiting},
        "faults": books.faults,
    }
    _tell(verdict)
    if books.faults:
        raise SystemExit(1)


async def prove_queue(
    log: EventLog, pool: Pool, clock: Clock, books: Books, topics: Collection[str] | None = None
) -> int:
    """Read the log and hold the queue's rows against it, at one position of both: how many recipients wait.

    topics: what is looked into; None: everything, to see whether it can be read.
    """
    last = await log.last()
    is_reached = await reached(pool, QueueModel, last, SETTLE_S)
    async with pool.snapshot() as rows:
        position, now = await position_of(rows, QueueModel), clock.now()
        # First, since leases are of this moment.
        books.faults += [_lateness(row) async for row in listing.late(rows, now - LATE)]
        await _read_log(log, books, max(position, last), topics)
        if is_reached:
            await _compare_queue(rows, books)
        else:
            books.faults.append(_behind(QueueModel.name, last - position))
    books.faults += [*books.late(now), *books.repeated()]
    return sum(map(len, books.waiting.values()))


async def _read_log(log: EventLog, books: Books, last: Position, topics: Collection[str] | None) -> None:
    """Book every event up to a position."""
    if last == 0:
        return
    try:
        async for batch in log.follow(START):
            for recorded in batch:
                if recorded.position > last:
                    return
                if topics is not None and recorded.topic not in topics:
                    books.events += 1
                    continue
                try:
                    books.enter(recorded.position, recorded.event)
                except (UnknownTopic, MalformedEvent) as error:
                    books.faults.append(f"position {recorded.position}: {error}")
            if batch[-1].position >= last:
                break
    except LogCorrupt as error:
        books.faults.append(str(error))


async def _read_contents(desk: Desk, books: Books, positions: Sequence[int]) -> tuple[int, int]:
    """How many contents could be read back, and how many were erased."""
    read = erased = 0
    for position in positions:
        event = (await desk.log.read(Position(position))).event
        assert isinstance(event, MailAccepted | MessageAppended), event
        try:
            opened = await open_message(desk.keys, event.mail_id, event.message, event.keys)
            octets = 0
            async for piece in opened.octets(desk.content):
                octets += len(piece)
        except (KeyForgotten, KeyError):
            erased += 1
            continue
        except (ContentMissing, ContentCorrupt, BrokenSeal, Unavailable) as error:
            books.faults.append(f"position {position}: {error}")
            continue
        read += 1
        if octets != event.message.presented_octets:
            books.faults.append(
                f"position {position}: {event.mail_id} has {octets} octets presented, its event says "
                f"{event.message.presented_octets}"
            )
    return read, erased


async def _rows_behind(desk: Desk, last: Position) -> dict[str, int]:
    """How far each read model is behind, after it had time to come up."""
    await asyncio.gather(*(reached(desk.pool, model, last, SETTLE_S) for model in READ_MODELS))
    async with desk.pool.rows() as rows:
        return {model.name: max(last - await position_of(rows, model), 0) for model in READ_MODELS}


async def _compare_queue(rows: Rows, books: Books) -> None:
    """Whom the rows have waiting, until when and how long, against the books."""
    left = dict(books.waiting)
    async for mail_id, waits in _by_mail(listing.all_waiting(rows)):
        if left.pop(mail_id, None) != waits:
            books.faults.append(f"{mail_id}: the queue's rows differ from the log")
    books.faults += [f"{mail_id}: waits by the log, and the queue has no rows of it" for mail_id in left]


async def _by_mail(pages: AsyncIterator[list[Recipient]]) -> AsyncIterator[tuple[MailId, dict[int, Wait]]]:
    """Each mail of the queue with those of its recipients that wait, one mail in memory. pages: by mail."""
    mail_id, waits = "", dict[int, Wait]()
    async for page in pages:
        for row in page:
            if row.mail_id != mail_id and waits:
                yield MailId(mail_id), waits
                waits = {}
            mail_id = row.mail_id
            waits[row.recipient] = Wait(row.next_attempt_at, row.expires_at)
    if waits:
        yield MailId(mail_id), waits


def _lateness(row: Recipient) -> str:
    what = "its time was over" if row.expires_at <= row.next_attempt_at else "its next attempt was due"
    return f"{row.mail_id} recipient {row.recipient}: {what} at {cell(row.next_attempt_at)}"


def _behind(name: str, lag: int) -> str:
    return f"the rows of {name} are {lag} events behind: is the projector at work? `saraban status` tells"


def _tell(verdict: dict[str, Any]) -> None:
    if as_json():
        print_json(verdict)
        return
    for name, value in verdict.items():
        if name not in ("verdict", "faults"):
            click.echo(f"{name + ':':<9}" + ", ".join(f"{key} {found}" for key, found in value.items()))
    for fault in verdict["faults"][:FAULTS_SHOWN]:
        click.echo(f"fault:   {fault}")
    click.echo(f"{verdict['verdict']}: {len(verdict['faults'])} faults")
