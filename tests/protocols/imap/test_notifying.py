"""What a client hears of, by what it asked for: RFC 5465 §5 and §6."""

from dataclasses import dataclass, replace

import pytest

from gateway.protocols.imap import commands as c
from gateway.protocols.imap.notifying import Counted, Gone, Named, News, Wishes
from tests.protocols.imap.test_parsing import parsed


@dataclass(frozen=True)
class Mailbox:
    is_subscribed: bool = True
    uidnext: int = 5
    messages: int = 3
    highestmodseq: int = 9


def wishes(groups: str) -> Wishes:
    command = parsed(b"NOTIFY SET " + groups.encode())
    assert isinstance(command, c.Notify)
    return Wishes(command)


BEFORE = {"1": ("INBOX", Mailbox()), "2": ("a", Mailbox()), "3": ("a/b", Mailbox(is_subscribed=False))}
NEW = {"uidnext": 6, "messages": 4, "highestmodseq": 10}
ALL = "(MessageNew MessageExpunge FlagChange)"
MESSAGES = "(MessageNew MessageExpunge)"

CASES: list[tuple[str, str, Mailbox, list[News]]] = [
    # Which mailboxes: mailbox that changes, and what is told of it.
    ("(PERSONAL (MessageNew MessageExpunge))", "2", Mailbox(**NEW), [Counted("a")]),
    ("(INBOXES (MessageNew MessageExpunge))", "1", Mailbox(**NEW), [Counted("INBOX")]),
    ("(INBOXES (MessageNew MessageExpunge))", "2", Mailbox(**NEW), []),
    ("(SUBSCRIBED (MessageNew MessageExpunge))", "2", Mailbox(**NEW), [Counted("a")]),
    ("(SUBSCRIBED (MessageNew MessageExpunge))", "3", Mailbox(is_subscribed=False, **NEW), []),
    ("(SUBTREE a (MessageNew MessageExpunge))", "3", Mailbox(is_subscribed=False, **NEW), [Counted("a/b")]),
    ("(SUBTREE INBOX (MessageNew MessageExpunge))", "2", Mailbox(**NEW), []),
    ("(MAILBOXES (a INBOX) (MessageNew MessageExpunge))", "2", Mailbox(**NEW), [Counted("a")]),
    ("(MAILBOXES a (MessageNew MessageExpunge))", "3", Mailbox(is_subscribed=False, **NEW), []),
    # §6: a group with NONE ends it, several others count together.
    (f"(MAILBOXES a NONE) (PERSONAL {MESSAGES})", "2", Mailbox(**NEW), []),
    (f"(MAILBOXES a NONE) (PERSONAL {MESSAGES})", "1", Mailbox(**NEW), [Counted("INBOX")]),
    (f"(PERSONAL (SubscriptionChange)) (INBOXES {MESSAGES})", "1", Mailbox(**NEW), [Counted("INBOX")]),
    # §5.1 to §5.3: which changes.
    (f"(PERSONAL {MESSAGES})", "2", Mailbox(highestmodseq=10), []),
    (f"(PERSONAL {ALL})", "2", Mailbox(highestmodseq=10), [Counted("a")]),
    (f"(PERSONAL {MESSAGES})", "2", Mailbox(messages=2, highestmodseq=10), [Counted("a")]),
    (f"(PERSONAL {MESSAGES})", "2", Mailbox(uidnext=6, highestmodseq=10), [Counted("a")]),  # one for one
    (f"(SELECTED {ALL})", "2", Mailbox(**NEW), []),
    # §5.5.
    ("(PERSONAL (SubscriptionChange))", "2", Mailbox(is_subscribed=False), [Named("a")]),
    ("(SUBSCRIBED (SubscriptionChange))", "2", Mailbox(is_subscribed=False), [Named("a")]),
    ("(PERSONAL (MailboxName))", "2", Mailbox(is_subscribed=False), []),
]  # fmt: skip


@pytest.mark.parametrize(("groups", "mailbox_id", "now", "told"), CASES)
def test_what_is_told_of_a_change(groups: str, mailbox_id: str, now: Mailbox, told: list[News]) -> None:
    after = {**BEFORE, mailbox_id: (BEFORE[mailbox_id][0], now)}
    asked = wishes(groups)
    assert list(asked.differences(BEFORE, after, None)) == told
    assert list(asked.differences(after, after, None)) == []
    selected = [one for one in told if not isinstance(one, Counted)]
    assert (
        list(asked.differences(BEFORE, after, mailbox_id)) == selected
    )  # §6: its messages are told otherwise


def test_what_is_told_of_names() -> None:
    """§5.4: what was renamed takes along what lies below it."""
    after = {"1": BEFORE["1"], "2": ("c", Mailbox()), "3": ("c/b", BEFORE["3"][1]), "4": ("new", Mailbox())}
    asked = wishes("(PERSONAL (MailboxName MessageNew MessageExpunge))")
    assert list(asked.differences(BEFORE, after, None)) == [
        Named("c", "a"),
        Named("c/b", "a/b"),
        Named("new"),
        Counted("new"),
    ]
    assert list(asked.differences(after, BEFORE, None)) == [Gone("new"), Named("a", "c"), Named("a/b", "c/b")]
    below = wishes("(SUBTREE a (MailboxName))")
    assert list(below.differences(BEFORE, after, None)) == [Named("c", "a"), Named("c/b", "a/b")]
    assert list(wishes("(INBOXES (MailboxName))").differences(BEFORE, after, None)) == []
    empty = {**BEFORE, "4": ("new", replace(Mailbox(), uidnext=1, messages=0))}
    assert list(asked.differences(BEFORE, empty, None)) == [Named("new")]


@pytest.mark.parametrize(
    ("groups", "told", "flags", "is_immediate"),
    [
        (f"(SELECTED {ALL})", True, True, True),
        (f"(SELECTED-DELAYED {MESSAGES})", True, False, False),
        ("(SELECTED NONE)", False, False, False),
        (f"(INBOXES {ALL})", False, False, False),
    ],
)
def test_what_is_told_of_the_selected_mailbox(
    groups: str, told: bool, flags: bool, is_immediate: bool
) -> None:
    """§3.1, §6.1 and §6.2; who changes it or asks hears of it in any case."""
    asked = wishes(groups)
    assert (asked.tells_selected(), asked.tells_flags(), asked.is_immediate) == (told, flags, is_immediate)
    assert asked.tells_selected(c.Noop())
    assert asked.tells_flags(c.Expunge())
    assert asked.tells_selected(c.Close()) == told
