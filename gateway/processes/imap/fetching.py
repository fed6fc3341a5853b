"""FETCH: what messages show in rows, and their content, which is read only after the log says so.

Source: RFC 9051 §6.4.5, §7.5.2; RFC 7162 §3.1.4, §3.2.6 (CHANGEDSINCE, VANISHED), RFC 9394 (PARTIAL);
architecture §2 (message.read is durable before the first octet of content leaves).
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeVar

import msgspec

from gateway.domain.changes import MessageFlagged, in_parts
from gateway.domain.events import Event
from gateway.mail.rights import KEEP_SEEN
from gateway.mail.summary import Envelope, EnvelopeAlone, PartSummary, Summary
from gateway.mail.uids import Ranges, ranges_of, uids_text
from gateway.ports import ContentCorrupt, ContentMissing, Unavailable
from gateway.processes.imap.contents import Contents, structure_of
from gateway.processes.imap.session import Done, Session
from gateway.processes.imap.view import View
from gateway.protocols.imap import responses
from gateway.protocols.imap.attributes import ModSeq, sets_seen
from gateway.protocols.imap.commands import Fetch
from gateway.protocols.imap.errors import BadCommand
from gateway.protocols.imap.fetching import MARKS_A_CALL, ROWS_A_CALL, FetchRenderer, implied
from gateway.protocols.imap.selected import HasUid
from gateway.protocols.imap.sequence_set import NUMBER_MAX, part_of
from projections.mailbox.query import MessageRow

SUMMARIES_A_CALL: Final = 500
CONTENTS_A_CALL: Final = 50
SEEN_S: Final = 5.0  # a message is read all the same when the rows are behind

_summary: Final = msgspec.json.Decoder(Summary)
_envelope: Final = msgspec.json.Decoder(EnvelopeAlone)
# What is shown of a message whose key is gone.
_ERASED: Final = Summary(Envelope(), PartSummary("text", "plain", "7bit", 0, 0, 0))
_ERASED_ENVELOPE: Final = EnvelopeAlone(Envelope())


class HasSummary(Protocol):
    """summary: JSON of a Summary; b"" when the key is gone."""

    @property
    def uid(self) -> int: ...
    @property
    def summary(self) -> bytes: ...


L = TypeVar("L", bound=HasUid)


async def fetch(session: Session, command: Fetch) -> Done:
    view = session.selected
    uids = view.uids_of(command.numbers, by_uid=command.by_uid)
    if command.changed_since is not None:
        uids = await _changed(session, command, uids)
    attributes = implied(command)
    if command.changed_since is not None or ModSeq() in attributes:
        session.enabled.add("CONDSTORE")  # RFC 7162 §3.1
    if command.partial is not None:
        uids = part_of(uids, command.partial)
    renderer = FetchRenderer(attributes, is_utf8=session.is_utf8, is_uidonly=session.is_uidonly)
    if renderer.contents:
        await _fetch_contents(session, command, renderer, uids)
    else:
        await _fetch_rows(session, renderer, uids)
    return Done("FETCH completed")


async def _changed(session: Session, command: Fetch, uids: Ranges) -> Ranges:
    """Those that have changed since; what vanished is told (RFC 7162 §3.2.6)."""
    view, since = session.selected, command.changed_since
    assert since is not None
    if command.is_vanished and "QRESYNC" not in session.enabled:
        raise BadCommand("", "ENABLE QRESYNC comes before VANISHED")
    # What vanished the client may know of, or not any more: all that it names.
    is_named = command.is_vanished and not command.numbers.is_saved
    asked = command.numbers.resolve(NUMBER_MAX) if is_named else uids
    async with session.room.pool.rows() as rows:
        changes = await view.changed_since(rows, since, uids=asked)
    gone = ranges_of(change.uid for change in changes if change.is_expunged)
    if command.is_vanished and gone:
        session.send(responses.vanished(gone, is_earlier=True))
    return view.selected.known(ranges_of(change.uid for change in changes if not change.is_expunged))


async def _fetch_rows(session: Session, renderer: FetchRenderer, uids: Ranges) -> None:
    view, pool = session.selected, session.room.pool
    if renderer.needs_marks_alone:
        for part in in_slices(uids, MARKS_A_CALL):
            async with pool.rows() as rows:
                marked = await view.marks(rows, part)
            session.send(renderer.mark_lines(*_numbered(view, marked)))
            await session.flush()
        return
    if not (renderer.needs_envelope or renderer.needs_structure):
        for part in in_slices(uids, ROWS_A_CALL):
            async with pool.rows() as rows:
                shown = await view.lines(rows, part)
            session.send(renderer.lines(*_numbered(view, shown)))
            await session.flush()
        return
    for part in in_slices(uids, SUMMARIES_A_CALL):
        async with pool.rows() as rows:
            summarised = await view.summarised_lines(rows, part)
        numbers, known = _numbered(view, summarised)
        session.send(renderer.lines(numbers, known, await _summaries(session, renderer, known)))
        await session.flush()


def _numbered(view: View, shown: Sequence[L]) -> tuple[list[int], list[L]]:
    """Numbers and rows of those that the client knows."""
    pairs = list(view.selected.numbered(shown))
    return [number for number, _ in pairs], [row for _, row in pairs]


async def _messages(session: Session, view: View, uids: Ranges) -> list[MessageRow]:
    async with session.room.pool.rows() as rows:
        return await view.messages(rows, uids)


async def _summaries(
    session: Session, renderer: FetchRenderer, known: Sequence[HasSummary]
) -> Sequence[Summary] | Sequence[EnvelopeAlone]:
    """As far as the renderer needs them. What was left out of a summary the message itself has."""
    if not renderer.needs_structure:
        return [_envelope.decode(one.summary) if one.summary else _ERASED_ENVELOPE for one in known]
    summaries = [_summary.decode(one.summary) if one.summary else _ERASED for one in known]
    for place, summary in enumerate(summaries):
        if summary.cut:
            uid = known[place].uid
            (message,) = await _messages(session, session.selected, [(uid, uid)])
            summaries[place] = await structure_of(session.room, message)
    return summaries


def in_slices(uids: Ranges, size: int) -> Iterator[Ranges]:
    """The same set, so many UIDs at a time."""
    part: list[tuple[int, int]] = []
    room = size
    for start, end in uids:
        while start <= end:
            last = min(end, start + room - 1)
            part.append((start, last))
            room -= last - start + 1
            start = last + 1
            if not room:
                yield part
                part, room = [], size
    if part:
        yield part


# --- content -----------------------------------------------------------------------------------------------


async def _fetch_contents(session: Session, command: Fetch, renderer: FetchRenderer, uids: Ranges) -> None:
    view = session.selected
    if not uids:
        return
    await _record(session, command, uids)
    contents = Contents(session.room)
    unreadable: ContentMissing | ContentCorrupt | None = None
    for part in in_slices(uids, CONTENTS_A_CALL):
        messages = {message.head.uid: message for message in await _messages(session, view, part)}
        numbered = list(view.selected.numbered([message.head for message in messages.values()]))
        rows = [row for _, row in numbered]
        summaries: Sequence[Summary] | Sequence[EnvelopeAlone] = ()
        if renderer.needs_envelope or renderer.needs_structure:
            summaries = await _summaries(session, renderer, [messages[row.uid] for row in rows])
        openings = renderer.openings([number for number, _ in numbered], rows, summaries)
        await contents.read_ahead([messages[row.uid] for row in rows])
        for row, opening in zip(rows, openings, strict=True):
            try:
                await contents.send(session, messages[row.uid], renderer.contents, opening)
            except (ContentMissing, ContentCorrupt) as error:  # the others can be read all the same
                unreadable = error
    if unreadable is not None:
        raise unreadable


async def _record(session: Session, command: Fetch, uids: Ranges) -> None:
    """That these are read, and that they are \\Seen by that: both in the log before an octet leaves."""
    view = session.selected
    is_peek = view.is_read_only or not view.may(KEEP_SEEN) or not sets_seen(command.attributes)
    read: list[Event] = [
        await session.room.reading.event(
            view.account_id, view.mailbox_id, part, session.reader, session.stamp(), is_peek=is_peek
        )
        for part in in_parts(uids)
    ]
    seen = [] if is_peek else await _seen(session, view, uids)
    positions = await session.room.changing.record(view.account_id, [*read, *seen])
    if seen:  # to be told with what is fetched, unless the rows take their time
        with suppress(Unavailable):
            await session.room.changing.await_rows(view.account_id, positions[-1], SEEN_S, session.hint)
        session.hint.set()  # its news are not told yet


async def _seen(session: Session, view: View, uids: Ranges) -> list[MessageFlagged]:
    """Of those that are not \\Seen yet."""
    unseen: list[int] = []
    for part in in_slices(uids, ROWS_A_CALL):
        async with session.room.pool.rows() as rows:
            shown = await view.lines(rows, part)
        unseen += [line.uid for line in shown if not line.is_expunged and "\\Seen" not in line.flags]
    return [
        MessageFlagged(
            **session.stamp().fields(),
            account_id=view.account_id,
            mailbox_id=view.mailbox_id,
            uids=uids_text(part),
            how="add",
            flags=("\\Seen",),
        )
        for part in in_parts(ranges_of(unseen))
    ]
