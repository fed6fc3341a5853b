"""What a session is shown of a mailbox, and what becomes of changes, in the order things happened."""

import pytest

from gateway.domain.changes import (
    Changed,
    MessageCopied,
    MessageExpunged,
    MessageFlagged,
    MessageMoved,
    MessageRestored,
)
from gateway.mail.ids import MailboxId
from gateway.ports import Position
from projections.mailbox.query import (
    Change,
    MailboxRow,
    Outcome,
    changed_since,
    find_mail,
    folded_up_to,
    lines,
    list_mailboxes,
    list_messages,
    list_restorable,
    mailbox_of,
    outcome_of,
    paths_of,
    read_messages,
    uids_flagged,
    uids_of,
    usage_of,
)
from tests.projections.gateway import Gateway
from tests.projections.mailboxes import append, change, decide

ALL = [(1, 2**32 - 1)]


class Desk:
    """An account with four mails, as a session works with it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.world, self.owner = gateway, gateway.world, gateway.ann
        self.account_id, self.inbox_id = gateway.ann.account_id, gateway.ann.inbox_id
        self.mails = [self.world.accept(gateway.opm, None, ["ann@opm.go.th"]) for _ in range(4)]
        for mail in self.mails:
            self.world.deliver(mail, self.owner, [0])

    async def do(
        self, kind: type[Changed], mailbox_id: str, uids: str, **fields: object
    ) -> tuple[int, Outcome]:
        """Where the change stands, and what became of it."""
        position = change(self.world, self.owner, kind, mailbox_id, uids, fields)
        await self.gateway.catch_up()
        async with self.gateway.pool.rows() as rows:
            outcome = await outcome_of(rows, self.account_id, position)
        assert outcome is not None
        return position, outcome

    async def folder(self, path: str) -> MailboxId:
        mailbox_id = decide(self.world, self.owner, lambda tree: tree.create(path))
        await self.gateway.catch_up()
        return mailbox_id

    async def mailbox(self, mailbox_id: MailboxId) -> MailboxRow:
        async with self.gateway.pool.rows() as rows:
            found = await mailbox_of(rows, self.account_id, mailbox_id)
        assert found is not None
        return found

    async def shown(self, mailbox_id: MailboxId) -> dict[int, str]:
        """UID → flags of what is there."""
        async with self.gateway.pool.rows() as rows:
            found = await lines(rows, self.account_id, mailbox_id, ALL)
            assert [line.uid for line in found if not line.is_expunged] == list(
                await uids_of(rows, self.account_id, mailbox_id)
            )
        return {line.uid: line.flags for line in found if not line.is_expunged}


@pytest.fixture
async def desk(gateway: Gateway) -> Desk:
    desk = Desk(gateway)
    await gateway.catch_up()
    return desk


async def test_flags_change_the_modseq_of_what_they_change(desk: Desk) -> None:
    """RFC 7162 §3.1."""
    first, outcome = await desk.do(MessageFlagged, desk.inbox_id, "1:2", how="add", flags=("\\seen", "$Work"))
    assert (outcome.applied, outcome.refused) == ([(1, 2)], [])
    second, outcome = await desk.do(MessageFlagged, desk.inbox_id, "2:3", how="add", flags=("\\Seen",))
    assert outcome.applied == [(2, 3)], "what had the flag counts as changed"
    async with desk.gateway.pool.rows() as rows:
        changes = await changed_since(rows, desk.account_id, desk.inbox_id, first - 1)
        of_some = await changed_since(rows, desk.account_id, desk.inbox_id, first - 1, uids=[(3, 9)])
    assert changes == [
        Change(1, first, "\\Seen $Work", False),
        Change(2, first, "\\Seen $Work", False),
        Change(3, second, "\\Seen", False),
    ]
    assert of_some == changes[2:]
    inbox = await desk.mailbox(desk.inbox_id)
    assert (inbox.highestmodseq, inbox.unseen, inbox.messages) == (second, 1, 4)


async def test_what_changed_meanwhile_keeps_its_flags(desk: Desk) -> None:
    """RFC 7162 §3.1.3 (UNCHANGEDSINCE, MODIFIED)."""
    first, _ = await desk.do(MessageFlagged, desk.inbox_id, "2", how="add", flags=("\\Seen",))
    _, outcome = await desk.do(
        MessageFlagged, desk.inbox_id, "1:3", how="replace", flags=("\\Flagged",), unchanged_since=first - 1
    )
    assert (outcome.applied, outcome.refused) == ([(1, 1), (3, 3)], [(2, 2)])
    assert await desk.shown(desk.inbox_id) == {1: "\\Flagged", 2: "\\Seen", 3: "\\Flagged", 4: ""}


async def test_expunge_takes_what_is_deleted_by_then(desk: Desk) -> None:
    """RFC 9051 §6.4.3, RFC 7162 §3.2.10 (VANISHED)."""
    await desk.do(MessageFlagged, desk.inbox_id, "2:3", how="add", flags=("\\Deleted",))
    await desk.do(MessageFlagged, desk.inbox_id, "3", how="remove", flags=("\\Deleted",))
    before = await desk.mailbox(desk.inbox_id)
    assert (before.deleted, before.deleted_octets) == (1, desk.mails[1].message.presented_octets)
    async with desk.gateway.pool.rows() as rows:
        assert await uids_flagged(rows, desk.account_id, desk.inbox_id, "\\Deleted") == [2]
    position, outcome = await desk.do(MessageExpunged, desk.inbox_id, "2:4,9", only_deleted=True)
    assert (outcome.applied, outcome.refused) == ([(2, 2)], [(3, 4), (9, 9)])
    inbox = await desk.mailbox(desk.inbox_id)
    assert (inbox.messages, inbox.deleted, inbox.highestmodseq, inbox.uidnext) == (3, 0, position, 5)
    async with desk.gateway.pool.rows() as rows:
        (change,) = await changed_since(rows, desk.account_id, desk.inbox_id, position - 1)
        assert (change.uid, change.modseq, change.is_expunged) == (2, position, True)
        others = await changed_since(rows, desk.account_id, desk.inbox_id, position - 1, uids=[(3, 4)])
        assert others == []
        assert await changed_since(rows, desk.account_id, desk.inbox_id, position) == []
        (gone,) = await read_messages(rows, desk.account_id, desk.inbox_id, [(2, 2)])
        assert gone.head.is_expunged, "a session that does not know yet may read it"
        assert [head.uid for head in await list_messages(rows, desk.account_id, desk.inbox_id)] == [1, 3, 4]
        assert await find_mail(rows, desk.account_id, desk.mails[1].mail_id) == []


async def test_of_two_who_move_the_same_message_one_has_it(desk: Desk) -> None:
    """RFC 9051 §6.4.8; architecture §2 (imap)."""
    one, other = await desk.folder("งาน"), await desk.folder("Later")
    await desk.do(MessageFlagged, desk.inbox_id, "2", how="add", flags=("$Work",))
    _, won = await desk.do(MessageMoved, desk.inbox_id, "2:3", to_mailbox_id=one)
    _, lost = await desk.do(MessageMoved, desk.inbox_id, "3:4", to_mailbox_id=other)
    moved = await desk.mailbox(one)
    assert won == Outcome(desk.inbox_id, [(2, 3)], [], one, moved.uidvalidity, [(1, 2)])
    assert (lost.applied, lost.refused, lost.to_uids) == ([(4, 4)], [(3, 3)], [(1, 1)])
    assert await desk.shown(one) == {1: "$Work", 2: ""}
    assert await desk.shown(desk.inbox_id) == {1: ""}
    async with desk.gateway.pool.rows() as rows:
        usage = await usage_of(rows, desk.account_id)
        (place,) = await find_mail(rows, desk.account_id, desk.mails[1].mail_id)
    assert usage.messages == 4
    assert (place.head.mailbox_id, place.head.uid, place.message) == (one, 1, desk.mails[1].message)


async def test_copies_share_what_brought_the_octets_and_count_twice(desk: Desk) -> None:
    """RFC 9051 §6.4.7; RFC 9208 §5 (STORAGE)."""
    folder = await desk.folder("สำเนา")
    position, outcome = await desk.do(MessageCopied, desk.inbox_id, "1:4", to_mailbox_id=folder)
    assert (outcome.applied, outcome.to_uids) == ([(1, 4)], [(1, 4)])
    async with desk.gateway.pool.rows() as rows:
        here, there = [await lines(rows, desk.account_id, box, ALL) for box in (desk.inbox_id, folder)]
        usage = await usage_of(rows, desk.account_id)
    assert [line.origin for line in here] == [line.origin for line in there]
    assert [line.internal_date for line in here] == [line.internal_date for line in there]
    assert {line.modseq for line in there} == {position}
    assert here[0].saved_at < there[0].saved_at
    assert (usage.messages, usage.octets) == (
        8,
        2 * sum(mail.message.presented_octets for mail in desk.mails),
    )


@pytest.mark.parametrize("kind", [MessageCopied, MessageMoved])
async def test_nothing_happens_where_the_target_is_gone(desk: Desk, kind: type[Changed]) -> None:
    folder = await desk.folder("gone")
    decide(desk.world, desk.owner, lambda tree: tree.delete("gone"))
    _, outcome = await desk.do(kind, desk.inbox_id, "1:2", to_mailbox_id=folder)
    assert (outcome.applied, outcome.refused, outcome.to_mailbox_id) == ([], [(1, 2)], "")
    assert len(await desk.shown(desk.inbox_id)) == 4


async def test_what_is_appended_to_a_mailbox_that_is_gone_goes_to_inbox(desk: Desk) -> None:
    """RFC 9051 §6.3.12 (APPEND), RFC 4315 §3 (APPENDUID)."""
    folder = await desk.folder("ร่าง")
    event = append(desk.world, desk.owner, folder, ("\\Draft", "\\Recent"))
    first = desk.world.log[-1].position
    decide(desk.world, desk.owner, lambda tree: tree.delete("ร่าง"))
    append(desk.world, desk.owner, folder)
    await desk.gateway.catch_up()
    inbox = await desk.mailbox(desk.inbox_id)
    async with desk.gateway.pool.rows() as rows:
        told = [await outcome_of(rows, desk.account_id, at) for at in (first, desk.world.log[-1].position)]
        (row,) = await read_messages(rows, desk.account_id, folder, [(1, 1)])
        assert await folded_up_to(rows, desk.account_id) == desk.world.log[-1].position
        assert await outcome_of(rows, desk.account_id, Position(first - 1)) is None
    assert [outcome and (outcome.to_mailbox_id, outcome.to_uids) for outcome in told] == [
        (folder, [(1, 1)]),
        (desk.inbox_id, [(5, 5)]),
    ]
    assert told[1] is not None
    assert told[1].to_uidvalidity == inbox.uidvalidity
    assert (row.head.flags, row.message, row.keys) == ("\\Draft", event.message, event.keys)


async def test_folders_lie_in_one_another_and_the_kth_has_uidvalidity_base_plus_k(desk: Desk) -> None:
    child = await desk.folder("โครงการ/2569")
    decide(desk.world, desk.owner, lambda tree: tree.rename("โครงการ", "Projects"))
    decide(desk.world, desk.owner, lambda tree: tree.subscribe("Projects/2569", is_subscribed=False))
    decide(desk.world, desk.owner, lambda tree: tree.delete("Projects/2569"))
    again = await desk.folder("Projects/2569")
    async with desk.gateway.pool.rows() as rows:
        inbox, parent, last = await list_mailboxes(rows, desk.account_id)
        everything = paths_of(await list_mailboxes(rows, desk.account_id, gone_too=True))
    assert list(everything.values()) == ["INBOX", "Projects", "Projects/2569", "Projects/2569"]
    assert (inbox.name, inbox.role, inbox.parent_id) == ("INBOX", "inbox", "")
    assert (parent.name, parent.parent_id) == ("Projects", "")
    assert (last.mailbox_id, last.name, last.parent_id, last.is_subscribed) == (
        again,
        "2569",
        parent.mailbox_id,
        True,
    )
    assert [box.uidvalidity - inbox.uidvalidity for box in (parent, last)] == [1, 3]
    gone = await desk.mailbox(child)
    assert (gone.closed_at is not None, gone.is_subscribed, gone.messages) == (True, False, 0)


async def test_what_was_expunged_comes_back_once(desk: Desk) -> None:
    folder = await desk.folder("old")
    await desk.do(MessageMoved, desk.inbox_id, "1", to_mailbox_id=folder)
    await desk.do(MessageFlagged, desk.inbox_id, "2", how="add", flags=("\\Deleted", "\\Seen"))
    await desk.do(MessageExpunged, desk.inbox_id, "2:3")
    decide(desk.world, desk.owner, lambda tree: tree.delete("old"))
    await desk.gateway.catch_up()
    async with desk.gateway.pool.rows() as rows:
        lost = await list_restorable(rows, desk.account_id)
        assert await list_restorable(rows, desk.account_id, before=lost[0], limit=1) == lost[1:2]
    assert [(head.mailbox_id, head.uid) for head in lost] == [
        (folder, 1), (desk.inbox_id, 3), (desk.inbox_id, 2),
    ]  # fmt: skip
    _, outcome = await desk.do(MessageRestored, desk.inbox_id, "1:3", to_mailbox_id=desk.inbox_id)
    assert (outcome.applied, outcome.refused, outcome.to_uids) == ([(2, 3)], [(1, 1)], [(5, 6)])
    _, again = await desk.do(MessageRestored, desk.inbox_id, "1:3", to_mailbox_id=desk.inbox_id)
    assert (again.applied, again.refused) == ([], [(1, 3)])
    _, outcome = await desk.do(MessageRestored, folder, "1", to_mailbox_id=folder)
    assert (outcome.to_mailbox_id, outcome.to_uids) == (desk.inbox_id, [(7, 7)])
    assert await desk.shown(desk.inbox_id) == {4: "", 5: "\\Seen", 6: "", 7: ""}
    async with desk.gateway.pool.rows() as rows:
        assert await list_restorable(rows, desk.account_id) == []


async def test_names_of_an_account_whose_key_is_gone_are_blank(desk: Desk) -> None:
    decide(desk.world, desk.owner, lambda tree: tree.create("ลับ"))
    await desk.world.keys.forget(f"account.{desk.account_id}")
    await desk.gateway.catch_up()
    async with desk.gateway.pool.rows() as rows:
        assert [box.name for box in await list_mailboxes(rows, desk.account_id)] == ["INBOX", ""]
