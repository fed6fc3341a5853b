"""A search in SQL: which messages it is, and of which rows alone cannot tell.

The three values of SQL are those of `gateway.protocols.imap.searching`, which says what each key means: true,
false, and NULL for what only the message itself can tell.

Source: RFC 9051 §6.4.4; ADR 0026 (rows first).
"""

from datetime import date
from typing import Final, NamedTuple, assert_never

from gateway.mail.collation import folded
from gateway.mail.ids import AccountId, MailboxId
from gateway.mail.uids import Ranges
from gateway.protocols.imap.fetching import EMAIL_ID
from gateway.protocols.imap.search_keys import (
    All,
    And,
    Arrived,
    HasEmailId,
    HasFlag,
    HasThreadId,
    InBody,
    InEnvelope,
    InHeader,
    InText,
    Key,
    Messages,
    ModifiedSince,
    Not,
    Or,
    Recent,
    Saved,
    Sent,
    Sized,
    When,
    Within,
)
from gateway.protocols.imap.searching import Context, Need, cheapest_first, need_of, span, within_limit
from projections.mailbox.query import BOX, SCHEMA, if_any, messages_of
from projections.mailbox.said import PLACES, is_askable
from projections.readmodel import Rows

_BIGINT_MAX: Final = 2**63 - 1
_UNKNOWN: Final = "NULL::boolean"


class Judged(NamedTuple):
    """UIDs of what is there, ascending. sure: the search is for these; unsure: rows cannot tell."""

    sure: list[int]
    unsure: list[int]


async def judge(
    rows: Rows,
    account_id: AccountId,
    mailbox_id: MailboxId,
    within: Ranges,
    key: Key,
    context: Context,
    *,
    viewer: AccountId | None = None,
) -> Judged:
    """Of these UIDs, as of one moment. viewer: as of `query.lines`."""
    if not within:
        return Judged([], [])
    asked = _Condition(context, [account_id, mailbox_id, within[0][0], within[-1][1], *if_any(viewer)])
    verdict = asked.of(key)
    shown = f"{messages_of(viewer)} WHERE box = {BOX} AND uid BETWEEN $3 AND $4 AND expunged_at IS NULL"
    if need_of(key) == Need.ROW:  # half the time, where nothing is unknown
        sure = await rows.fetchval(
            f"SELECT ARRAY(SELECT uid FROM {shown} AND {verdict} ORDER BY uid)", *asked.values
        )
        return Judged(sure, [])
    # OFFSET 0: each message is judged once.
    found = await rows.fetchrow(
        f"""SELECT array_agg(uid ORDER BY uid) FILTER (WHERE verdict),
            array_agg(uid ORDER BY uid) FILTER (WHERE verdict IS NULL)
        FROM (
            SELECT uid, {verdict} AS verdict FROM {shown} OFFSET 0
        ) AS judged""",
        *asked.values,
    )
    assert found is not None, "an aggregate is one row"
    return Judged(found[0] or [], found[1] or [])


class _Condition:
    """The text of a condition on a row of `message`, and the values it names."""

    def __init__(self, context: Context, values: list[object]) -> None:
        self._context, self.values = context, values

    def of(self, key: Key) -> str:
        match key:
            case And(keys):
                return f"({' AND '.join(map(self.of, cheapest_first(keys)))})"
            case Or(left, right):
                return f"({' OR '.join(map(self.of, cheapest_first((left, right))))})"
            case Not(inner):
                return f"(NOT {self.of(inner)})"
            case InEnvelope(name, text):
                return self._said(name, text)
            case InHeader("message-id", text) if text:
                return self._said("message-id", text)
            case InHeader() | InBody() | InText() | Sent():
                return _UNKNOWN
            case _:
                return self._of_row(key)

    def _of_row(
        self,
        key: All | Messages | HasFlag | Recent | Arrived | Saved | Within | Sized | ModifiedSince | HasEmailId
        | HasThreadId,
    ) -> str:  # fmt: skip
        match key:
            case All():
                return "true"
            case Messages():
                return self._among(self._context.uids_of(key))
            case HasFlag(flag):
                return self._has_flag(flag)
            case Recent():
                return f"uid = ANY({self._value(list(self._context.recent))}::bigint[])"
            case Arrived(when, day):
                return self._on("internal_date", when, day)
            case Saved(when, day):
                return self._on("saved_at", when, day)
            case Within(is_younger, seconds):
                limit = self._value(within_limit(self._context.now, seconds))
                return f"internal_date {'>=' if is_younger else '<='} {limit}::timestamptz"
            case Sized(is_larger, octets):
                return f"octets {'>' if is_larger else '<'} {self._number(octets)}"
            case ModifiedSince(modseq):
                return f"modseq >= {self._number(modseq)}"
            case HasEmailId(id_):
                return f"'{EMAIL_ID}' || origin = {self._value(id_)}"
            case HasThreadId():
                return "false"
            case _:
                assert_never(key)

    def _among(self, uids: Ranges) -> str:
        text = ",".join(f"[{first},{last}]" for first, last in uids)
        return f"uid <@ {self._value(f'{{{text}}}')}::text::int8multirange"

    def _has_flag(self, flag: str) -> str:
        if flag.startswith("\\"):  # there are few, and none begins as another does
            return f"strpos(flags, {self._value(flag)}) > 0"
        return f"""strpos(' ' || lower(flags) || ' ', {self._value(f" {flag.lower()} ")}) > 0"""

    def _on(self, column: str, when: When, day: date) -> str:
        begins, ends = span(when, day)
        return f"({column} >= {self._value(begins)} AND {column} < {self._value(ends)})"

    def _said(self, field: str, text: str) -> str:
        text = folded(text)
        if not is_askable(text):
            return _UNKNOWN
        # OFFSET 0: each by the index; there are many more of other mailboxes.
        return f"""strpos(
            (SELECT said[{PLACES[field]}] FROM {SCHEMA}.origin WHERE position = message.origin OFFSET 0),
            {self._value(text)}) > 0"""

    def _number(self, number: int) -> str:
        return f"{self._value(min(number, _BIGINT_MAX))}::bigint"

    def _value(self, value: object) -> str:
        self.values.append(value)
        return f"${len(self.values)}"
