"""The model of a session's beliefs notices every lie it is there for."""

import pytest

from tests.imap_belief import Belief, Contradiction, Ledger
from tests.imap_client import parse_response


def belief(exists: int = 3) -> Belief:
    believed = Belief("INBOX", Ledger())
    told(believed, f"{exists} EXISTS")
    for number in range(1, exists + 1):
        told(
            believed,
            f"{number} FETCH (UID {number * 10} FLAGS (\\Seen) MODSEQ ({number}) EMAILID (E{number}))",
        )
    return believed


def told(believed: Belief, text: str, during: str | None = "NOOP") -> None:
    believed.hear(parse_response(f"* {text}\r\n".encode()), during)


def test_a_picture_follows_what_it_is_told() -> None:
    believed = belief()
    believed.ledger.may_vanish.add(("INBOX", 20))
    told(believed, "2 EXPUNGE")
    told(believed, "3 EXISTS")
    told(believed, "3 FETCH (UID 41 FLAGS () MODSEQ (9))")
    assert believed.uids == [10, 30, 41]
    believed.compare({10: (1, frozenset({"\\Seen"})), 30: (3, frozenset({"\\Seen"})), 41: (9, frozenset())})


LIES = [
    "2 EXISTS",  # it never shrinks
    "4 EXPUNGE",  # nobody is there
    "1 EXPUNGE",  # and nobody had asked for it
    "4 FETCH (FLAGS ())",
    "1 FETCH (UID 11)",  # another UID
    "1 FETCH (UID 10 FLAGS () MODSEQ (1))",  # another state of the same MODSEQ
    "2 FETCH (UID 20 FLAGS () MODSEQ (1))",  # back in time
    "1 FETCH (UID 10 EMAILID (E2))",  # another message
    "VANISHED 10",
]


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_noticed(lie: str) -> None:
    with pytest.raises(Contradiction):
        told(belief(), lie)


@pytest.mark.parametrize("during", ["FETCH", "STORE", "SEARCH", None])
def test_an_expunge_while_numbers_are_in_use_is_noticed(during: str | None) -> None:
    believed = belief()
    believed.ledger.may_vanish.add(("INBOX", 10))
    with pytest.raises(Contradiction):
        told(believed, "1 EXPUNGE", during)


def test_a_uid_that_does_not_ascend_is_noticed() -> None:
    believed = belief()
    told(believed, "4 EXISTS")
    with pytest.raises(Contradiction):
        told(believed, "4 FETCH (UID 25)")


def test_a_uid_that_comes_back_is_noticed() -> None:
    believed = belief()
    believed.ledger.may_vanish.add(("INBOX", 30))
    told(believed, "3 EXPUNGE")
    told(believed, "3 EXISTS")
    with pytest.raises(Contradiction):
        told(believed, "3 FETCH (UID 30)")


def test_two_sessions_told_differently_are_noticed() -> None:
    one = belief()
    other = Belief("INBOX", one.ledger)
    told(other, "1 EXISTS")
    with pytest.raises(Contradiction):
        told(other, "1 FETCH (UID 10 FLAGS (\\Flagged) MODSEQ (1))")


def test_a_uid_given_out_twice_is_noticed() -> None:
    ledger = Ledger()
    ledger.create("INBOX", 5, "APPEND")
    with pytest.raises(Contradiction):
        ledger.create("INBOX", 5, "COPY")


def test_a_picture_that_is_not_the_truth_is_noticed() -> None:
    believed = belief()
    truth = {10: (1, frozenset({"\\Seen"})), 20: (2, frozenset({"\\Seen"})), 30: (4, frozenset[str]())}
    with pytest.raises(Contradiction):
        believed.compare(truth)
