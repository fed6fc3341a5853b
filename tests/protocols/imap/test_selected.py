"""A selected mailbox: whatever changes, a client that obeys what it is told has the same picture."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mail.uids import each_uid, ranges_of
from gateway.protocols.imap import commands as c
from gateway.protocols.imap.parsing import parse_command
from gateway.protocols.imap.search_keys import All
from gateway.protocols.imap.selected import (
    Exists,
    Expunged,
    Flagged,
    NoSuchMessage,
    Owed,
    Selected,
    may_expunge,
    names_numbers,
)
from gateway.protocols.imap.sequence_set import SAVED, SequenceSet, parse_set
from tests.protocols.imap.splits import lines


@dataclass(frozen=True)
class Change:
    uid: int
    modseq: int
    flags: str = ""
    is_expunged: bool = False


@dataclass
class Client:
    """What a client makes of what it is told. None: a message it has not fetched yet (RFC 9051 §7.4.1)."""

    uids: list[int | None]
    flags: dict[int, str] = field(default_factory=dict)
    modseqs: dict[int, int] = field(default_factory=dict)

    def obey(self, owed: list[Owed], *, may_expunge: bool) -> None:
        for one in owed:
            match one:
                case Expunged(number, uid):
                    assert may_expunge
                    assert self.uids.pop(number - 1) in (uid, None)
                    self.flags.pop(uid, None)
                case Exists(messages):
                    assert messages >= len(self.uids), "only EXPUNGE makes a mailbox smaller"
                    self.uids += [None] * (messages - len(self.uids))
                case Flagged(number, uid, flags, modseq):
                    assert self.uids[number - 1] in (uid, None)
                    self.modseqs[uid] = modseq
                    if flags is not None:
                        self.flags[uid] = flags


@dataclass
class Mailbox:
    """The truth."""

    flags: dict[int, str]
    modseq: int = 1
    uidnext: int = 1
    changed: dict[int, Change] = field(default_factory=dict)

    def change(self, uid: int, flags: str, *, is_expunged: bool = False) -> None:
        self.modseq += 1
        self.changed[uid] = Change(uid, self.modseq, flags, is_expunged)
        self.flags[uid] = flags
        if is_expunged:
            del self.flags[uid]

    def append(self) -> None:
        self.change(self.uidnext, "")
        self.uidnext += 1

    def since(self, modseq: int) -> list[Change]:
        return sorted((one for one in self.changed.values() if one.modseq > modseq), key=lambda one: one.uid)


def step(mailbox: Mailbox, what: str, which: int, flags: str) -> None:
    there = sorted(mailbox.flags)
    if what == "append":
        mailbox.append()
    elif there and what in ("flag", "expunge"):
        mailbox.change(there[which % len(there)], flags, is_expunged=what == "expunge")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "flag", "flag", "expunge", "learn", "tell", "tell, not of expunges"]),
        st.integers(0, 20),
        st.sampled_from(["", "\\Seen", "\\Deleted \\Seen"]),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(st.integers(0, 6), STEPS)
def test_a_client_that_obeys_has_the_same_picture(messages: int, steps: list[tuple[str, int, str]]) -> None:
    mailbox = Mailbox({})
    for _ in range(messages):
        mailbox.append()
    uids = sorted(mailbox.flags)
    selected, client = Selected(uids, mailbox.modseq), Client(list(uids), dict(mailbox.flags))
    for what, which, flags in steps:
        step(mailbox, what, which, flags)
        if what == "learn":
            selected.learn(mailbox.since(selected.modseq), mailbox.modseq)
        elif what.startswith("tell"):
            may = what == "tell"
            client.obey(selected.owed(may_expunge=may), may_expunge=may)
            assert selected.exists == len(client.uids)
            fetch(client, selected, mailbox)
    selected.learn(mailbox.since(selected.modseq), mailbox.modseq)
    client.obey(selected.owed(may_expunge=True), may_expunge=True)
    fetch(client, selected, mailbox)
    assert client.uids == sorted(mailbox.flags)
    assert client.flags == mailbox.flags
    assert selected.owed(may_expunge=True) == []


def fetch(client: Client, selected: Selected, mailbox: Mailbox) -> None:
    """The client asks for what it does not know, and the numbers of both agree."""
    for index, uid in enumerate(client.uids):
        ((found, last),) = selected.uids_of(parse_set(b"%d" % (index + 1)), by_uid=False)
        assert found == last
        assert uid in (found, None)
        assert selected.number_of(found) == index + 1
        client.uids[index] = found
        if uid is None and found in mailbox.flags:
            client.flags[found] = mailbox.flags[found]


def test_an_expunge_waits_until_it_may_be_told() -> None:
    """RFC 9051 §7.5.1: and until then the numbers stay."""
    selected = Selected([1, 2, 3, 4], 10)
    selected.learn([Change(2, 11, is_expunged=True), Change(4, 12, is_expunged=True), Change(5, 13)], 13)
    assert selected.owed(may_expunge=False) == [Exists(5)]
    assert [selected.number_of(uid) for uid in (2, 3, 5)] == [2, 3, 5]
    assert selected.owed(may_expunge=True) == [Expunged(4, 4), Expunged(2, 2)]
    assert [selected.number_of(uid) for uid in (2, 3, 5)] == [None, 2, 3]


def test_a_message_that_came_and_went_is_never_told() -> None:
    selected = Selected([1], 10)
    selected.learn([Change(2, 11)], 11)
    selected.learn([Change(2, 12, is_expunged=True)], 12)
    assert selected.owed(may_expunge=True) == []
    selected.learn([Change(3, 13, is_expunged=True)], 13)
    assert selected.owed(may_expunge=True) == []


def test_what_the_session_has_changed_itself_is_not_told() -> None:
    """RFC 9051 §6.4.6 (.SILENT), RFC 7162 §3.1.3: with CONDSTORE the MODSEQ is told all the same."""
    for tells_modseq, owed in ((False, []), (True, [Flagged(1, 1, None, 11)])):
        selected = Selected([1, 2, 3], 10)
        selected.learn([Change(1, 11, "\\Seen"), Change(2, 12, "\\Draft"), Change(3, 11, "a")], 12)
        selected.hush([(1, 2)], 11, tells_modseq=tells_modseq)
        assert selected.owed(may_expunge=True) == [
            *owed,
            Flagged(2, 2, "\\Draft", 12),
            Flagged(3, 3, "a", 11),
        ]


SETS = [
    (b"1", False, [(2, 2)]),
    (b"2:*", False, [(3, 3), (7, 8)]),
    (b"*", True, [(8, 8)]),
    # RFC 9051 §6.4.9: a UID that is not there is ignored.
    (b"4:6,100", True, []),
    (b"1:7", True, [(2, 3), (7, 7)]),
    # RFC 9051 §9: 100:* has the last message in it.
    (b"100:*", True, [(8, 8)]),
]


@pytest.mark.parametrize(("written", "by_uid", "uids"), SETS)
def test_a_set_names_messages(written: bytes, by_uid: bool, uids: list[tuple[int, int]]) -> None:
    selected = Selected([2, 3, 7, 8], 1)
    assert selected.uids_of(parse_set(written), by_uid=by_uid) == uids
    assert selected.matching(parse_set(written), by_uid=by_uid) == uids


@pytest.mark.parametrize("written", [b"3", b"1:3", b"3:*"])
def test_a_number_no_message_has_is_an_error_and_found_by_no_search(written: bytes) -> None:
    """RFC 9051 §9 (seq-number)."""
    selected = Selected([5, 6], 1)
    with pytest.raises(NoSuchMessage):
        selected.uids_of(parse_set(written), by_uid=False)
    assert selected.matching(parse_set(written), by_uid=False) in ([], [(5, 6)], [(6, 6)])


def test_an_empty_mailbox_has_no_last_message() -> None:
    selected = Selected([], 1)
    with pytest.raises(NoSuchMessage):
        selected.uids_of(parse_set(b"*"), by_uid=False)
    assert selected.uids_of(parse_set(b"1:*"), by_uid=True) == []
    assert selected.matching(parse_set(b"1:*"), by_uid=False) == []
    assert selected.uids_of(SAVED, by_uid=False) == []


def test_a_dollar_names_what_was_saved_and_is_still_there() -> None:
    """RFC 5182 §2.1."""
    selected = Selected([1, 2, 3, 4], 1)
    selected.saved = [(2, 3)]
    selected.learn([Change(2, 2, is_expunged=True)], 2)
    selected.owed(may_expunge=True)
    assert selected.uids_of(SAVED, by_uid=False) == selected.uids_of(SAVED, by_uid=True) == [(3, 3)]


@given(
    st.sets(st.integers(1, 60), max_size=40),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=5),
)
def test_sets_and_numbers_agree_with_counting(there: set[int], items: list[tuple[int, int]]) -> None:
    uids = sorted(there)
    selected = Selected(uids, 1)
    numbers = SequenceSet(tuple(items))
    by_uid = selected.uids_of(numbers, by_uid=True)
    largest = uids[-1] if uids else 0
    wanted = {uid for a, b in numbers.resolve(largest) for uid in range(a, b + 1)} & there
    assert by_uid == ranges_of(sorted(wanted))
    by_number = set(each_uid(selected.matching(numbers, by_uid=False)))
    resolved = numbers.resolve(len(uids))
    assert by_number == {uids[n - 1] for a, b in resolved for n in range(a, b + 1) if 0 < n <= len(uids)}
    rows = [Change(uid, 1) for uid in range(1, 61)]
    assert [(number, row.uid) for number, row in selected.numbered(rows)] == list(enumerate(uids, 1))


ONE = SequenceSet(((1, 1),))


@pytest.mark.parametrize(
    ("command", "may"),
    [
        (c.Fetch(ONE, ()), False), (c.Fetch(ONE, (), by_uid=True), True),
        (c.Store(ONE, "add", ()), False), (c.Store(ONE, "add", (), by_uid=True), True),
        (c.Search(All()), False), (c.Search(All(), by_uid=True), True),
        (c.Noop(), True), (c.Copy(ONE, "x"), True), (c.Expunge(), True), (c.Idle(), True),
    ],
)  # fmt: skip
def test_when_an_expunge_may_be_told(command: c.Command, may: bool) -> None:
    """RFC 9051 §7.5.1."""
    assert may_expunge(command) == may


NUMBERS = [
    (b"FETCH 1 FLAGS", True), (b"UID FETCH 1 FLAGS", False), (b"STORE 1 FLAGS ()", True), (b"COPY $ x", True),
    (b"UID MOVE 1 x", False), (b"SEARCH ALL", True), (b"UID SEARCH ALL", False), (b"UID SEARCH NOT 1:5",
    True),
    (b"UID SEARCH $ UID 4", False), (b"UID SORT (DATE) UTF-8 OR 1 SEEN", True), (b"EXPUNGE", False),
    (b"THREAD REFERENCES UTF-8 ALL", True), (b"REPLACE 1 x {1+}\r\na", True), (b"SELECT x", False),
    (b"SELECT x (QRESYNC (7 9 1:9))", False), (b"SELECT x (QRESYNC (7 9 (1 5)))", True), (b"NOOP", False),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "is_by_number"), NUMBERS)
def test_which_commands_rest_on_numbers(sent: bytes, is_by_number: bool) -> None:
    """RFC 9586 §3."""
    assert names_numbers(parse_command(lines(b"a " + sent + b"\r\n")).command) is is_by_number


@given(st.sets(st.integers(1, 60), min_size=1), st.data())
def test_up_to_a_message_that_has_its_number_nothing_has_gone(uids: set[int], data: st.DataObject) -> None:
    """RFC 7162 §3.2.5.2: a client that knew these messages, of which some are gone now."""
    known = sorted(uids)
    gone = data.draw(st.sets(st.sampled_from(known)))
    numbers = sorted(data.draw(st.sets(st.integers(1, len(known)), min_size=1)))
    theirs = [known[number - 1] for number in numbers]
    selected = Selected([uid for uid in known if uid not in gone], 9)
    unmoved = selected.unmoved(ranges_of(numbers), ranges_of(theirs))
    assert not any(uid <= unmoved for uid in gone)
    stayed = [uid for uid in theirs if not any(each <= uid for each in gone)]
    assert unmoved == max(stayed, default=0)
