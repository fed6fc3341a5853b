"""What a reader sees of an account's mailboxes.

Reading a mailbox of 100,000 messages is one answer of the database, so lines are tuples and sets are ranges.

Source: RFC 9051 §6.3.2 (SELECT), RFC 7162 §3.2 (QRESYNC), RFC 9208 §5 (quota); architecture §4 (the presented
message is data).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from gateway.domain.events import Content, Message, Wrap
from gateway.domain.open_tree import SEPARATOR
from gateway.mail.ids import AccountId, MailboxId, MailId, slot_of
from gateway.mail.uids import Ranges, parse_uids
from gateway.ports import Position
from projections.checkpoint import position_of
from projections.mailbox.project import MailboxModel
from projections.readmodel import Rows, schema_of

SCHEMA: Final = schema_of(MailboxModel)
_MAILBOX: Final = """account_id, mailbox_id, parent_id, name, role, uidvalidity, uidnext, highestmodseq,
    messages, octets, unseen, deleted, deleted_octets, is_subscribed, opened_at, closed_at"""
_LINE: Final = """uid, modseq, flags, octets, internal_date, saved_at, origin,
    expunged_at IS NOT NULL AS is_expunged"""
_WRAPS: Final = msgspec.json.Decoder(tuple[Wrap, ...])
_HEAD: Final = """mailbox_id, uid, modseq, flags, message.octets, internal_date, saved_at, origin.position,
    expunged_at, mail_id, subject, from_, message_id"""
_WHOLE: Final = """digest, origin.octets AS stored_octets, presented_octets, hint, large, attachments, hidden,
    sealed, keys, front, summary"""
_WITH_ALL: Final = f"""JOIN {SCHEMA}.mailbox ON mailbox.opened_at = box
    JOIN {SCHEMA}.origin ON origin.position = message.origin"""
# $1 account, $2 mailbox.
BOX: Final = f"(SELECT opened_at FROM {SCHEMA}.mailbox WHERE account_id = $1 AND mailbox_id = $2)"
# $3 and $4 where ranges begin and end: each by the index.
_IN_RANGES: Final = f"""
FROM unnest($3::bigint[], $4::bigint[]) AS span (first, last)
CROSS JOIN LATERAL (
    SELECT * FROM {SCHEMA}.message WHERE box = {BOX} AND uid BETWEEN first AND last OFFSET 0
) AS message
"""


# The same as somebody who is not the owner sees it: with their \\Seen ($5) instead of the owner's.
_AS_SEEN: Final = f"""(
    SELECT m.box, m.uid, m.origin, greatest(m.modseq, sight.modseq) AS modseq, m.octets, m.internal_date,
        m.saved_at, m.expunged_at, m.is_elsewhere, concat_ws(' ', CASE WHEN sight.is_seen THEN '\\Seen' END,
            nullif(array_to_string(array_remove(string_to_array(m.flags, ' '), '\\Seen'), ' '), '')) AS flags
    FROM {SCHEMA}.message AS m
    LEFT JOIN {SCHEMA}.sight ON sight.box = m.box AND sight.viewer = $5 AND sight.uid = m.uid
)"""
_IN_RANGES_AS_SEEN: Final = f"""
FROM unnest($3::bigint[], $4::bigint[]) AS span (first, last)
CROSS JOIN LATERAL (
    SELECT * FROM {_AS_SEEN} AS seen WHERE box = {BOX} AND uid BETWEEN first AND last OFFSET 0
) AS message
"""


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """A mailbox. messages to deleted_octets: of what is there; octets: presented."""

    account_id: AccountId
    mailbox_id: MailboxId
    parent_id: str  # "" at the top
    name: str  # of its level; "" when the account's key is gone
    role: str  # "inbox", RFC 6154 special use, or ""
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    messages: int
    octets: int
    unseen: int
    deleted: int
    deleted_octets: int
    is_subscribed: bool
    opened_at: Position
    closed_at: Position | None  # None: it is there


def _column(place: int) -> Any:
    """A column of a driver's record, as an attribute."""
    return property(itemgetter(place))


class Mark(asyncpg.Record):
    """What a client asks again and again of a UID, as the driver has it: nothing is copied, there may be a
    hundred thousand. flags: as gateway.mail.flags."""

    uid: int = _column(0)
    modseq: int = _column(1)
    flags: str = _column(2)


class Line(Mark):
    """A UID of a mailbox. octets: presented; origin: position of the event that brought the octets;
    is_expunged: a tombstone, of which a session may not know yet."""

    octets: int = _column(3)
    internal_date: datetime = _column(4)
    saved_at: datetime = _column(5)
    origin: Position = _column(6)
    is_expunged: bool = _column(7)


class SummarisedLine(Line):
    """summary: JSON of a Summary; b"" when the key is gone."""

    summary: bytes = _column(8)


class Change(NamedTuple):
    """What FETCH shows otherwise than before, or not any more."""

    uid: int
    modseq: int
    flags: str
    is_expunged: bool


@dataclass(frozen=True, slots=True)
class Head:
    """A line of a mailbox list. subject, from_, message_id: blank when the key is gone."""

    mailbox_id: MailboxId
    uid: int
    modseq: int
    flags: str
    octets: int  # presented
    internal_date: datetime
    saved_at: datetime
    origin: Position
    expunged_at: Position | None  # None: it is there
    mail_id: MailId
    subject: str
    from_: str
    message_id: str

    @property
    def is_expunged(self) -> bool:
        return self.expunged_at is not None


@dataclass(frozen=True, slots=True)
class MessageRow:
    """All a reader needs to open a message. front, summary: b"" when the key is gone."""

    head: Head
    message: Message
    keys: tuple[Wrap, ...]
    front: bytes
    summary: bytes

    @property
    def uid(self) -> int:
        return self.head.uid


@dataclass(frozen=True, slots=True)
class Arrival:
    """What brought a message to an account, whatever copies are made of it."""

    account_id: AccountId
    position: Position
    mail_id: MailId
    message: Message
    keys: tuple[Wrap, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change. to_uids: in the order of `applied`; to_mailbox_id "": nothing arrived."""

    mailbox_id: MailboxId
    applied: Ranges
    refused: Ranges
    to_mailbox_id: str
    to_uidvalidity: int
    to_uids: Ranges


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account's mailboxes hold. quota_octets: None: not known."""

    octets: int
    messages: int
    quota_octets: int | None


async def list_mailboxes(rows: Rows, account_id: AccountId, *, gone_too: bool = False) -> list[MailboxRow]:
    """INBOX first, then as they were made. gone_too: also those that are not there any more."""
    found = await rows.fetch(
        f"""SELECT {_MAILBOX} FROM {SCHEMA}.mailbox WHERE account_id = $1 AND ($2 OR closed_at IS NULL)
        ORDER BY role <> 'inbox', uidvalidity""",
        account_id,
        gone_too,
    )
    return [MailboxRow(*row) for row in found]


def paths_of(mailboxes: Iterable[MailboxRow]) -> dict[MailboxId, str]:
    """Whole names, `Projects/2569`; where the account's key is gone, ids stand for names."""
    by_id = {row.mailbox_id: row for row in mailboxes}

    def path(row: MailboxRow) -> str:
        parent, name = by_id.get(MailboxId(row.parent_id)), row.name or row.mailbox_id
        return name if parent is None else path(parent) + SEPARATOR + name

    return {mailbox_id: path(row) for mailbox_id, row in by_id.items()}


async def mailbox_of(rows: Rows, account_id: AccountId, mailbox_id: MailboxId) -> MailboxRow | None:
    """Also one that is gone."""
    found = await rows.fetchrow(
        f"SELECT {_MAILBOX} FROM {SCHEMA}.mailbox WHERE account_id = $1 AND mailbox_id = $2",
        account_id,
        mailbox_id,
    )
    return MailboxRow(*found) if found else None


async def uids_of(rows: Rows, account_id: AccountId, mailbox_id: MailboxId) -> Sequence[int]:
    """Ascending, without tombstones."""
    found: list[int] = await rows.fetchval(
        f"""SELECT ARRAY(SELECT uid FROM {SCHEMA}.message
        WHERE box = {BOX} AND expunged_at IS NULL ORDER BY uid)""",
        account_id,
        mailbox_id,
    )
    return found


async def sizes_of(rows: Rows, account_id: AccountId, mailbox_id: MailboxId) -> list[tuple[int, int]]:
    """UIDs and presented octets of what is there, by UID."""
    found = await rows.fetch(
        f"""SELECT uid, octets FROM {SCHEMA}.message
        WHERE box = {BOX} AND expunged_at IS NULL ORDER BY uid""",
        account_id,
        mailbox_id,
    )
    return [(uid, octets) for uid, octets in found]


async def opened_mailbox(
    rows: Rows, account_id: AccountId, mailbox_id: MailboxId
) -> tuple[MailboxRow, Sequence[int]] | None:
    """A mailbox and its UIDs as of one moment, whether the caller has a snapshot or not."""
    found = await rows.fetchrow(
        f"""SELECT {_MAILBOX}, ARRAY(SELECT uid FROM {SCHEMA}.message
            WHERE box = opened_at AND expunged_at IS NULL ORDER BY uid)
        FROM {SCHEMA}.mailbox WHERE account_id = $1 AND mailbox_id = $2""",
        account_id,
        mailbox_id,
    )
    if found is None:
        return None
    *row, uids = found
    return MailboxRow(*row), uids


async def uids_flagged(rows: Rows, account_id: AccountId, mailbox_id: MailboxId, flag: str) -> list[int]:
    """Ascending, without tombstones. flag: in its canonical case."""
    found: list[int] = await rows.fetchval(
        f"""SELECT ARRAY(SELECT uid FROM {SCHEMA}.message
        WHERE box = {BOX} AND expunged_at IS NULL
            AND $3 = ANY(string_to_array(flags, ' ')) ORDER BY uid)""",
        account_id,
        mailbox_id,
        flag,
    )
    return found


async def marks(
    rows: Rows,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Ranges,
    *,
    viewer: AccountId | None = None,
) -> list[Mark]:
    """As `lines`, in a fifth of the time."""
    found: list[Mark] = await rows.fetch(
        f"SELECT uid, modseq, flags {_in_ranges(viewer)} ORDER BY uid",
        account_id,
        mailbox_id,
        *_bounds(uids),
        *if_any(viewer),
        record_class=Mark,
    )
    return found


async def lines(
    rows: Rows,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Ranges,
    *,
    viewer: AccountId | None = None,
) -> list[Line]:
    """Those of the UIDs that the mailbox ever had, by UID, tombstones included.

    viewer: who is not the owner, and sees a \\Seen and MODSEQs of their own; here and below.
    """
    found: list[Line] = await rows.fetch(
        f"SELECT {_LINE} {_in_ranges(viewer)} ORDER BY uid",
        account_id,
        mailbox_id,
        *_bounds(uids),
        *if_any(viewer),
        record_class=Line,
    )
    return found


async def summarised_lines(
    rows: Rows,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Ranges,
    *,
    viewer: AccountId | None = None,
) -> list[SummarisedLine]:
    """The same with their summaries."""
    found: list[SummarisedLine] = await rows.fetch(
        f"""SELECT uid, modseq, flags, message.octets, internal_date, saved_at, message.origin,
            expunged_at IS NOT NULL, summary
        {_in_ranges(viewer)} JOIN {SCHEMA}.origin ON origin.position = message.origin ORDER BY uid""",
        account_id,
        mailbox_id,
        *_bounds(uids),
        *if_any(viewer),
        record_class=SummarisedLine,
    )
    return found


async def changed_since(
    rows: Rows,
    account_id: AccountId,
    mailbox_id: MailboxId,
    modseq: int,
    *,
    uids: Ranges | None = None,
    viewer: AccountId | None = None,
) -> list[Change]:
    """What has changed after a MODSEQ, of these UIDs or of all, by UID, tombstones included."""
    changed = f"{SCHEMA}.message WHERE box = {BOX} AND modseq > $3"
    if viewer is not None:
        changed = f"""{_AS_SEEN} AS seen WHERE box = {BOX} AND uid IN (SELECT uid FROM {changed}
            UNION SELECT uid FROM {SCHEMA}.sight WHERE box = {BOX} AND viewer = $5 AND modseq > $3)"""
    query = f"""SELECT uid, modseq, flags, expunged_at IS NOT NULL AS is_expunged FROM {changed}
        AND ($4::text IS NULL OR uid <@ (SELECT $4::text::int8multirange)) ORDER BY uid"""
    within = None if uids is None else "{" + ",".join(f"[{first},{last}]" for first, last in uids) + "}"
    values = account_id, mailbox_id, modseq, within, *if_any(viewer)
    found = await _columns(rows, Change._fields, query, *values)
    return list(map(Change, *found))


async def list_messages(
    rows: Rows, account_id: AccountId, mailbox_id: MailboxId, *, after_uid: int = 0, limit: int = 1_000
) -> list[Head]:
    """By UID, without what was expunged."""
    found = await rows.fetch(
        f"""SELECT {_HEAD} FROM {SCHEMA}.message {_WITH_ALL}
        WHERE box = {BOX} AND uid > $3 AND expunged_at IS NULL
        ORDER BY uid LIMIT $4""",
        account_id,
        mailbox_id,
        after_uid,
        limit,
    )
    return [Head(*row) for row in found]


async def list_restorable(
    rows: Rows, account_id: AccountId, *, before: Head | None = None, limit: int = 1_000
) -> list[Head]:
    """Tombstones whose message is nowhere else by now, the latest first. before: the last one of a page."""
    found = await rows.fetch(
        f"""SELECT {_HEAD} FROM {SCHEMA}.message {_WITH_ALL}
        WHERE mailbox.account_id = $1 AND expunged_at IS NOT NULL AND NOT is_elsewhere
            AND ($2::bigint IS NULL OR (expunged_at, mailbox_id, uid) < ($2, $3::text, $4::bigint))
        ORDER BY expunged_at DESC, mailbox_id DESC, uid DESC LIMIT $5""",
        account_id,
        *((before.expunged_at, before.mailbox_id, before.uid) if before else (None, None, None)),
        limit,
    )
    return [Head(*row) for row in found]


async def read_messages(
    rows: Rows,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Ranges,
    *,
    viewer: AccountId | None = None,
) -> list[MessageRow]:
    """Those of the UIDs that the mailbox ever had, by UID, tombstones included."""
    found = await rows.fetch(
        f"SELECT {_HEAD}, {_WHOLE} {_in_ranges(viewer)} {_WITH_ALL} ORDER BY uid",
        account_id,
        mailbox_id,
        *_bounds(uids),
        *if_any(viewer),
    )
    return [_message(row) for row in found]


async def find_mail(rows: Rows, account_id: AccountId, mail_id: MailId) -> list[MessageRow]:
    """Where the account has this mail."""
    found = await rows.fetch(
        f"""SELECT {_HEAD}, {_WHOLE} FROM {SCHEMA}.message {_WITH_ALL}
        WHERE origin = (SELECT position FROM {SCHEMA}.delivery WHERE account_id = $1 AND mail_id = $2)
            AND expunged_at IS NULL ORDER BY mailbox_id, uid""",
        account_id,
        mail_id,
    )
    return [_message(row) for row in found]


async def arrivals(rows: Rows, after: Position, up_to: Position, *, limit: int) -> list[Arrival]:
    """Of all accounts, in the order of the log. up_to: inclusive."""
    found = await rows.fetch(
        f"""SELECT account_id, position, mail_id, {_WHOLE} FROM {SCHEMA}.origin
        WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3""",
        after,
        up_to,
        limit,
    )
    return [
        Arrival(row["account_id"], row["position"], row["mail_id"], _stored(row), _WRAPS.decode(row["keys"]))
        for row in found
    ]


async def outcome_of(rows: Rows, account_id: AccountId, position: Position) -> Outcome | None:
    """None: the rows have not reached that position, or it is no change."""
    (outcome,) = await outcomes_of(rows, account_id, [position])
    return outcome


async def outcomes_of(
    rows: Rows, account_id: AccountId, positions: Sequence[Position]
) -> list[Outcome | None]:
    """The same of many, in their order."""
    found = await rows.fetch(
        f"""SELECT position, mailbox_id, applied, refused, to_mailbox_id, to_uidvalidity, to_uids
        FROM {SCHEMA}.change_outcome WHERE account_id = $1 AND position = ANY($2::bigint[])""",
        account_id,
        positions,
    )
    outcomes = {
        position: Outcome(
            mailbox_id,
            parse_uids(applied),
            parse_uids(refused),
            to_mailbox_id,
            to_uidvalidity,
            parse_uids(to_uids),
        )
        for position, mailbox_id, applied, refused, to_mailbox_id, to_uidvalidity, to_uids in found
    }
    return [outcomes.get(position) for position in positions]


async def has_change_between(
    rows: Rows, account_id: AccountId, mailbox_id: MailboxId, after: Position, before: Position
) -> bool:
    """Whether anybody changed messages of the mailbox there, both ends left out; of lately, as outcomes are
    kept for a while."""
    found: bool = await rows.fetchval(
        f"""SELECT EXISTS (SELECT FROM {SCHEMA}.change_outcome
        WHERE account_id = $1 AND position > $3 AND position < $4 AND mailbox_id = $2)""",
        account_id,
        mailbox_id,
        after,
        before,
    )
    return found


async def folded_up_to(rows: Rows, account_id: AccountId) -> Position:
    """Everything of this account up to here is in the rows."""
    return await position_of(rows, MailboxModel, int(slot_of(account_id)))


async def annotations_of(
    rows: Rows, account_id: AccountId, mailbox_ids: Sequence[str]
) -> dict[str, dict[str, bytes]]:
    """What their metadata says, by mailbox and entry. WHOLE_ACCOUNT among the ids: of the account itself."""
    found = await rows.fetch(
        f"""SELECT mailbox_id, entry, value FROM {SCHEMA}.annotation
        WHERE account_id = $1 AND mailbox_id = ANY($2::text[]) AND value IS NOT NULL
        ORDER BY mailbox_id, entry COLLATE "C" """,
        account_id,
        mailbox_ids,
    )
    annotations: dict[str, dict[str, bytes]] = {mailbox_id: {} for mailbox_id in mailbox_ids}
    for mailbox_id, entry, value in found:
        annotations[mailbox_id][entry] = value
    return annotations


async def annotated_since(
    rows: Rows, account_id: AccountId, after: Position
) -> list[tuple[str, str, Position]]:
    """What metadata has changed, or was taken away: mailbox, entry, position, in the order of the log."""
    found = await rows.fetch(
        f"""SELECT mailbox_id, entry, changed_at FROM {SCHEMA}.annotation
        WHERE account_id = $1 AND changed_at > $2 ORDER BY changed_at""",
        account_id,
        after,
    )
    return [(mailbox_id, entry, at) for mailbox_id, entry, at in found]


async def usage_of(rows: Rows, account_id: AccountId) -> Usage:
    """Nothing for an account that nobody has told of."""
    found = await rows.fetchrow(
        f"SELECT octets, messages, quota_octets FROM {SCHEMA}.usage WHERE account_id = $1", account_id
    )
    return Usage(*found) if found else Usage(0, 0, None)


async def _columns(rows: Rows, names: Sequence[str], query: str, *values: object) -> list[list[Any]]:
    """What a query gives, column by column: the driver makes lists in half the time of as many records."""
    told = ", ".join(f"array_agg({name})" for name in names)
    found = await rows.fetchrow(f"SELECT {told} FROM ({query}) AS found", *values)
    assert found is not None, "an aggregate is one row"
    return [column or [] for column in found]


def messages_of(viewer: AccountId | None) -> str:
    """Where messages are, as somebody sees them who is not the owner ($5), or as they are."""
    return f"{SCHEMA}.message" if viewer is None else f"{_AS_SEEN} AS message"


def _in_ranges(viewer: AccountId | None) -> str:
    return _IN_RANGES if viewer is None else _IN_RANGES_AS_SEEN


def if_any(viewer: AccountId | None) -> tuple[AccountId, ...]:
    return () if viewer is None else (viewer,)


def _bounds(uids: Ranges) -> tuple[list[int], list[int]]:
    """Where ranges begin and where they end, as SQL takes them."""
    return [first for first, _ in uids], [last for _, last in uids]


def _message(row: asyncpg.Record) -> MessageRow:
    head, keys = Head(*tuple(row)[:13]), _WRAPS.decode(row["keys"])
    return MessageRow(head, _stored(row), keys, row["front"], row["summary"])


def _stored(row: asyncpg.Record) -> Message:
    spans, attachments = row["hidden"], tuple(row["attachments"])
    content = Content(row["digest"], row["stored_octets"], row["hint"], row["large"], attachments)
    hidden = tuple(zip(spans[::2], spans[1::2], strict=True))
    return Message(content, row["presented_octets"], row["sealed"], hidden)
