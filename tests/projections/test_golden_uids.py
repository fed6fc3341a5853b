"""The numbering is frozen: a recorded history folds to the same UIDs, UIDVALIDITYs and MODSEQs for ever.

tests/golden/uids/history.jsonl was recorded once, from `busy_world(2569, 60, accounts=5)`: repeated
deliveries, deliveries to mailboxes that are gone, and noise between. Neither file is ever made again.
"""

from pathlib import Path

import orjson

from gateway.ports import KeyForgotten, Position, Recorded
from projections.checkpoint import Projection, create
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.readmodel import Pool
from tests.projections.world import Safe

GOLDEN = Path(__file__).parents[1] / "golden" / "uids"


class Forgotten(Safe):
    """Every key was destroyed: numbers never depend on what is sealed."""

    def __init__(self) -> None:
        return

    async def get(self, name: str) -> bytes:
        raise KeyForgotten(name)


def history() -> list[Recorded]:
    """One event a line: position, stored subject, topic, payload."""
    lines = (GOLDEN / "history.jsonl").read_bytes().splitlines()
    return [
        Recorded(Position(position), subject, topic, state.encode())
        for position, subject, topic, state in map(orjson.loads, lines)
    ]


async def numbers(pool: Pool) -> str:
    """Every mailbox and message by its numbers, a line each."""
    async with pool.snapshot() as rows:
        mailboxes = await rows.fetch(
            """SELECT 'mailbox', account_id, mailbox_id, uidvalidity, uidnext, highestmodseq, messages, octets
            FROM mailbox_v2.mailbox ORDER BY account_id, uidvalidity"""
        )
        messages = await rows.fetch(
            """SELECT 'message', m.account_id, mailbox_id, uid, modseq, origin, mail_id, message.octets
            FROM mailbox_v2.message JOIN mailbox_v2.origin ON position = origin
            JOIN mailbox_v2.mailbox AS m ON opened_at = box
            ORDER BY m.account_id, mailbox_id, uid"""
        )
    return "".join("\t".join(map(str, row.values())) + "\n" for row in [*mailboxes, *messages])


async def test_the_recorded_history_folds_to_the_recorded_numbers(pool: Pool) -> None:
    model = MailboxModel(Keyring(Forgotten()))
    await create(pool, [model])
    await Projection(model, pool).take(history())
    assert await numbers(pool) == (GOLDEN / "numbers.tsv").read_text(encoding="utf-8")
