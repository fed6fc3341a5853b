"""Commands that change messages of the selected mailbox: STORE, COPY, MOVE, EXPUNGE.

What is asked is appended as a fact; what the client is told comes from its outcome alone.

Source: RFC 9051 §6.4.3, §6.4.6 to §6.4.9; RFC 7162 §3.1.3 (UNCHANGEDSINCE); RFC 4315 (COPYUID).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from gateway.domain.changes import MessageCopied, MessageExpunged, MessageFlagged, MessageMoved, in_parts
from gateway.mail.ids import AccountId
from gateway.mail.rights import DELETE_MESSAGES, KEEP_SEEN, WRITE, right_for_flag
from gateway.mail.uids import Ranges, count_uids, each_uid, ranges_of, uids_text
from gateway.ports import Position
from gateway.processes.imap.session import Change, Done, Session
from gateway.processes.imap.transferring import copy_across, move_across
from gateway.processes.imap.view import View
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import Copy, Expunge, Move, Store
from gateway.protocols.imap.errors import CannotObey
from gateway.protocols.imap.fetching import flag_lines
from gateway.protocols.imap.selected import Flagged
from projections.mailbox.query import Outcome, has_change_between, uids_flagged, usage_of


async def store(session: Session, command: Store) -> Done:
    view = session.writable()
    if command.unchanged_since is not None:
        session.enabled.add("CONDSTORE")  # RFC 7162 §3.1
    uids = view.uids_of(command.numbers, by_uid=command.by_uid)
    flags = _permitted(view, command)
    seen, owes_flags = Position(view.selected.modseq), view.selected.owes_flags
    changes = await session.change(
        [
            MessageFlagged(
                **session.stamp().fields(),
                account_id=view.account_id,
                mailbox_id=view.mailbox_id,
                uids=uids_text(part),
                how=command.how,
                flags=flags,
                unchanged_since=command.unchanged_since,
            )
            for part in in_parts(uids)
        ]
    )
    if not command.is_silent:
        for change in changes:
            await _tell_unchanged(session, command, change)
    elif not owes_flags and not await _is_crossed(session, seen, changes):
        tells_modseq = "CONDSTORE" in session.enabled
        for change in changes:
            view.selected.hush(change.outcome.applied, change.position, tells_modseq=tells_modseq)
    refused = _joined(change.outcome.refused for change in changes)
    if command.unchanged_since is not None and refused:
        return _modified(session, command, refused)
    if uids and not any(change.outcome.applied for change in changes):
        return Done("None of the messages is there any more", kind="NO")
    return Done("STORE completed")


def _permitted(view: View, command: Store) -> tuple[str, ...]:
    """Those of its flags that one may change here (RFC 4314 §4): one at least. Raises CannotObey."""
    if command.how == "replace" and not view.may(KEEP_SEEN + WRITE + DELETE_MESSAGES):
        raise CannotObey("", "You may not change all flags here: use +FLAGS and -FLAGS", "NOPERM")
    permitted = tuple(flag for flag in command.flags if view.may(right_for_flag(flag)))
    if command.flags and not permitted:
        raise CannotObey("", "You have no right to change these flags here", "NOPERM")
    return permitted


async def _tell_unchanged(session: Session, command: Store, change: Change) -> None:
    """What has changed is news, and told with it; here is said what was so before."""
    view = session.selected
    async with session.room.pool.rows() as rows:
        shown = await view.lines(rows, change.outcome.applied)
    as_it_was = (
        Flagged(number, line.uid, line.flags, line.modseq)
        for number, line in view.selected.numbered(shown)
        if line.modseq < change.position
    )
    session.send(
        flag_lines(
            as_it_was,
            tells_uid=command.by_uid,
            tells_modseq="CONDSTORE" in session.enabled,
            is_uidonly=session.is_uidonly,
        )
    )


async def _is_crossed(session: Session, seen: Position, changes: Sequence[Change]) -> bool:
    """Whether somebody else changed flags before it that the client has not heard of: then they are not what
    it works out for itself after .SILENT (RFC 9051 §6.4.6), and it is told."""
    view = session.selected
    places = [seen, *(change.position for change in changes)]
    async with session.room.pool.rows() as rows:
        return any(
            [
                await has_change_between(rows, view.account_id, view.mailbox_id, after, before)
                for after, before in pairwise(places)
            ]
        )


def _modified(session: Session, command: Store, refused: Ranges) -> Done:
    numbers = refused
    if not command.by_uid:
        known = (session.selected.selected.number_of(uid) for uid in each_uid(refused))
        numbers = ranges_of(number for number in known if number is not None)
    return Done("Some of the messages have changed since", responses.modified(numbers))


async def copy(session: Session, command: Copy) -> Done:
    return await _transfer(session, command, MessageCopied)


async def move(session: Session, command: Move) -> Done:
    session.writable()
    return await _transfer(session, command, MessageMoved)


async def _transfer(session: Session, command: Copy | Move, kind: type[MessageCopied | MessageMoved]) -> Done:
    view = session.selected
    name = "COPY" if isinstance(command, Copy) else "MOVE"
    uids = view.uids_of(command.numbers, by_uid=command.by_uid)
    async with session.room.pool.rows() as rows:
        target = await session.place(rows, command, "TRYCREATE")
        shown = await view.lines(rows, uids)
    if not uids:
        return Done(f"{name} completed")
    is_across = target.account_id != view.account_id
    if kind is MessageCopied or is_across:
        await check_room(session, target.account_id, sum(line.octets for line in shown))
    if is_across:
        go = copy_across if kind is MessageCopied else move_across
        return _transferred(session, name, await go(session, uids, target))
    events = [
        kind(
            **session.stamp().fields(),
            account_id=view.account_id,
            mailbox_id=view.mailbox_id,
            uids=uids_text(part),
            to_mailbox_id=target.mailbox_id,
        )
        for part in in_parts(uids)
    ]
    changes = await session.change(events)
    return _transferred(session, name, _copy_uid([change.outcome for change in changes]) or None)


def _transferred(session: Session, name: str, code: str | None) -> Done:
    """code: of what arrived, "" where nobody can say under which UIDs; None: nothing did."""
    if code is None:
        return Done("None of the messages is there any more, or the mailbox is gone", kind="NO")
    if name == "MOVE" and code:  # RFC 6851 §4.3: told before the messages go
        session.send(responses.ok("Moved", code))
        return Done("MOVE completed")
    return Done(f"{name} completed", code)


def _copy_uid(outcomes: Sequence[Outcome]) -> str:
    """ "": nothing arrived."""
    arrived = [one for one in outcomes if one.to_uids]
    if not arrived:
        return ""
    assert count_uids(arrived[0].applied) == count_uids(arrived[0].to_uids), arrived[0]
    return responses.copy_uid(
        arrived[0].to_uidvalidity,
        _joined(one.applied for one in arrived),
        _joined(one.to_uids for one in arrived),
    )


async def expunge(session: Session, command: Expunge) -> Done:
    view = session.writable()
    async with session.room.pool.rows() as rows:
        deleted = await uids_flagged(rows, view.account_id, view.mailbox_id, "\\Deleted")
    if command.uids is not None:
        asked = set(each_uid(view.uids_of(command.uids, by_uid=True)))
        deleted = [uid for uid in deleted if uid in asked]
    known = view.selected.known(ranges_of(deleted))
    await session.change(expunges(session, view, known))
    return Done("EXPUNGE completed")


def expunges(session: Session, view: View, uids: Ranges) -> list[MessageExpunged]:
    """Of those that have \\Deleted by then."""
    return [
        MessageExpunged(
            **session.stamp().fields(),
            account_id=view.account_id,
            mailbox_id=view.mailbox_id,
            uids=uids_text(part),
            only_deleted=True,
        )
        for part in in_parts(uids)
    ]


async def check_room(session: Session, account_id: AccountId, octets: int) -> None:
    """Raises CannotObey when the quota of who holds them has no room for so many octets more (RFC 9208
    §4.3)."""
    async with session.room.pool.rows() as rows:
        usage = await usage_of(rows, account_id)
    if usage.quota_octets is not None and usage.octets + octets > usage.quota_octets:
        raise CannotObey("", "The account has no room for this", "OVERQUOTA")


def _joined(sets: Iterable[Ranges]) -> Ranges:
    """Of sets that ascend, one behind the other."""
    return [one for each in sets for one in each]
