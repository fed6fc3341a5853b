"""What messages say, for searches: who has a text is asked of rows instead of reading messages.

No projection: the rows come from contents, never count when a rebuild is compared, and may lack any message;
what is not here is read by who looks for it (ADR 0026). Texts stand here as they are compared, so the answers
are those that reading would give, to the character.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from gateway.mail import headers
from gateway.mail.collation import folded
from gateway.mail.ids import AccountId
from gateway.ports import START, Checkpoint, Position
from projections.readmodel import Pool, Rows

MARK: Final = "\x01"  # around fields
# What PostgreSQL does not store; nobody who looks for a text without them misses it for that.
_UNSTORED: Final = re.compile("[\0\ud800-\udfff]")
_UNASKED: Final = re.compile(f"[\0{MARK}\ud800-\udfff]")
_TEXT_MAX: Final = 1_000  # characters of a text that is looked for in a field: it becomes a pattern

_ADD: Final = """
INSERT INTO texts.said SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[])
ON CONFLICT DO NOTHING
"""
_ADVANCE: Final = """
INSERT INTO texts.reached VALUES (true, $2, $3)
ON CONFLICT (one) DO UPDATE SET position = excluded.position, digest = excluded.digest
WHERE reached.position = $1
"""
_ACCOUNTS: Final = """
WITH RECURSIVE found AS (
    SELECT min(account_id) AS account_id FROM texts.said
    UNION ALL
    SELECT (SELECT min(account_id) FROM texts.said WHERE account_id > found.account_id)
    FROM found WHERE account_id IS NOT NULL
)
SELECT account_id FROM found WHERE account_id IS NOT NULL
"""


class Said(NamedTuple):
    """A message's row. header: by `fields_text`; body: what a person reads of it, folded."""

    account_id: AccountId
    origin: Position
    header: str
    body: str


@dataclass(frozen=True, slots=True)
class Sought:
    """A text that is looked for: in the body, in one field, or anywhere.

    text: folded. field: in lower case, "" for none; with neither body nor field, anywhere.
    """

    text: str
    in_body: bool = False
    field: str = ""

    @property
    def is_answerable(self) -> bool:
        """Whether rows can say it; else messages have to be read."""
        if self.field and len(self.text) > _TEXT_MAX:
            return False
        return not _UNASKED.search(self.text + self.field)


def fields_text(header: bytes) -> str:
    """The fields of a header, folded, each between marks."""
    shown = (folded(f"{field.name}: {field.text}").replace(MARK, "") for field in headers.fields(header))
    return MARK + "".join(f"{text}{MARK}" for text in shown)


async def create(pool: Pool) -> None:
    async with pool.transaction() as rows:
        await rows.execute("SELECT pg_advisory_xact_lock(hashtext('saraban schemas'))")
        await rows.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


async def answers(
    rows: Rows, account_id: AccountId, origins: Sequence[Position], sought: Sequence[Sought]
) -> dict[Position, Sequence[bool]]:
    """Of the messages that are here, whether each of the texts is in it."""
    parameters: list[object] = [account_id, origins]
    conditions = []
    for one in sought:
        assert one.is_answerable, one
        parameters.append(one.text)
        text = f"${len(parameters)}"
        if one.field:
            parameters.append(f"{MARK}{_escaped(one.field)}: [^{MARK}]*{_escaped(one.text)}")
            conditions.append(f"strpos(header, {text}) > 0 AND header ~ ${len(parameters)}")
        elif one.in_body:
            conditions.append(f"strpos(body, {text}) > 0")
        else:
            conditions.append(f"(strpos(header, {text}) > 0 OR strpos(body, {text}) > 0)")
    found = await rows.fetch(
        f"""SELECT origin, {", ".join(conditions)} FROM texts.said
        WHERE account_id = $1 AND origin = ANY($2::bigint[])""",
        *parameters,
    )
    return {origin: told for origin, *told in found}


async def reached(rows: Rows) -> Position:
    """Up to where everything that could be read is here."""
    return Position(await rows.fetchval("SELECT position FROM texts.reached") or 0)


async def checkpoint(rows: Rows) -> Checkpoint:
    """`reached`, and the digest of the event there."""
    found = await rows.fetchrow("SELECT position, digest FROM texts.reached")
    return Checkpoint(*found) if found else START


async def add(pool: Pool, said: Collection[Said], *, after: Position, up_to: Checkpoint) -> bool:
    """False: somebody else has moved it on, or back; nothing was added."""
    async with pool.transaction() as rows:
        await rows.execute("SET LOCAL synchronous_commit = off")  # what a crash takes is added again
        if await rows.execute(_ADVANCE, after, up_to.position, up_to.digest) != "INSERT 0 1":
            return False
        stored = [one._replace(header=_stored(one.header), body=_stored(one.body)) for one in said]
        if stored:
            await rows.execute(_ADD, *map(list, zip(*stored, strict=True)))
        return True


async def accounts(rows: Rows) -> list[AccountId]:
    """Of whom there is anything here."""
    return [AccountId(row["account_id"]) for row in await rows.fetch(_ACCOUNTS)]


async def forget(rows: Rows, account_id: AccountId) -> None:
    await rows.execute("DELETE FROM texts.said WHERE account_id = $1", account_id)


async def begin_again(pool: Pool) -> None:
    """Forget everything: the steward fills it from the beginning."""
    async with pool.transaction() as rows:
        await rows.execute("TRUNCATE texts.said")
        await rows.execute("UPDATE texts.reached SET position = 0, digest = ''")


def _stored(text: str) -> str:
    return _UNSTORED.sub(MARK, text)


def _escaped(text: str) -> str:
    """In a pattern of PostgreSQL (advanced regular expressions): a backslash makes a sign itself."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)
