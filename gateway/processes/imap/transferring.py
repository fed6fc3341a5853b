"""COPY and MOVE between mailboxes of two accounts.

Source: RFC 9051 §6.4.7, §6.4.8; RFC 4315 (COPYUID), RFC 4314 §4 (flags that one may not set are left out);
architecture §2 (moved_out, moved_in).
"""

from collections.abc import Sequence
from typing import Final

from gateway.domain.changes import MessageAppended, MessageMovedOut
from gateway.mail.rights import right_for_flag
from gateway.mail.uids import Ranges, count_uids, each_uid, ranges_of, uids_text
from gateway.processes.imap.fetching import in_slices
from gateway.processes.imap.places import Place
from gateway.processes.imap.session import Session
from gateway.processes.imap.view import View
from gateway.processes.transfers import A_GROUP, Target
from gateway.protocols.imap import responses
from projections.mailbox.query import MessageRow, Outcome, outcomes_of
from projections.mailbox.sharing import Departure

MOVED_AT_ONCE: Final = 500  # messages a fact, each with an id: 16 KB of it


async def copy_across(session: Session, uids: Ranges, target: Place) -> str | None:
    """Copy what is there. The code that says what arrived, "" where nobody can say under which UIDs; None:
    nothing did. Raises Unavailable, Full."""
    view, transfers = session.selected, session.room.transfers
    sent: list[int] = []
    outcomes: list[Outcome] = []
    to = Target(target.account_id, target.mailbox_id)
    for part in in_slices(uids, A_GROUP):
        messages = [one for one in await _read(session, view, part) if not one.head.is_expunged]
        events = [await transfers.copied(one, _flags(one, target), to, session.stamp()) for one in messages]
        sent += [one.uid for one in messages]
        outcomes += await _arrived(session, target, events)
    return _copy_uid(sent, outcomes, target)


async def move_across(session: Session, uids: Ranges, target: Place) -> str | None:
    """Move what is still there when it is this move's turn. Returns and raises as `copy_across`; what has
    left and not arrived by then arrives later."""
    sent: list[int] = []
    outcomes: list[Outcome] = []
    for part in in_slices(uids, MOVED_AT_ONCE):
        left = await _move_out(session, part, target)
        for some in (left[start : start + A_GROUP] for start in range(0, len(left), A_GROUP)):
            sent += [one.uid for one in some]
            outcomes += await _move_in(session, some, target)
    return _copy_uid(sent, outcomes, target)


async def _move_out(session: Session, uids: Ranges, target: Place) -> list[Departure]:
    """Those of them that this move has got."""
    view, stamp = session.selected, session.stamp()
    ids = session.room.transfers.new_ids(count_uids(uids))
    event = MessageMovedOut(
        **stamp.fields(),
        account_id=view.account_id,
        mailbox_id=view.mailbox_id,
        uids=uids_text(uids),
        to_account_id=target.account_id,
        to_mailbox_id=target.mailbox_id,
        mail_ids=ids,
    )
    (change,) = await session.change([event])
    applied = set(each_uid(change.outcome.applied))
    return [
        Departure(
            change.position,
            view.account_id,
            view.mailbox_id,
            uid,
            mail_id,
            target.account_id,
            target.mailbox_id,
            session.account_id,
            stamp.at,
        )
        for uid, mail_id in zip(each_uid(uids), ids, strict=True)
        if uid in applied
    ]


async def _move_in(session: Session, left: Sequence[Departure], target: Place) -> list[Outcome]:
    messages = {
        one.uid: one for one in await _read(session, session.selected, ranges_of(one.uid for one in left))
    }
    events = [
        await session.room.transfers.moved_in(
            messages[one.uid], _flags(messages[one.uid], target), one, session.stamp()
        )
        for one in left
    ]
    return await _arrived(session, target, events)


async def _read(session: Session, view: View, uids: Ranges) -> list[MessageRow]:
    async with session.room.pool.rows() as rows:
        return await view.messages(rows, uids)


def _flags(message: MessageRow, target: Place) -> list[str]:
    return [flag for flag in message.head.flags.split() if right_for_flag(flag) in target.rights]


async def _arrived(session: Session, target: Place, events: Sequence[MessageAppended]) -> list[Outcome]:
    """Append them, and say where they are. Leaves when the rows do not follow."""
    if not events:
        return []
    positions = await session.room.changing.append(target.account_id, events)
    await session.reach(positions[-1], target.account_id)
    async with session.room.pool.rows() as rows:
        found = await outcomes_of(rows, target.account_id, positions)
    return [outcome for outcome in found if outcome is not None]


def _copy_uid(sent: Sequence[int], outcomes: Sequence[Outcome], target: Place) -> str | None:
    """UIDs are told where all of it is in the mailbox that was named: it may have gone meanwhile, and a move
    may have been finished by who thought it was left behind."""
    if not sent:
        return None
    if len(outcomes) < len(sent) or {one.to_mailbox_id for one in outcomes} != {target.mailbox_id}:
        return ""
    to_uids = ranges_of(uid for outcome in outcomes for uid, _ in outcome.to_uids)
    return responses.copy_uid(outcomes[0].to_uidvalidity, ranges_of(sent), to_uids)
