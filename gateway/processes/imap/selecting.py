"""Opening and closing a mailbox: SELECT, EXAMINE, CLOSE, UNSELECT.

Source: RFC 9051 §6.3.2, §6.3.3, §6.4.1, §6.4.2; RFC 7162 §3.2.5 (QRESYNC); RFC 8474 §4.2 (MAILBOXID).
"""

from typing import Final

from gateway.mail.rights import DELETE_MESSAGES, EXPUNGE, INSERT, KEEP_SEEN, WRITE, right_for_flag
from gateway.mail.uids import ranges_of
from gateway.processes.imap.altering import expunges
from gateway.processes.imap.session import Done, Session
from gateway.processes.imap.view import View
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import Check, Close, Noop, Qresync, Select, Unselect
from gateway.protocols.imap.errors import BadCommand
from gateway.protocols.imap.fetching import flag_lines
from gateway.protocols.imap.selected import Flagged, Selected
from gateway.protocols.imap.sequence_set import NUMBER_MAX
from projections.mailbox.query import (
    MailboxRow,
    opened_mailbox,
    uids_flagged,
    usage_of,
)
from projections.readmodel import Rows

SYSTEM_FLAGS: Final = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
# Who has none of these can change nothing there (RFC 4314 §5.2).
CHANGING: Final = frozenset(KEEP_SEEN + WRITE + INSERT + DELETE_MESSAGES + EXPUNGE)
NEARLY_FULL: Final = 0.9  # from here on a client is warned
# RFC 9051 §2.3.2: those with a meaning; a client may make others.
KEYWORDS: Final = ("$Forwarded", "$MDNSent", "$Junk", "$NotJunk", "$Phishing", "$Important")


async def select(session: Session, command: Select) -> Done:
    if command.qresync is not None and "QRESYNC" not in session.enabled:
        raise BadCommand("", "ENABLE QRESYNC comes first")
    if session.view is not None:
        await session.leave()
        session.send(responses.ok("The former mailbox is closed", "CLOSED"))
    if command.is_condstore:
        session.enabled.add("CONDSTORE")
    pool = session.room.pool
    if session.watch is None:
        session.begin_looking()
    async with pool.snapshot() if command.qresync else pool.rows() as rows:
        place = await session.place(rows, command)
        opened = await opened_mailbox(rows, place.account_id, place.mailbox_id)
        assert opened is not None, "rows of mailboxes stay when they are gone"
        row, uids = opened
        is_read_only = command.is_examine or not place.rights & CHANGING
        view = View(place, Selected(uids, max(row.highestmodseq, 1)), is_read_only=is_read_only)
        session.send(_greeting(session, command, view, row, len(uids)))
        if command.qresync is not None and command.qresync.uidvalidity == row.uidvalidity:
            await _resynchronise(session, view, command.qresync, rows)
        await _warn(session, rows)
    await session.enter(view)
    name = "EXAMINE" if command.is_examine else "SELECT"
    return Done(f"{name} completed", "READ-ONLY" if view.is_read_only else "READ-WRITE")


def _greeting(session: Session, command: Select, view: View, row: MailboxRow, messages: int) -> bytes:
    permanent = () if view.is_read_only else (*SYSTEM_FLAGS, *KEYWORDS, "\\*")
    lines = [
        responses.flags((*SYSTEM_FLAGS, *KEYWORDS)),
        responses.ok(
            "Flags that stay",
            responses.permanent_flags(flag for flag in permanent if view.may(right_for_flag(flag))),
        ),
        responses.exists(messages),
    ]
    if "IMAP4REV2" in session.enabled:  # RFC 9051 §6.3.2 wants LIST, and appendix E has no RECENT
        lines.append(responses.mailbox(command.mailbox, (), is_utf8=True))
    else:
        lines.append(responses.recent(0))
    lines += [
        responses.ok("UIDs are valid", f"UIDVALIDITY {row.uidvalidity}"),
        responses.ok("Predicted next UID", f"UIDNEXT {row.uidnext}"),
        responses.ok("Highest of all", f"HIGHESTMODSEQ {max(row.highestmodseq, 1)}"),
        responses.ok("This mailbox for ever", f"MAILBOXID ({row.mailbox_id})"),
    ]
    return b"".join(lines)


async def _warn(session: Session, rows: Rows) -> None:
    """While there is still something to be done about it. Looked at once in a session."""
    if session.knows_quota:
        return
    session.knows_quota = True
    usage = await usage_of(rows, session.account_id)
    if not usage.quota_octets or usage.octets < NEARLY_FULL * usage.quota_octets:
        return
    used = 100 * usage.octets // usage.quota_octets
    session.send(
        responses.ok(f"The account uses {used} % of what it may: delete what is not needed", "ALERT")
    )


async def _resynchronise(session: Session, view: View, known: Qresync, rows: Rows) -> None:
    """All that has changed since the client was here, in one answer."""
    uids = None
    if known.known_uids is not None:
        uids = known.known_uids.resolve(NUMBER_MAX)
    changes = await view.changed_since(rows, known.modseq, uids=uids)
    unmoved = 0
    if known.matches is not None:  # RFC 7162 §3.2.5.2: what the client knows already
        numbers, their_uids = known.matches
        unmoved = view.selected.unmoved(numbers.resolve(NUMBER_MAX), their_uids.resolve(NUMBER_MAX))
    gone = ranges_of(change.uid for change in changes if change.is_expunged and change.uid > unmoved)
    if gone:
        session.send(responses.vanished(gone, is_earlier=True))
    flagged = (
        Flagged(view.selected.number_of(change.uid) or 0, change.uid, change.flags, change.modseq)
        for change in changes
        if not change.is_expunged
    )
    session.send(flag_lines(flagged, tells_uid=True, tells_modseq=True, is_uidonly=session.is_uidonly))


async def close(session: Session, command: Close) -> Done:
    """RFC 9051 §6.4.1: what has \\Deleted goes without a word; after EXAMINE nothing does, nor without the
    right to it (RFC 4314 §4)."""
    view = session.selected
    if not view.is_read_only and view.may(EXPUNGE):
        async with session.room.pool.rows() as rows:
            deleted = await uids_flagged(rows, view.account_id, view.mailbox_id, "\\Deleted")
        await session.change(expunges(session, view, view.selected.known(ranges_of(deleted))))
    await session.leave()
    return Done("CLOSE completed")


async def unselect(session: Session, command: Unselect) -> Done:
    await session.leave()
    return Done("UNSELECT completed")


async def noop(session: Session, command: Noop | Check) -> Done:
    """What is new is told before its response, as before every other's."""
    return Done("That is all that is new")
