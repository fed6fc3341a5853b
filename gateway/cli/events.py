"""`saraban events` and `saraban log`: the log itself, and setting an event aside."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import click
import orjson

from gateway.cli.desk import at_desk, reason_option, stamp
from gateway.cli.output import as_json, fail, nothing, print_json, print_line, say
from gateway.domain.events import ConsumerHeld, ConsumerReleased, Fact
from gateway.domain.histories import consumer_history
from gateway.ports import START, Checkpoint, Position, Recorded
from gateway.wiring.desk import Desk
from gateway.wiring.ground import CONSUMERS

TAIL_DEFAULT = 20


@click.group()
def events() -> None:
    """The events of the log, as they are.

    Example: saraban events tail -n 50
    """


@events.command()
@click.option(
    "-n",
    "--count",
    default=TAIL_DEFAULT,
    show_default=True,
    type=click.IntRange(1, 100_000_000),
    help="How many of the last events.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("--topic", default="", help="Only topics that begin so, e.g. mail.")
@at_desk
async def tail(desk: Desk, count: int, follow: bool, topic: str) -> None:
    """The last events, one JSON line each with --json.

    Example: saraban events tail --topic mail. -f
    """
    last = await desk.log.last()
    found = await _last_of(desk, topic, count, last)
    if not found and not follow:
        nothing(f"the log has no event whose topic begins with {topic!r}" if topic else "the log is empty")
    for recorded in found:
        _show(recorded)
    if not follow:
        return
    async for batch in desk.log.follow(await _at(desk, last)):
        for recorded in batch:
            if recorded.topic.startswith(topic):
                _show(recorded)


async def _last_of(desk: Desk, topic: str, count: int, last: Position) -> Sequence[Recorded]:
    """The last events of a topic up to a position: looked for from the end, further back each time."""
    window = count
    while True:
        begin = Position(max(last - window, 0))
        found: deque[Recorded] = deque(maxlen=count)
        if begin < last:
            async for batch in desk.log.follow(await _at(desk, begin)):
                found += [r for r in batch if r.position <= last and r.topic.startswith(topic)]
                if batch[-1].position >= last:
                    break
        if len(found) == count or begin == 0:
            return found
        window *= 16


async def _at(desk: Desk, position: Position) -> Checkpoint:
    return Checkpoint(position, (await desk.log.read(position)).digest) if position else START


@events.command()
@click.argument("position", type=click.IntRange(min=1))
@at_desk
async def show(desk: Desk, position: int) -> None:
    """One event with all its fields.

    Example: saraban events show 42
    """
    try:
        recorded = await desk.log.read(Position(position))
    except IndexError as error:
        nothing(str(error))
    print_json(_fields(recorded))


def _fields(recorded: Recorded) -> dict[str, Any]:
    return {
        "position": recorded.position,
        "subject": recorded.subject,
        "topic": recorded.topic,
        "digest": recorded.digest.hex(),
        "event": orjson.loads(recorded.state),
    }


def _show(recorded: Recorded) -> None:
    if as_json():
        print_line(_fields(recorded))
        return
    event = orjson.loads(recorded.state)
    ids = " ".join(_ids(event))
    click.echo(f"{recorded.position:>10}  {event['at'][:23]:<23}  {recorded.topic:<20}  {ids}")


def _ids(event: dict[str, Any]) -> Iterator[str]:
    named = ("mail_id", "account_id", "agency_id", "originator_id", "name", "pack", "cause")
    return islice((str(event[name]) for name in named if event.get(name)), 2)


@click.group()
def log() -> None:
    """Set an event aside that a consumer cannot fold, and take it up again.

    Example: saraban log hold 42 --consumer mailbox --reason 'malformed summary, case 17'
    """


@log.command()
@click.argument("position", type=click.IntRange(min=1))
@click.option("--consumer", required=True, type=click.Choice(CONSUMERS), help="Who passes over it.")
@reason_option("Why is it passed over")
@at_desk
async def hold(desk: Desk, position: int, consumer: str, reason: str) -> None:
    """Let one consumer pass over a position until it is released.

    Example: saraban log hold 42 --consumer router --reason 'case 17'
    """
    try:
        await desk.log.read(Position(position))
    except IndexError as error:
        fail(str(error))
    held = ConsumerHeld(consumer=consumer, position=position, reason=reason, **stamp(desk).fields())
    await _append(desk, consumer, held)
    say(f"{consumer} passes over {position} from now on", consumer=consumer, position=position, held=True)


@log.command()
@click.argument("position", type=click.IntRange(min=1))
@click.option("--consumer", required=True, type=click.Choice(CONSUMERS), help="Who passed over it.")
@at_desk
async def release(desk: Desk, position: int, consumer: str) -> None:
    """End a hold. Rows that passed over the event take it up by `saraban projection rebuild`.

    Example: saraban log release 42 --consumer mailbox
    """
    if position not in await desk.holds(consumer):
        nothing(f"{consumer} holds nothing at {position}")
    await _append(
        desk, consumer, ConsumerReleased(consumer=consumer, position=position, **stamp(desk).fields())
    )
    say(f"{consumer} no longer passes over {position}", consumer=consumer, position=position, held=False)


async def _append(desk: Desk, consumer: str, event: ConsumerHeld | ConsumerReleased) -> None:
    """Guarded by the consumer's history: two operators cannot write past each other."""
    subject = consumer_history(consumer)
    history = await desk.log.history(subject)
    last = history[-1].position if history else Position(0)
    async with asyncio.timeout(30):
        await desk.log.append_guarded([Fact(subject, event)], {subject: last})
