"""Which mailboxes a LIST shows (RFC 9051 §6.3.9, RFC 5258 §5, RFC 3501 §6.3.9, RFC 6154)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.imap.commands import List, Lsub
from gateway.protocols.imap.listing import Listable, Listed, list_mailboxes, list_subscribed, matcher

MAILBOXES = (
    Listable("INBOX", "inbox"),
    Listable("ส่งแล้ว", "sent"),
    Listable("foo", is_subscribed=False),
    Listable("foo/bar"),
    Listable("foo/bar/baz", is_subscribed=False),
    Listable("fruit", is_subscribed=False),
)


def paths(pattern: str, reference: str = "") -> list[str]:
    return [one.path for one in list_mailboxes(List(reference, (pattern,)), MAILBOXES)]


PATTERNS = [
    ("*", [mailbox.path for mailbox in MAILBOXES]),
    ("%", ["INBOX", "ส่งแล้ว", "foo", "fruit"]),  # one level
    ("foo/%", ["foo/bar"]),
    ("foo/*", ["foo/bar", "foo/bar/baz"]),
    ("f%t", ["fruit"]),
    ("%/bar", ["foo/bar"]),
    ("inbox", ["INBOX"]),  # INBOX in any case, and nothing else
    ("FOO", []),
    ("ส่ง%", ["ส่งแล้ว"]),
    ("fo.", []),  # no dot of regular expressions
    ("", []),
]


@pytest.mark.parametrize(("pattern", "shown"), PATTERNS)
def test_a_pattern_shows_what_matches_it_whole(pattern: str, shown: list[str]) -> None:
    assert paths(pattern) == shown


def test_the_reference_stands_before_the_pattern() -> None:
    assert paths("%", reference="foo/") == ["foo/bar"]


def test_many_wildcards_match_as_fast_as_one() -> None:
    """A regular expression would not come back from this."""
    for pattern in ("*a" * 500 + "*b", "%a" * 500 + "%b", "*%" * 500 + "b"):
        assert not matcher(pattern)("a" * 4_000)
        assert matcher(pattern)("a" * 4_000 + "b")
    assert not matcher("x" * 5_000)("x" * 5_000)


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
def test_a_pattern_matches_what_a_regular_expression_does(pattern: str, path: str) -> None:
    wild = {"*": ".*", "%": "[^/]*"}
    meant = re.compile("".join(wild.get(one) or re.escape(one) for one in pattern))
    assert matcher(pattern)(path) == (meant.fullmatch(path) is not None)


def listed(*selects: str, pattern: str = "*", returns: tuple[str, ...] = ()) -> list[Listed]:
    command = List("", (pattern,), frozenset(selects), frozenset(returns))
    return list(list_mailboxes(command, MAILBOXES))


def test_children_and_special_use_are_always_told() -> None:
    told = {one.path: one.attributes for one in listed()}
    assert told["foo"] == ("\\HasChildren",)
    assert told["ส่งแล้ว"] == ("\\HasNoChildren", "\\Sent")


def test_subscribed_mailboxes_are_chosen_and_marked() -> None:
    assert [one.path for one in listed("SUBSCRIBED")] == ["INBOX", "ส่งแล้ว", "foo/bar"]
    assert all("\\Subscribed" in one.attributes for one in listed("SUBSCRIBED"))
    assert "\\Subscribed" in listed(pattern="foo/bar", returns=("SUBSCRIBED",))[0].attributes


def test_special_use_alone_is_chosen() -> None:
    assert [one.path for one in listed("SPECIAL-USE")] == ["ส่งแล้ว"]


def test_a_recursive_match_shows_parents_of_what_the_pattern_hides() -> None:
    shown = listed("SUBSCRIBED", "RECURSIVEMATCH", pattern="%")
    assert [(one.path, one.has_subscribed_below) for one in shown] == [
        ("INBOX", False),
        ("ส่งแล้ว", False),
        ("foo", True),
    ]


def test_a_mailbox_that_two_patterns_match_is_shown_once() -> None:
    assert len(list(list_mailboxes(List("", ("INBOX", "I%")), MAILBOXES))) == 1


def test_lsub_shows_parents_of_subscribed_mailboxes_that_a_percent_hides() -> None:
    shown = list(list_subscribed(Lsub("", "%"), MAILBOXES))
    assert shown == [Listed("INBOX", ()), Listed("ส่งแล้ว", ()), Listed("foo", ("\\Noselect",))]
    assert [one.path for one in list_subscribed(Lsub("", "*"), MAILBOXES)] == ["INBOX", "ส่งแล้ว", "foo/bar"]
