"""The numbering is frozen: a recorded history folds to the same UIDs, UIDVALIDITYs and MODSEQs for ever.

tests/golden/uids/history.jsonl was recorded once, from `busy_world(2569, 60, accounts=5)`: repeated
deliveries, deliveries to mailboxes that are gone, and noise between. changes.jsonl is of what people change,
recorded from `small_world(2570, 200)`, and changes.tsv was counted by naive.py. No file is ever made again.
"""

from pathlib import Path

from gateway.domain.changes import MessageMovedIn, MessageMovedOut
from gateway.domain.mailboxtree import MailboxAnnotated, MailboxFollowed, MailboxShared
from projections.checkpoint import Projection, create
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.mailbox.query import SCHEMA
from projections.readmodel import Pool
from tests.projections.recorded import Forgotten, recorded, told

# What mailboxes could do only after the history was recorded.
LATER = {
    MailboxFollowed.TOPIC,
    MailboxAnnotated.TOPIC,
    MailboxShared.TOPIC,
    MessageMovedOut.TOPIC,
    MessageMovedIn.TOPIC,
}
GOLDEN = Path(__file__).parents[1] / "golden" / "uids"


async def numbers(pool: Pool) -> str:
    """Every mailbox and message by its numbers, a line each."""
    async with pool.snapshot() as rows:
        mailboxes = await rows.fetch(
            f"""SELECT 'mailbox', account_id, mailbox_id, uidvalidity, uidnext, highestmodseq, messages,
                octets
            FROM {SCHEMA}.mailbox ORDER BY account_id, uidvalidity"""
        )
        messages = await rows.fetch(
            f"""SELECT 'message', m.account_id, mailbox_id, uid, modseq, origin, mail_id, message.octets
            FROM {SCHEMA}.message JOIN {SCHEMA}.origin ON position = origin
            JOIN {SCHEMA}.mailbox AS m ON opened_at = box
            ORDER BY m.account_id, mailbox_id, uid"""
        )
    return "".join("\t".join(map(str, row.values())) + "\n" for row in [*mailboxes, *messages])


async def test_the_recorded_history_folds_to_the_recorded_numbers(pool: Pool) -> None:
    model = MailboxModel(Keyring(Forgotten()))
    await create(pool, [model])
    await Projection(model, pool).take(recorded(GOLDEN / "history.jsonl"))
    assert await numbers(pool) == (GOLDEN / "numbers.tsv").read_text(encoding="utf-8")


async def outcomes_of_changes(pool: Pool) -> str:
    """Every mailbox, message, account and change, as numbers, flags and sets of UIDs, a line each."""
    lists = (
        f"""SELECT account_id, mailbox_id, parent_id, role, uidvalidity, uidnext, highestmodseq, messages,
            octets, unseen, deleted, deleted_octets, is_subscribed, opened_at, closed_at
        FROM {SCHEMA}.mailbox ORDER BY account_id, mailbox_id""",
        f"""SELECT box, uid, origin, modseq, octets, internal_date, saved_at, expunged_at, is_elsewhere, flags
        FROM {SCHEMA}.message ORDER BY box, uid""",
        f"""SELECT account_id, octets, messages, quota_octets, kind, full_since
        FROM {SCHEMA}.usage ORDER BY account_id""",
        f"""SELECT account_id, position, mailbox_id, applied, refused, to_mailbox_id, to_uidvalidity, to_uids
        FROM {SCHEMA}.change_outcome ORDER BY account_id, position""",
    )
    async with pool.snapshot() as rows:
        return "".join([told(tuple(row)) for query in lists for row in await rows.fetch(query)])


async def test_recorded_changes_fold_to_the_recorded_numbers_and_outcomes(pool: Pool) -> None:
    history = recorded(GOLDEN / "changes.jsonl")
    assert {event.topic for event in history} >= MailboxModel.topics - LATER
    model = MailboxModel(Keyring(Forgotten()))
    await create(pool, [model])
    await Projection(model, pool).take(history)
    assert await outcomes_of_changes(pool) == (GOLDEN / "changes.tsv").read_text(encoding="utf-8")
