"""Mailboxes and messages between their rows and a fold: what a batch needs, in sets.

Source: architecture §6 (sets not loops).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Self

from gateway.mail.uids import Ranges, uids_text, unite
from projections.mailbox.changing import Account, Outcome
from projections.mailbox.counting import Mailbox, Message, Sight, Usage
from projections.readmodel import Rows

Row = tuple[Any, ...]
Range = tuple[int, int, int, bool]  # box, first UID, last UID, tombstones too

# A statement has 60 s (readmodel.COMMAND_TIMEOUT_S); twice as many took 2 to 5 s on two busy cores.
ROWS_MAX: Final = 50_000

# Sessions ask within a minute; at full load an hour and more of a site's events are fewer than that.
OUTCOMES_KEPT: Final = 1_000_000  # positions below an account's newest outcome
FORGOTTEN_AT_ONCE: Final = 1_000  # of each account

USAGE: Final = """
SELECT account_id, octets, messages, quota_octets, kind, full_since FROM usage
WHERE account_id = ANY($1::text[])
"""
MAILBOX_COLUMNS: Final = (
    "mailbox_id", "parent_id", "name", "role", "uidvalidity", "uidnext", "highestmodseq", "messages",
    "octets", "unseen", "deleted", "deleted_octets", "is_subscribed", "opened_at", "closed_at",
)  # fmt: skip
MAILBOXES: Final = f"""
SELECT account_id, {", ".join(MAILBOX_COLUMNS)} FROM mailbox
WHERE account_id = ANY($1::text[]) AND (role = 'inbox' OR mailbox_id = ANY($2::text[]))
"""
LAST_UIDVALIDITY: Final = """
SELECT account_id, max(uidvalidity) FROM mailbox WHERE account_id = ANY($1::text[]) GROUP BY account_id
"""
# OFFSET 0: each range by the index, whatever the planner thinks of their number.
MESSAGES: Final = """
SELECT box, found.*
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::boolean[])
    AS named (box, first, last, tombstones_too)
CROSS JOIN LATERAL (
    SELECT uid, origin, modseq, flags, octets, internal_date, saved_at, expunged_at, is_elsewhere
    FROM message AS m
    WHERE m.box = named.box AND uid BETWEEN first AND last AND (expunged_at IS NULL OR tombstones_too)
    OFFSET 0
) AS found
"""
SIGHTS: Final = """
SELECT box, found.*
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) AS named (box, first, last, viewer)
CROSS JOIN LATERAL (
    SELECT uid, s.viewer, is_seen, modseq FROM sight AS s
    WHERE s.box = named.box AND uid BETWEEN first AND last AND named.viewer IN ('', s.viewer)
    OFFSET 0
) AS found
"""
KEEP_SIGHTS: Final = """
INSERT INTO sight SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::boolean[], $5::bigint[])
ON CONFLICT (box, viewer, uid) DO UPDATE SET is_seen = excluded.is_seen, modseq = excluded.modseq
"""
KEEP_SHARES: Final = """
INSERT INTO share SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
ON CONFLICT (account_id, mailbox_id, holder) DO UPDATE SET rights = excluded.rights
"""
KEEP_FOLLOWS: Final = """
INSERT INTO follow SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[])
ON CONFLICT (account_id, mailbox_id) DO UPDATE SET is_subscribed = excluded.is_subscribed
"""
DEPARTURE_COLUMNS: Final = (
    "position", "uid", "box", "mail_id", "to_account_id", "to_mailbox_id", "mover", "at",
)  # fmt: skip
MESSAGE_COLUMNS: Final = (
    "box", "uid", "origin", "modseq", "flags", "octets", "internal_date", "saved_at", "expunged_at",
    "is_elsewhere",
)  # fmt: skip
CHANGE: Final = """
UPDATE message AS m SET modseq = c.modseq, flags = c.flags, expunged_at = c.expunged_at,
    is_elsewhere = c.is_elsewhere
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::boolean[])
    AS c (box, uid, modseq, flags, expunged_at, is_elsewhere)
WHERE m.box = c.box AND m.uid = c.uid
"""
KEEP_MAILBOXES: Final = """
INSERT INTO mailbox SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
    $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
    $13::bigint[], $14::boolean[], $15::bigint[], $16::bigint[])
ON CONFLICT (account_id, mailbox_id) DO UPDATE SET parent_id = excluded.parent_id, name = excluded.name,
    uidnext = excluded.uidnext, highestmodseq = excluded.highestmodseq, messages = excluded.messages,
    octets = excluded.octets, unseen = excluded.unseen, deleted = excluded.deleted,
    deleted_octets = excluded.deleted_octets, is_subscribed = excluded.is_subscribed,
    closed_at = excluded.closed_at
"""
KEEP_USAGE: Final = """
INSERT INTO usage SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[],
    $6::timestamptz[])
ON CONFLICT (account_id) DO UPDATE SET octets = excluded.octets, messages = excluded.messages,
    quota_octets = excluded.quota_octets, kind = excluded.kind, full_since = excluded.full_since
"""
NOTE_OUTCOMES: Final = """
INSERT INTO change_outcome (account_id, position, mailbox_id, applied, refused, to_mailbox_id,
    to_uidvalidity, to_uids)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
    $8::text[])
"""
# ORDER BY and LIMIT: by the index, whatever the planner thinks how many are old; nearly always none is.
FORGET_OUTCOMES: Final = """
DELETE FROM change_outcome WHERE ctid = ANY(ARRAY(
    SELECT old.ctid
    FROM (SELECT account_id, max(position) AS newest
        FROM unnest($1::text[], $2::bigint[]) AS told (account_id, position) GROUP BY account_id) AS told
    CROSS JOIN LATERAL (
        SELECT ctid FROM change_outcome AS o
        WHERE o.account_id = told.account_id AND o.position <= newest - $3::bigint
        ORDER BY o.position LIMIT $4
    ) AS old
))
"""

_mailbox_row: Final = attrgetter(*MAILBOX_COLUMNS)
_message_row: Final = attrgetter(*MESSAGE_COLUMNS[1:])
_changed_row: Final = attrgetter("uid", "modseq", "flags", "expunged_at", "is_elsewhere")
_usage_row: Final = attrgetter("account_id", "octets", "messages", "quota_octets", "kind", "full_since")


@dataclass(frozen=True, slots=True)
class Named:
    """Messages that an event names."""

    account_id: str
    mailbox_id: str
    uids: Ranges
    tombstones_too: bool = False
    seen_by: str | None = None  # who is not the owner and wants \\Seen; "": all of them; None: nobody


class Accounts:
    """The accounts that a batch is about, by id, and how their rows were when it began."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._usage_rows: dict[str, Row] = {}
        self._mailbox_rows: dict[tuple[str, str], Row] = {}

    @classmethod
    async def load(
        cls, rows: Rows, account_ids: Sequence[str], mailbox_ids: Sequence[str], *, growing: Sequence[str]
    ) -> Self:
        """mailbox_ids: named by events; INBOX comes along. growing: accounts that get more mailboxes."""
        self = cls()
        for row in await rows.fetch(USAGE, account_ids):
            self._usage_rows[row["account_id"]] = tuple(row)
            self._accounts[row["account_id"]] = Account(row["account_id"], Usage(*row))
        for account_id, *columns in await rows.fetch(MAILBOXES, account_ids, mailbox_ids):
            account, mailbox_id = self[account_id], columns[0]
            account.mailboxes[mailbox_id] = Mailbox(account.usage, *columns)
            self._mailbox_rows[account_id, mailbox_id] = tuple(columns)
        if growing:
            for account_id, last in await rows.fetch(LAST_UIDVALIDITY, growing):
                self[account_id].last_uidvalidity = last
        return self

    def __getitem__(self, account_id: str) -> Account:
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = Account(account_id, Usage(account_id))
        return account

    async def write(self, rows: Rows) -> None:
        """Mailboxes and usage, those that are not as they were."""
        mailboxes = [
            (account_id, *row)
            for account_id, mailbox in self._mailboxes()
            if (row := _mailbox_row(mailbox)) != self._mailbox_rows.get((account_id, mailbox.mailbox_id))
        ]
        if mailboxes:
            await rows.execute(KEEP_MAILBOXES, *zip(*mailboxes, strict=True))
        usage = [
            row
            for account_id, account in self._accounts.items()
            if (row := _usage_row(account.usage)) != self._usage_rows.get(account_id)
        ]
        if usage:
            await rows.execute(KEEP_USAGE, *zip(*usage, strict=True))

    # --- messages ------------------------------------------------------------------------------------

    def count_named(self, named: Iterable[Named]) -> int:
        """How many messages that have rows these are at most."""
        return sum(
            max(0, min(end, mailbox.first_new - 1) - start + 1)
            for one in named
            if (mailbox := self[one.account_id].mailboxes.get(one.mailbox_id))
            for start, end in one.uids
        )

    async def load_messages(self, rows: Rows, named: Iterable[Named]) -> None:
        """Have them at hand; of these mailboxes nothing is before."""
        boxes: dict[int, Mailbox] = {}
        wanted: dict[int, list[Named]] = {}
        for one in named:
            mailbox = self[one.account_id].mailboxes.get(one.mailbox_id)
            if mailbox is not None:
                boxes[mailbox.opened_at] = mailbox
                wanted.setdefault(mailbox.opened_at, []).append(one)
        ranges = [
            (box, start, min(end, boxes[box].first_new - 1), any(one.tombstones_too for one in same))
            for box, same in wanted.items()
            for start, end in unite(span for one in same for span in one.uids)
            if start < boxes[box].first_new
        ]
        for some in _pieces(ranges):
            for box, uid, *columns in await rows.fetch(MESSAGES, *zip(*some, strict=True)):
                boxes[box].at_hand[uid] = Message(uid, *columns)
        await self._load_sights(rows, boxes, wanted)

    async def _load_sights(
        self, rows: Rows, boxes: Mapping[int, Mailbox], wanted: Mapping[int, Sequence[Named]]
    ) -> None:
        spans = [
            (box, start, end, one.seen_by)
            for box, same in wanted.items()
            for one in same
            if one.seen_by is not None
            for start, end in one.uids
        ]
        if not spans:
            return
        for box, uid, viewer, *sight in await rows.fetch(SIGHTS, *zip(*spans, strict=True)):
            message = boxes[box].at_hand.get(uid)
            if message is not None:
                message.sights = {} if message.sights is None else message.sights
                message.sights[viewer] = Sight(*sight)

    async def write_messages(self, rows: Rows) -> None:
        new: list[Row] = []
        changed: list[Row] = []
        sights: list[Row] = []
        for _, mailbox in self._mailboxes():
            for uid, message in mailbox.behind.items():
                if uid >= mailbox.first_new:
                    new.append((mailbox.opened_at, *_message_row(message)))
                else:
                    changed.append((mailbox.opened_at, *_changed_row(message)))
            sights += [
                (mailbox.opened_at, viewer, uid, *sight) for (uid, viewer), sight in mailbox.sighted.items()
            ]
            mailbox.written()
        for start in range(0, len(new), ROWS_MAX):
            some = new[start : start + ROWS_MAX]
            await rows.copy_records_to_table("message", records=some, columns=MESSAGE_COLUMNS)
        for start in range(0, len(changed), ROWS_MAX):
            await rows.execute(CHANGE, *zip(*changed[start : start + ROWS_MAX], strict=True))
        for start in range(0, len(sights), ROWS_MAX):
            await rows.execute(KEEP_SIGHTS, *zip(*sights[start : start + ROWS_MAX], strict=True))

    def _mailboxes(self) -> Iterator[tuple[str, Mailbox]]:
        for account_id, account in self._accounts.items():
            for mailbox in account.mailboxes.values():
                yield account_id, mailbox


def _pieces(ranges: Iterable[Range]) -> Iterator[list[Range]]:
    """The same messages in lists of at most ROWS_MAX each."""
    some, room = list[Range](), ROWS_MAX
    for box, first, last, tombstones_too in ranges:
        while first <= last:
            end = min(last, first + room - 1)
            some.append((box, first, end, tombstones_too))
            room -= end - first + 1
            first = end + 1
            if room == 0:
                yield some
                some, room = [], ROWS_MAX
    if some:
        yield some


async def note_outcomes(rows: Rows, outcomes: Sequence[tuple[str, int, Outcome]]) -> None:
    """outcomes: account, position, and what became of the change there."""
    records = [
        (
            account_id, position, outcome.mailbox_id, uids_text(outcome.applied), uids_text(outcome.refused),
            outcome.to_mailbox_id, outcome.to_uidvalidity, uids_text(outcome.to_uids),
        )
        for account_id, position, outcome in outcomes
    ]  # fmt: skip
    await rows.execute(NOTE_OUTCOMES, *zip(*records, strict=True))
    newest = [account_id for account_id, *_ in outcomes], [position for _, position, _ in outcomes]
    while await rows.execute(FORGET_OUTCOMES, *newest, OUTCOMES_KEPT, FORGOTTEN_AT_ONCE) != "DELETE 0":
        pass
