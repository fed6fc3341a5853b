"""`saraban check`: does everything hold together? Log, content, rows and queue, one verdict.

The log is read whole and every recipient of every mail is booked from accepted to its end; the rows must
be where the log is and the queue must hold exactly what the books leave open; contents are read back and
verified by digest, a sample or all.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import click

from gateway.cli.desk import at_desk
from gateway.cli.output import as_json, print_json
from gateway.domain.books import Books
from gateway.domain.codec import MalformedEvent, UnknownTopic
from gateway.domain.events import MailAccepted
from gateway.domain.sealing import BrokenSeal
from gateway.mail.ids import MailId
from gateway.ports import (
    START,
    ContentCorrupt,
    ContentMissing,
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
from projections.queue.project import Recipient

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
    accepted = await read_log(desk, books, last)
    step = 1 if every else max(len(accepted) // SAMPLE, 1)
    read, erased = await _read_contents(desk, books, accepted[::step])
    behind = await _rows_behind(desk, last)
    books.faults += [f"the rows of {name} are {lag} events behind" for name, lag in behind.items() if lag]
    waiting = await compare_queue(desk, books, last)
    verdict = {
        "verdict": "whole" if not books.faults else "damaged",
        "log": {"position": last, "events": books.events},
        "mails": {"accepted": books.mails, "undecided": len(books.open), "erased": erased},
        "content": {"read": read, "of": len(accepted)},
        "rows": {"behind": behind},
        "queue": {"waiting": waiting},
        "faults": books.faults,
    }
    _tell(verdict)
    if books.faults:
        raise SystemExit(1)


async def read_log(desk: Desk, books: Books, last: Position) -> list[Position]:
    """Book every event; the positions of all mail.accepted."""
    accepted: list[Position] = []
    if last == 0:
        return accepted
    try:
        async for batch in desk.log.follow(START):
            for recorded in batch:
                if recorded.position > last:
                    return accepted
                try:
                    books.enter(recorded.position, recorded.event)
                except (UnknownTopic, MalformedEvent) as error:
                    books.faults.append(f"position {recorded.position}: {error}")
                if recorded.topic == MailAccepted.TOPIC:
                    accepted.append(recorded.position)
            if batch[-1].position >= last:
                break
    except LogCorrupt as error:
        books.faults.append(str(error))
    return accepted


async def _read_contents(desk: Desk, books: Books, positions: Sequence[Position]) -> tuple[int, int]:
    """How many contents could be read back, and how many were erased."""
    read = erased = 0
    for position in positions:
        event = (await desk.log.read(position)).event
        assert isinstance(event, MailAccepted), event
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


async def compare_queue(desk: Desk, books: Books, last: Position) -> int:
    """The queue's rows against the books. What came after the books were closed is not held against them."""
    async with desk.pool.rows() as rows:
        waiting, differing, left = 0, set[MailId](), dict(books.waiting)
        async for mail_id, recipients in _by_mail(listing.all_waiting(rows)):
            waiting += len(recipients)
            if left.pop(mail_id, None) != recipients:
                differing.add(mail_id)
    if await desk.log.last() == last:  # a gateway at work is compared where both stand still
        for mail_id in sorted(differing | left.keys()):
            books.faults.append(f"{mail_id}: the queue's rows differ from the log")
    return waiting


async def _by_mail(pages: AsyncIterator[list[Recipient]]) -> AsyncIterator[tuple[MailId, set[int]]]:
    """Each mail of the queue with those of its recipients that wait, one mail in memory. pages: by mail."""
    mail_id, recipients = "", set[int]()
    async for page in pages:
        for row in page:
            if row.mail_id != mail_id and recipients:
                yield MailId(mail_id), recipients
                recipients = set()
            mail_id = row.mail_id
            recipients.add(row.recipient)
    if recipients:
        yield MailId(mail_id), recipients


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
