"""A mailbox of 100,000 messages that one event changes (issue 5: SELECT, STORE and MOVE of 100k)."""

import pytest

from gateway.domain.changes import (
    MessageCopied,
    MessageExpunged,
    MessageFlagged,
    MessageMoved,
    MessageRestored,
)
from gateway.mail.ids import MailboxId
from projections.mailbox.query import changed_since, lines, list_mailboxes, outcome_of, uids_of, usage_of
from tests.projections.gateway import Gateway
from tests.projections.mailboxes import change, decide
from tests.sizes import size

FEW = 25
MESSAGES = FEW * 2 ** size(7, 12)  # 3,200; 102,400


@pytest.fixture
async def filled(gateway: Gateway) -> Gateway:
    """An INBOX of so many messages: a few delivered, the rest their copies."""
    world, ann = gateway.world, gateway.ann
    for _ in range(FEW):
        world.deliver(world.accept(gateway.opm, None, ["ann@opm.go.th"]), ann, [0])
    there = FEW
    while there < MESSAGES:
        change(world, ann, MessageCopied, ann.inbox_id, f"1:{there}", {"to_mailbox_id": ann.inbox_id})
        there *= 2
    await gateway.catch_up()
    return gateway


async def test_one_event_changes_all_of_a_large_mailbox(filled: Gateway) -> None:
    world, ann = filled.world, filled.ann
    folder = decide(world, ann, lambda tree: tree.create("ปี 2569"))
    everything = f"1:{MESSAGES}"
    changes = (
        (MessageFlagged, ann.inbox_id, {"how": "add", "flags": ("\\Seen",)}),
        (MessageMoved, ann.inbox_id, {"to_mailbox_id": folder}),
        (MessageExpunged, folder, {}),
        (MessageRestored, folder, {"to_mailbox_id": folder}),
    )
    seen: list[tuple[int, int, int]] = []
    for kind, mailbox_id, fields in changes:
        position = change(world, ann, kind, mailbox_id, everything, fields)
        await filled.catch_up()
        async with filled.pool.rows() as rows:
            inbox, other = await list_mailboxes(rows, ann.account_id)
            outcome = await outcome_of(rows, ann.account_id, position)
        assert outcome is not None
        assert (outcome.applied, outcome.refused) == ([(1, MESSAGES)], [])
        seen.append((inbox.messages, inbox.unseen, other.messages))
    assert seen == [(MESSAGES, 0, 0), (0, 0, MESSAGES), (0, 0, 0), (0, 0, MESSAGES)]
    async with filled.pool.rows() as rows:
        uids = await uids_of(rows, ann.account_id, folder)
        found = await lines(rows, ann.account_id, folder, [(1, 2 * MESSAGES)])
        changed = await changed_since(rows, ann.account_id, MailboxId(ann.inbox_id), 0)
        usage = await usage_of(rows, ann.account_id)
    assert list(uids) == list(range(MESSAGES + 1, 2 * MESSAGES + 1))
    assert [line.is_expunged for line in found] == [True] * MESSAGES + [False] * MESSAGES
    assert {line.flags for line in found} == {"\\Seen"}
    assert all(one.is_expunged for one in changed)
    assert len(changed) == usage.messages == MESSAGES
