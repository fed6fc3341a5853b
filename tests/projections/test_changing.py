"""What people change comes out as the plain rules say, however the log is cut into batches."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.changes import (
    Changed,
    MessageCopied,
    MessageExpunged,
    MessageFlagged,
    MessageMoved,
    MessageRestored,
)
from gateway.domain.events import Actor
from gateway.mail.ids import AccountId, MailboxId
from gateway.mail.uids import ranges_of, uids_text
from projections.checkpoint import Projection, create, drop
from projections.keyring import Keyring
from projections.mailbox import tables as mailbox_tables
from projections.mailbox.changing import Account, Moment
from projections.mailbox.counting import Usage
from projections.mailbox.project import MailboxModel
from projections.readmodel import Pool, schema_of
from tests.projections.mailboxes import FLAGS, change_some
from tests.projections.naive import Home, Message, Naive, flags_of
from tests.projections.rows import Table, tables
from tests.projections.world import BEGIN, BY, World
from tests.sizes import size

HISTORIES = size(6, 200)


def small_world(seed: int, changes: int) -> World:
    world = World(seed)
    opm = world.agency("OPM", "opm.go.th")
    for name, quota in (("ann", 400_000), ("bee", 10_000_000)):
        world.account(opm, f"{name}@opm.go.th", quota_octets=quota)
    change_some(world, changes)
    return world


def told(world: World) -> Naive:
    naive = Naive()
    for recorded in world.log:
        if recorded.topic in MailboxModel.topics:
            naive.take(recorded)
    return naive


async def fold(pool: Pool, world: World, batches: Callable[[], int]) -> dict[str, Table]:
    """The tables by their names, folded in batches of so many events."""
    model, at = MailboxModel(Keyring(world.keys)), 0
    await create(pool, [model])
    projection = Projection(model, pool)
    while at < len(world.log):
        some = batches()
        await projection.take(world.log[at : at + some])
        at += some
    found = await tables(pool, model.schema)
    return {name.removeprefix(f"{model.schema}."): sorted(rows) for name, rows in found.items()}  # type: ignore[type-var]


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_random_histories_in_random_batches_give_the_rows_of_the_plain_rules(
    pool: Pool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr("projections.mailbox.project.NAMED_MAX", chance.choice((1, 20, 100_000)))
    monkeypatch.setattr(mailbox_tables, "ROWS_MAX", chance.choice((1, 7, 50_000)))
    world = small_world(seed, 150)
    naive = told(world)
    rows = await fold(pool, world, lambda: chance.choice((1, 3, 20, 100)))
    assert [row[:3] + row[4:] for row in rows["mailbox"]] == naive.mailboxes()
    assert rows["message"] == naive.messages()
    assert rows["usage"] == naive.usage()
    assert rows["change_outcome"] == naive.outcomes()
    assert rows["sight"] == naive.sights()
    assert rows["share"] == naive.shares()
    assert rows["follow"] == naive.follows()
    assert rows["departure"] == naive.departures()


async def test_outcomes_are_forgotten_by_their_place_in_the_log_alone(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_tables, "OUTCOMES_KEPT", 40)
    monkeypatch.setattr(mailbox_tables, "FORGOTTEN_AT_ONCE", 2)
    world = small_world(71, 100)
    kept = [
        outcome
        for account_id, home in sorted(told(world).homes.items())
        for outcome in ((account_id, *one) for one in home.outcomes)
        if outcome[1] > home.outcomes[-1][0] - 40
    ]
    assert 0 < len(kept) < 40
    for some in (1, 1_000):
        rows = await fold(pool, world, lambda some=some: some)  # type: ignore[misc]
        assert rows["change_outcome"] == kept
        await drop(pool, schema_of(MailboxModel))


# --- the rules one by one, without rows ---------------------------------------------------------------------

ACCOUNT, INBOX, OTHER, GONE = (
    AccountId("acc_a"),
    MailboxId("mbx_inbox"),
    MailboxId("mbx_b"),
    MailboxId("mbx_c"),
)
PLACES = st.sampled_from((INBOX, OTHER, GONE, MailboxId("mbx_never")))
UIDS = st.sets(st.integers(1, 12), min_size=1).map(lambda uids: uids_text(ranges_of(sorted(uids))))
FLAG_SETS = st.lists(st.sampled_from(FLAGS), max_size=3).map(tuple)


ACTORS = st.sampled_from((Actor("account", ACCOUNT), Actor("account", "acc_b"), Actor("system", "test")))


def stamped(kind: type[Changed], **fields: Any) -> st.SearchStrategy[Changed]:
    made = {"account_id": st.just(ACCOUNT), "mailbox_id": PLACES, "uids": UIDS, "actor": ACTORS} | fields
    return st.builds(partial(kind, at=BEGIN, by=BY), **made)


CHANGES = st.one_of(
    stamped(
        MessageFlagged,
        how=st.sampled_from(("add", "remove", "replace")),
        flags=FLAG_SETS,
        unchanged_since=st.none() | st.integers(1, 40),
    ),
    stamped(MessageExpunged, only_deleted=st.booleans()),
    *(stamped(kind, to_mailbox_id=PLACES) for kind in (MessageCopied, MessageMoved, MessageRestored)),
)


@given(st.lists(CHANGES, max_size=25))
def test_any_changes_come_out_as_the_plain_rules_say(changes: list[Changed]) -> None:
    account, naive, position = Account(ACCOUNT, Usage(ACCOUNT)), Naive(), 0
    home = naive.homes[ACCOUNT] = Home()
    for mailbox_id, role in ((INBOX, "inbox"), (OTHER, ""), (GONE, "")):
        position += 1
        account.open(mailbox_id, Moment(position, BEGIN), parent_id="", name="", role=role)
        naive.open(home, mailbox_id, "", role, position)
        for _ in range(4):
            position += 1
            account.arrive(mailbox_id, Moment(position, BEGIN), 100, BEGIN)
            naive.add(home.boxes[mailbox_id], Message(0, position, 0, {}, 100, BEGIN, BEGIN), position)
    account.close(GONE, Moment(position, BEGIN))
    naive.close(home, GONE, position)
    for event in changes:
        position += 1
        outcome = account.change(event, Moment(position, BEGIN))
        naive.change(home, event, position)
        assert home.outcomes[-1][1:] == (
            outcome.mailbox_id, uids_text(outcome.applied), uids_text(outcome.refused),
            outcome.to_mailbox_id, outcome.to_uidvalidity, uids_text(outcome.to_uids),
        )  # fmt: skip
    assert account.usage.octets == home.octets()
    assert [
        (box.mailbox_id, m.uid, m.modseq, m.flags, m.expunged_at, m.is_elsewhere, m.sights or {})
        for box in account.mailboxes.values()
        for m in box.at_hand.values()
    ] == [
        (box.mailbox_id, m.uid, m.modseq, flags_of(m), m.expunged_at, m.is_elsewhere, m.sights)
        for box in home.boxes.values()
        for m in box.messages
    ]
