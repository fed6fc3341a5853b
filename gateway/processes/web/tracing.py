"""The trace through the API: what happened to mails, for operators to all, for others to their agency's."""

from datetime import UTC, datetime
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from gateway.processes.web.bodies import PAGE_MAX
from gateway.processes.web.office import Asked, Operation
from gateway.processes.web.problems import malformed
from projections.keyring import clear
from projections.trace.query import RefusalRow, Wanted
from projections.trace.stories import Story, read_refusals, read_stories

MAILS_DEFAULT: Final = 100
Remembered = Annotated[str, Meta(min_length=1, max_length=1_000)]


class TraceWanted(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a mail must match, all of it. after: position of the last step that is known already."""

    mail_id: Remembered | None = None
    message_id: Remembered | None = None
    from_: Remembered | None = field(default=None, name="from")
    to: Remembered | None = None
    ip: Remembered | None = None
    subject: Remembered | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None
    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = MAILS_DEFAULT


class StoryList(Struct):
    """next: `after` of the page that goes on with their steps; null: this is the last."""

    mails: list[Story]
    next: int | None


class RefusalList(Struct):
    refusals: list[RefusalRow]


async def show_stories(asked: Asked) -> StoryList:
    query: TraceWanted = asked.query
    async with asked.office.pool.snapshot() as rows:
        mails, more = await read_stories(
            rows, _wanted(query), agencies=asked.caller.sees, after=query.after, limit=query.limit
        )
    return StoryList(mails, more)


async def show_refusals(asked: Asked) -> RefusalList:
    query: TraceWanted = asked.query
    async with asked.office.pool.snapshot() as rows:
        found = await read_refusals(
            rows, _wanted(query), agencies=asked.caller.sees, after=query.after, limit=query.limit
        )
    return RefusalList(found)


def _wanted(query: TraceWanted) -> Wanted:
    return Wanted(
        mail_id=_text(query.mail_id),
        message_id=_text(query.message_id),
        from_=_text(query.from_),
        to=_text(query.to),
        remote_ip=_text(query.ip),
        subject=_text(query.subject),
        since=moment(query.since) if query.since else None,
    )


def _text(remembered: str | None) -> str | None:
    return None if remembered is None else clear(remembered)


def moment(at: datetime) -> datetime:
    """In UTC. Raises Problem, 400, for a time that has none."""
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise malformed(f"{at.isoformat()} is no time of this calendar") from error


OPERATIONS: Final = (
    Operation(
        "GET",
        "/trace",
        "The last mails that match, with what happened to them: all for operators, for others the mails that"
        " their agency accepted or is a recipient of.",
        show_stories,
        StoryList,
        query=TraceWanted,
    ),
    Operation(
        "GET",
        "/trace/refusals",
        "The last recipients that were refused before there was a mail.",
        show_refusals,
        RefusalList,
        query=TraceWanted,
    ),
)
