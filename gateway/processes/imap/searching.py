"""SEARCH, SORT and THREAD: from rows alone where those say enough, then from summaries, headers and texts.

Source: RFC 9051 §6.4.4, §7.3.4 (ESEARCH); RFC 5182 (SAVE), RFC 5256 (SORT, THREAD), RFC 9394 (PARTIAL),
RFC 7162 §3.1.5 (MODSEQ).
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from gateway.mail import headers
from gateway.mail.summary import Envelope, EnvelopeAlone
from gateway.mail.uids import Ranges, count_uids, ranges_of, uids_text
from gateway.ports import ContentCorrupt, ContentMissing
from gateway.processes.imap.fetching import SUMMARIES_A_CALL, in_slices
from gateway.processes.imap.indexed import Indexed
from gateway.processes.imap.session import Done, Session
from gateway.processes.looking import Looked
from gateway.processes.presenting import open_message
from gateway.protocols.imap import responses, threads
from gateway.protocols.imap.commands import Returns, Search, Sort, Thread
from gateway.protocols.imap.errors import BadCommand
from gateway.protocols.imap.fetching import ROWS_A_CALL
from gateway.protocols.imap.search_keys import And, Key, Messages, ModifiedSince, each_key
from gateway.protocols.imap.searching import Context, Known
from gateway.protocols.imap.searching import Search as Looking
from gateway.protocols.imap.selected import Selected
from gateway.protocols.imap.sequence_set import NUMBER_MAX
from gateway.protocols.imap.sorting import Sortable, in_order, needs_envelope, sent_or_arrived
from gateway.protocols.imap.threads import Threadable, by_algorithm, message_ids
from projections.mailbox.query import Line, MessageRow
from projections.mailbox.searching import judge

_envelope: Final = msgspec.json.Decoder(EnvelopeAlone)


class Found(NamedTuple):
    """A message that a search was for, under the number the client knows it by."""

    number: int
    uid: int


async def search(session: Session, command: Search) -> Done:
    if "UTF8=ACCEPT" in session.enabled and command.charset != "utf-8":
        raise BadCommand("", "With UTF8=ACCEPT texts are UTF-8")  # RFC 6855 §3
    found = await find(session, command.key)
    numbers = [one.uid if command.by_uid else one.number for one in found]
    modseq = await _highest(session, command.key, found)
    returns = command.returns
    if returns is None and "IMAP4REV2" not in session.enabled:
        session.send(responses.search(numbers, modseq))
        return Done("SEARCH completed")
    returns = returns or Returns(frozenset({"ALL"}))
    if "SAVE" in returns.options:
        session.selected.selected.saved = ranges_of(_saved(returns, [one.uid for one in found]))
    if returns.options - {"SAVE"} or returns.partial or not returns.options:
        results = _results(returns, numbers, modseq)
        session.send(responses.esearch(session.tag, results, by_uid=command.by_uid))
    return Done("SEARCH completed")


async def sort(session: Session, command: Sort) -> Done:
    found = await find(session, command.key)
    sortables = await _sortables(session, found, with_envelopes=needs_envelope(command.criteria))
    ordered = in_order(sortables, command.criteria)
    number_of = {one.uid: one.number for one in found}
    numbers = list(ordered) if command.by_uid else [number_of[uid] for uid in ordered]
    modseq = await _highest(session, command.key, found)
    if command.returns is None:
        session.send(responses.sort(numbers, modseq))
    else:
        results = _results(command.returns, numbers, modseq)
        session.send(responses.esearch(session.tag, results, by_uid=command.by_uid))
    return Done("SORT completed")


async def thread(session: Session, command: Thread) -> Done:
    found = await find(session, command.key)
    sortables = await _sortables(session, found, with_envelopes=True)
    references = await _references(session, found) if command.algorithm == "REFERENCES" else {}
    threadables = []
    for one, (row, known) in zip(found, sortables, strict=True):
        envelope = known or Envelope()
        ids = message_ids(envelope.message_id or "")
        threadables.append(
            Threadable(
                number=one.uid if command.by_uid else one.number,
                sent_at=sent_or_arrived(row, envelope),
                subject=envelope.subject or "",
                message_id=ids[0] if ids else "",
                references=references.get(one.uid) or message_ids(envelope.in_reply_to or "")[:1],
            )
        )
    session.send(threads.response(by_algorithm(command.algorithm, threadables)))
    return Done("THREAD completed")


# --- looking --------------------------------------------------------------------------------------------


async def find(session: Session, key: Key) -> list[Found]:
    """Those that the client knows and that are there, by number."""
    view, indexed = session.selected, Indexed(key)
    context = Context(
        now=session.room.clock.now(),
        uids_of=lambda messages: view.selected.matching(messages.numbers, by_uid=messages.by_uid),
        indexed=indexed.answers,
    )
    async with session.room.pool.rows() as rows:
        candidates = _candidates(view.selected, key)
        sure, unsure = await judge(
            rows, view.account_id, view.mailbox_id, candidates, key, context, viewer=view.viewer
        )
    if unsure:
        chosen = await _ask_further(session, Looking(key, context), indexed, unsure)
        sure = sorted({*sure, *chosen})
    return [Found(*one) for one in view.selected.numbers_of(sure)]


def _candidates(selected: Selected, key: Key) -> Ranges:
    """The smallest set that it names among what all has to hold; else all."""
    keys = key.keys if isinstance(key, And) else (key,)
    named = [selected.matching(one.numbers, by_uid=one.by_uid) for one in keys if isinstance(one, Messages)]
    return min(named, key=count_uids) if named else selected.known([(1, NUMBER_MAX)])


async def _ask_further(
    session: Session, looking: Looking, indexed: Indexed, unsure: Sequence[int]
) -> set[int]:
    """Which of them it is, by what the index says, and by reading those that it cannot tell of."""
    view, chosen = session.selected, set[int]()
    for part in in_slices(view.selected.known(ranges_of(unsure)), ROWS_A_CALL):
        async with session.room.pool.rows() as rows:
            shown = await view.lines(rows, part)
        there = [row for row in shown if not row.is_expunged]
        await indexed.ask(session.room.pool, view.account_id, there)
        verdicts = {row.uid: looking.verdict(row) for row in there}
        chosen |= {uid for uid, verdict in verdicts.items() if verdict}
        if left := [row for row in there if verdicts[row.uid] is None]:
            chosen |= await _look_closer(session, looking, left)
    return chosen


async def _look_closer(session: Session, looking: Looking, unsure: Sequence[Line]) -> frozenset[int]:
    """Which of them it is, by their envelopes, and by reading those whose envelopes do not tell either."""
    view, chosen, left = session.selected, set[int](), dict[int, Line]()
    for part in in_slices(ranges_of(row.uid for row in unsure), ROWS_A_CALL):
        async with session.room.pool.rows() as rows:
            shown = await view.summarised_lines(rows, part)
        for row in shown:
            if not row.summary:
                continue  # it was erased: nobody finds its words
            verdict = looking.verdict(row, Known(_envelope.decode(row.summary)))
            if verdict is None:
                left[row.uid] = row
            elif verdict:
                chosen.add(row.uid)
    for part in in_slices(ranges_of(left), SUMMARIES_A_CALL):
        messages = await _messages(session, part)
        await session.room.content.read_ahead([one.message.content for one in messages])
        chosen |= {one.uid for one in messages if await _is_sought(session, looking, left[one.uid], one)}
    return frozenset(chosen)


async def _is_sought(session: Session, looking: Looking, row: Line, message: MessageRow) -> bool:
    looked, summary = await _looked(session, message), _envelope.decode(message.summary)
    known = Known(summary, await looked.header())
    verdict = looking.verdict(row, known)
    if verdict is None:
        known = Known(summary, known.header, await looked.text())
        verdict = looking.verdict(row, known)
    assert verdict is not None, "all is known"
    return verdict


async def _looked(session: Session, message: MessageRow) -> Looked:
    """Raises KeyForgotten, Unavailable."""
    room = session.room
    opened = await open_message(room.keys, message.head.mail_id, message.message, message.keys)
    return Looked(room.content, opened)


async def _messages(session: Session, uids: Ranges) -> list[MessageRow]:
    view = session.selected
    async with session.room.pool.rows() as rows:
        return await view.messages(rows, uids)


async def _sortables(session: Session, found: Sequence[Found], *, with_envelopes: bool) -> list[Sortable]:
    """In the same order. Erased messages have no envelope."""
    view, sortables = session.selected, list[Sortable]()
    uids = ranges_of(one.uid for one in found)
    if not with_envelopes:
        for part in in_slices(uids, ROWS_A_CALL):
            async with session.room.pool.rows() as rows:
                sortables += map(Sortable, await view.lines(rows, part))
        return sortables
    for part in in_slices(uids, SUMMARIES_A_CALL):
        async with session.room.pool.rows() as rows:
            shown = await view.summarised_lines(rows, part)
        sortables += [
            Sortable(row, _envelope.decode(row.summary).envelope if row.summary else None) for row in shown
        ]
    return sortables


async def _references(session: Session, found: Sequence[Found]) -> dict[int, tuple[str, ...]]:
    """By UID, of their References (RFC 5256 §3). One that cannot be read answers nothing that is known."""
    references = {}
    for part in in_slices(ranges_of(one.uid for one in found), SUMMARIES_A_CALL):
        messages = [message for message in await _messages(session, part) if message.summary]
        await session.room.content.read_ahead([one.message.content for one in messages])
        for message in messages:
            with suppress(ContentMissing, ContentCorrupt):
                header = await (await _looked(session, message)).header()
                field = headers.first(header, "references")
                references[message.uid] = message_ids(field.text) if field is not None else ()
    return references


# --- telling --------------------------------------------------------------------------------------------


async def _highest(session: Session, key: Key, found: Sequence[Found]) -> int | None:
    """The highest MODSEQ of them, after a search for it (RFC 7162 §3.1.5)."""
    if not any(isinstance(one, ModifiedSince) for one in each_key(key)):
        return None
    session.enabled.add("CONDSTORE")
    sortables = await _sortables(session, found, with_envelopes=False)
    return max((one.row.modseq for one in sortables), default=None)


def _results(returns: Returns, numbers: Sequence[int], modseq: int | None) -> dict[str, int | str]:
    """In the order of RFC 9051 §9; of no messages only COUNT and PARTIAL are told."""
    results: dict[str, int | str] = {}
    if numbers and "MIN" in returns.options:
        results["MIN"] = min(numbers)
    if numbers and "MAX" in returns.options:
        results["MAX"] = max(numbers)
    if numbers and "ALL" in returns.options:
        results["ALL"] = _as_set(numbers)
    if "COUNT" in returns.options:
        results["COUNT"] = len(numbers)
    if returns.partial is not None:
        first, last = returns.partial
        results["PARTIAL"] = f"({first}:{last} {_as_set(_part(returns.partial, numbers)) or 'NIL'})"
    if numbers and modseq is not None:
        results["MODSEQ"] = modseq
    return results


def _as_set(numbers: Sequence[int]) -> str:
    """Of a sort the order stays (RFC 5267 §3.1)."""
    if any(later < earlier for earlier, later in pairwise(numbers)):
        return ",".join(map(str, numbers))
    return uids_text(ranges_of(numbers))


def _saved(returns: Returns, uids: Sequence[int]) -> Iterable[int]:
    """RFC 5182 §2.4, RFC 9394 §3.2: what MIN, MAX and PARTIAL alone tell is all that is kept."""
    asked = returns.options - {"SAVE"}
    tells_some = asked or returns.partial is not None
    if not uids or not tells_some or asked - {"MIN", "MAX"}:
        return uids
    kept = {uids[0]} if "MIN" in asked else set()
    kept |= {uids[-1]} if "MAX" in asked else set()
    if returns.partial is not None:
        kept.update(_part(returns.partial, uids))
    return sorted(kept)


def _part(partial: tuple[int, int], numbers: Sequence[int]) -> Sequence[int]:
    """RFC 9394 §3.1: counted from 1, or from the end."""
    first, last = partial
    return numbers[first - 1 : last] if first > 0 else numbers[last : first + 1 or None]
