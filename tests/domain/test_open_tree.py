"""What may become of an account's mailboxes (RFC 9051 §5.1, §6.3.4 to §6.3.7; RFC 6154)."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

import pytest

from gateway.domain.aggregate import AggregateEvent, replay
from gateway.domain.events import Actor, By, Event, Stamp
from gateway.domain.mailboxtree import MailboxAnnotated, MailboxDeleted, MailboxRenamed, MailboxTree
from gateway.domain.open_tree import (
    ACCOUNT_ENTRIES_MAX,
    ENTRIES_MAX,
    LEVELS_MAX,
    VALUE_OCTETS_MAX,
    MailboxRefused,
    OpenTree,
)
from gateway.mail.ids import AccountId, MailboxId

STAMP = Stamp(datetime(2026, 11, 28, tzinfo=UTC), Actor("account", "acc_a"), By("imap", "0", "d"))
KEY = bytes(32)


class Desk:
    """A tree, opened anew for each decision as the shell does, and all its events."""

    def __init__(self) -> None:
        self.tree = MailboxTree.create(
            AccountId("acc_a"), STAMP, base=1_700_000_000, inbox_id=MailboxId("mbx_0")
        )
        self.events: list[Event] = [fact.event for fact in self.tree.collect_facts()]
        self._numbers = count(1)

    @property
    def open(self) -> OpenTree:
        self.events += [fact.event for fact in self.tree.collect_facts()]
        return OpenTree(
            self.tree,
            KEY,
            STAMP,
            new_id=lambda: MailboxId(f"mbx_{next(self._numbers)}"),
            nonce=lambda: next(self._numbers).to_bytes(12, "big"),
        )

    def refuses(self, decide: Callable[[OpenTree], object]) -> str:
        with pytest.raises(MailboxRefused) as refused:
            decide(self.open)
        assert not self.tree.pending_events
        return refused.value.why


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_mailbox_is_found_by_the_name_it_was_made_with(desk: Desk) -> None:
    made = desk.open.create("โครงการ/2569/บัญชี")
    assert desk.open.find("โครงการ/2569/บัญชี") == made
    assert desk.open.find("โครงการ/2569") not in (None, made)  # made on the way (§6.3.4)
    assert desk.open.find("โครงการ/2570") is None


def test_a_separator_at_the_end_says_only_that_more_may_lie_below(desk: Desk) -> None:
    made = desk.open.create("Projects/")
    assert desk.open.find("Projects") == made


def test_inbox_is_one_in_every_case_and_only_at_the_top(desk: Desk) -> None:
    assert desk.open.find("inBox") == desk.tree.inbox_id
    below = desk.open.create("inbox/Inbox")
    assert desk.open.find("INBOX/Inbox") == below
    assert desk.open.find("INBOX/INBOX") is None


def test_names_are_compared_in_their_composed_form(desk: Desk) -> None:
    made = desk.open.create("Cafe\u0301")
    assert desk.open.find("Caf\u00e9") == made


BAD_NAMES = ["", "/", "a//b", "/a", " a", "a ", "a*", "50%", "a\r\nb", "a\u2028b", "a\x00", "x" * 256]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_what_is_no_name_is_refused(desk: Desk, name: str) -> None:
    assert desk.refuses(lambda tree: tree.create(name)) == "name"


def test_a_name_there_is_already_is_refused(desk: Desk) -> None:
    desk.open.create("A/B")
    assert desk.refuses(lambda tree: tree.create("A")) == "exists"
    assert desk.refuses(lambda tree: tree.create("INBOX")) == "exists"
    assert desk.refuses(lambda tree: tree.rename("A/B", "A")) == "exists"


def test_too_many_levels_are_refused_also_when_a_tree_is_moved(desk: Desk) -> None:
    deep = "/".join("a" * LEVELS_MAX)
    assert desk.refuses(lambda tree: tree.create(deep + "/a")) == "limit"
    desk.open.create(deep)
    desk.open.create("B")
    assert desk.refuses(lambda tree: tree.rename("a", "B/a")) == "limit"


def test_a_tree_is_renamed_by_one_event_and_all_below_goes_along(desk: Desk) -> None:
    below = desk.open.create("A/B/C")
    desk.open.rename("A", "X/Y")
    assert desk.open.find("X/Y/B/C") == below
    assert desk.open.find("A") is None
    assert sum(isinstance(event, MailboxRenamed) for event in desk.events) == 1


def test_a_mailbox_cannot_lie_below_itself(desk: Desk) -> None:
    desk.open.create("A/B")
    assert desk.refuses(lambda tree: tree.rename("A", "A/B/C")) == "name"


def test_a_mailbox_with_others_below_it_is_not_deleted(desk: Desk) -> None:
    desk.open.create("A/B")
    assert desk.refuses(lambda tree: tree.delete("A")) == "children"
    desk.open.delete("A/B")
    desk.open.delete("A")
    assert desk.open.find("A") is None
    assert sum(isinstance(event, MailboxDeleted) for event in desk.events) == 2


def test_inbox_stays(desk: Desk) -> None:
    assert desk.refuses(lambda tree: tree.delete("inbox")) == "inbox"
    assert desk.refuses(lambda tree: tree.rename("Inbox", "Old")) == "inbox"


def test_one_mailbox_has_each_role(desk: Desk) -> None:
    desk.open.create("ส่งแล้ว", "sent")
    assert desk.refuses(lambda tree: tree.create("Sent Items", "sent")) == "role"
    desk.open.delete("ส่งแล้ว")
    desk.open.create("Sent Items", "sent")


def test_a_new_account_is_furnished_once(desk: Desk) -> None:
    desk.open.furnish({"sent": "Sent", "trash": "Trash"})
    desk.open.delete("Trash")
    desk.open.furnish({"sent": "Sent", "trash": "Trash"})
    assert desk.open.find("Sent")
    assert desk.open.find("Trash") is None


def test_a_subscription_that_changes_nothing_is_no_event(desk: Desk) -> None:
    desk.open.create("A")
    desk.open.subscribe("A", is_subscribed=True)
    assert not desk.tree.pending_events
    desk.open.subscribe("A", is_subscribed=False)
    assert len(desk.tree.pending_events) == 1
    assert desk.refuses(lambda tree: tree.subscribe("B", is_subscribed=True)) == "missing"


def test_the_tree_is_that_of_its_history(desk: Desk) -> None:
    desk.open.create("A/B", "archive")
    desk.open.rename("A/B", "C")
    desk.open.subscribe("C", is_subscribed=False)
    desk.open.delete("A")
    assert desk.open.find("C")
    assert all(isinstance(event, AggregateEvent) for event in desk.events)
    again = replay(MailboxTree, desk.events)
    assert again is not None
    assert again.nodes == desk.tree.nodes


def test_metadata_is_decided_once(desk: Desk) -> None:
    """RFC 5464 §4.3: and is gone with its mailbox."""
    made = desk.open.create("a")
    desk.open.annotate("a", [("/private/comment", b"1"), ("/private/x", b"")])
    desk.open.annotate("a", [("/private/comment", b"1"), ("/private/y", None)])
    desk.open.annotate("", [("/private/comment", b"2")])
    desk.open.annotate("a", [("/private/comment", None)])
    said = [(one.mailbox_id, one.entry) for one in desk.events if isinstance(one, MailboxAnnotated)]
    assert said == [(made, "/private/comment"), (made, "/private/x"), (None, "/private/comment")]
    assert set(desk.tree.annotations[made]) == {"/private/x"}
    desk.open.delete("a")
    assert made not in desk.tree.annotations


def test_metadata_has_its_limits(desk: Desk) -> None:
    """A refusal decides nothing, and what makes room is never refused."""
    desk.open.create("a")
    full = [(f"/private/x/{number}", b"v") for number in range(ENTRIES_MAX)]
    desk.open.annotate("a", full)
    assert desk.refuses(lambda tree: tree.annotate("a", [("/private/y", b"v"), full[0]])) == "entries"
    large = bytes(VALUE_OCTETS_MAX + 1)
    assert (
        desk.refuses(lambda tree: tree.annotate("", [("/private/y", b"v"), ("/private/z", large)])) == "value"
    )
    desk.open.annotate("a", [("/private/y", b"v"), (full[0][0], None)])
    for number in range(1, ACCOUNT_ENTRIES_MAX // ENTRIES_MAX):
        desk.open.create(f"b{number}")
        desk.open.annotate(f"b{number}", full)
    assert desk.refuses(lambda tree: tree.annotate("", [("/private/y", b"v")])) == "entries"
