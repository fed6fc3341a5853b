"""What rows say of a search is what the search means, wherever rows say anything."""

import random
from datetime import date, timedelta
from itertools import product

import pytest

from gateway.domain.changes import MessageExpunged, MessageFlagged
from gateway.mail.ids import AccountId
from gateway.mail.summary import Envelope, EnvelopeAlone
from gateway.mail.uids import Ranges
from gateway.protocols.imap.search_keys import (
    All,
    And,
    Arrived,
    HasEmailId,
    HasFlag,
    HasThreadId,
    InBody,
    InEnvelope,
    InHeader,
    Key,
    Messages,
    ModifiedSince,
    Not,
    Or,
    Recent,
    Saved,
    Sent,
    Sized,
    Within,
    each_key,
)
from gateway.protocols.imap.searching import Context, Known, Need, Search, need_of
from gateway.protocols.imap.sequence_set import SequenceSet
from projections.mailbox.query import SummarisedLine, summarised_lines
from projections.mailbox.said import said
from projections.mailbox.searching import judge
from projections.summary import envelope_of
from tests.projections.gateway import Gateway
from tests.projections.mailboxes import append, change
from tests.sizes import size

ALL = [(1, 2**32 - 1)]
SUBJECTS = ("งบประมาณ 2569", "Straße\0END", "น้\u0e4dาท่วม", "report \ufffd", "", "R" * 300)
FLAGS = ((), ("\\Seen",), ("\\Seen", "$Work"), ("\\Flagged", "$work-2"), ("\\Deleted",))
DAY = date(2026, 11, 23)
LEAVES: list[Key] = [
    All(),
    Recent(),
    HasThreadId("T1"),
    HasEmailId("E9"),
    *(HasFlag(flag) for flag in ("\\Seen", "\\Flagged", "$WORK", "work", "$work-2")),
    *(Messages(SequenceSet(((1, 3), (7, 9))), by_uid=by_uid) for by_uid in (True, False)),
    *(
        kind(when, DAY + timedelta(days))  # type: ignore[arg-type]
        for kind, when, days in product((Arrived, Saved, Sent), ("BEFORE", "ON", "SINCE"), (-1, 0, 1))
    ),
    Arrived("BEFORE", date.max),
    Arrived("SINCE", date.min),
    *(Within(is_younger, seconds) for is_younger in (True, False) for seconds in (1, 60, 600, 2**32 - 1)),
    *(Sized(is_larger, octets) for is_larger in (True, False) for octets in (0, 9_000, 30_000, 2**63)),
    *(ModifiedSince(modseq) for modseq in (1, 30, 2**63 + 1)),
    *(InEnvelope("subject", text) for text in ("", "ประมาณ", "STRASSE", "\0", "\ufffd", "น้ํา", "rrr", "%")),
    *(InEnvelope("from", text) for text in ("BEE@", "nobody", "<", "")),
    *(InEnvelope(field, "opm") for field in ("bcc", "cc", "to")),  # type: ignore[arg-type]
    *(InHeader("message-id", text) for text in ("@OPM.go.th>", "nowhere", "")),
    InHeader("x-priority", "1"),
    InBody("ประชุม"),
]  # fmt: skip


def tree(chance: random.Random, depth: int = 3) -> Key:
    kind = chance.randrange(4) if depth else 0
    match kind:
        case 1:
            return Not(tree(chance, depth - 1))
        case 2:
            return Or(tree(chance, depth - 1), tree(chance, depth - 1))
        case 3:
            return And(tuple(tree(chance, depth - 1) for _ in range(chance.randrange(1, 4))))
    return chance.choice(LEAVES)


class Mailbox:
    """One of everything that rows may have to tell of."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.owner = gateway, gateway.ann
        world, inbox = gateway.world, gateway.ann.inbox_id
        for flags, subject in product(FLAGS, SUBJECTS):
            append(world, self.owner, inbox, flags, subject)
        for mail_from in (None, "bee@opdc.go.th"):
            world.deliver(world.accept(gateway.opm, mail_from, ["ann@opm.go.th"]), self.owner, [0])
        change(world, self.owner, MessageFlagged, inbox, "5:9", {"how": "add", "flags": ("$WORK",)})
        change(world, self.owner, MessageExpunged, inbox, "8,12:14", {})
        self.viewer: AccountId | None = None
        self.context = Context(world.now, self.uids_of, recent=frozenset({2, 31}))

    @staticmethod
    def uids_of(messages: Messages) -> Ranges:
        return [(1, 3), (7, 9)] if messages.by_uid else [(2, 2), (9, 40)]

    async def show_to_another(self) -> None:
        """Who is not the owner, and has seen other messages."""
        other, inbox = self.gateway.bee, self.owner.inbox_id
        fields = {"how": "add", "flags": ("\\Seen",)}
        change(self.gateway.world, self.owner, MessageFlagged, inbox, "1:10", fields, by=other)
        await self.gateway.catch_up()
        self.viewer = other.account_id

    async def lines(self) -> list[SummarisedLine]:
        async with self.gateway.pool.rows() as rows:
            shown = await summarised_lines(
                rows, self.owner.account_id, self.owner.inbox_id, ALL, viewer=self.viewer
            )
        return [line for line in shown if not line.is_expunged]

    async def told(self, key: Key, within: Ranges = ALL) -> dict[int, bool | None]:
        """By UID; those that it is not are left out."""
        async with self.gateway.pool.rows() as rows:
            sure, unsure = await judge(
                rows,
                self.owner.account_id,
                self.owner.inbox_id,
                within,
                key,
                self.context,
                viewer=self.viewer,
            )
        assert sure == sorted(sure)
        assert unsure == sorted(unsure)
        return dict.fromkeys(sure, True) | dict.fromkeys(unsure)

    def meant(self, key: Key, line: SummarisedLine) -> bool | None:
        """By its row and its envelope."""
        return Search(key, self.context).verdict(line, Known(envelope_of(line.summary)))


@pytest.fixture
async def mailbox(gateway: Gateway) -> Mailbox:
    mailbox = Mailbox(gateway)
    await gateway.catch_up()
    return mailbox


@pytest.mark.parametrize("is_shared", [False, True])
async def test_rows_tell_what_a_search_means_or_nothing(mailbox: Mailbox, is_shared: bool) -> None:
    if is_shared:
        await mailbox.show_to_another()
    chance = random.Random(33)
    shown = await mailbox.lines()
    assert len(shown) == len(FLAGS) * len(SUBJECTS) + 2 - 4
    for key in [*LEAVES, *(tree(chance) for _ in range(size(150, 5_000)))]:
        told = await mailbox.told(key)
        assert told.keys() <= {line.uid for line in shown}
        for line in shown:
            verdict, meant = told.get(line.uid, False), mailbox.meant(key, line)
            assert verdict is None or meant is None or verdict == meant, (key, line.uid)
            if all(need_of(one) == Need.ROW for one in each_key(key)):
                assert verdict is not None, (key, line.uid)


async def test_an_envelope_is_searched_in_rows(mailbox: Mailbox) -> None:
    told = await mailbox.told(InEnvelope("subject", "ประมาณ"))
    assert list(told) == [1, 7, 19, 25]
    assert all(told.values())
    everything = {line.uid for line in await mailbox.lines()}
    assert await mailbox.told(InEnvelope("subject", "\0")) == dict.fromkeys(everything), "it cannot be asked"


def test_of_a_cut_envelope_rows_say_nothing() -> None:
    assert said(EnvelopeAlone(Envelope(subject="x"), cut=True)) is None


async def test_only_those_that_were_named_are_looked_at(mailbox: Mailbox) -> None:
    assert set(await mailbox.told(All(), [(4, 6), (8, 9)])) >= {4, 5, 6, 9}
    assert not await mailbox.told(All(), [(8, 8)])
    assert not await mailbox.told(All(), [])


async def test_nobody_finds_the_words_of_what_was_erased(mailbox: Mailbox) -> None:
    world = mailbox.gateway.world
    secret = append(world, mailbox.owner, mailbox.owner.inbox_id, (), "ลับ")
    for wrap in secret.keys:
        await world.keys.forget(wrap.key)
    await mailbox.gateway.catch_up()
    told = await mailbox.told(InEnvelope("subject", "ลับ"))
    assert list(told.values()) == [None], "the one that was erased is left to who looks closer"
