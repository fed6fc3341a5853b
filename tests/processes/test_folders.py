"""Folders decided on a log: of two who want the same one is told no, names are sealed, defaults come once."""

import asyncio
import os

import pytest

from gateway.adapters.aggregates import LoggedAggregates
from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.memory.log import MemoryLog
from gateway.domain.account import account_key_name
from gateway.domain.events import Actor, Stamp
from gateway.domain.mailboxtree import MailboxTree
from gateway.domain.open_tree import MailboxRefused, OpenTree
from gateway.mail.ids import AccountId, MailboxId
from gateway.ports import KeyForgotten
from gateway.processes.folders import FURNITURE, Folders
from tests.processes.world import AT, BY, MovedClock

SUDA = AccountId("acc_suda")
ACTOR = Actor("account", SUDA)


class Home:
    def __init__(self) -> None:
        self.log, self.keys = MemoryLog(), MemoryKeyStore(os.urandom)
        self.aggregates = LoggedAggregates(self.log)
        self.folders = Folders(
            aggregates=self.aggregates, keys=self.keys, clock=MovedClock(), entropy=os.urandom, by=BY
        )

    async def paths(self) -> list[str]:
        """Those of the names asked for in these tests that are there."""
        asked = ["INBOX", "งาน", *FURNITURE["th"].values(), *FURNITURE["en"].values()]
        found, _ = await self.folders.decide(SUDA, ACTOR, lambda tree: [p for p in asked if tree.find(p)])
        return found


@pytest.fixture
async def home() -> Home:
    home = Home()
    await home.keys.get_or_make(account_key_name(SUDA))
    stamp = Stamp(AT, ACTOR, BY)
    await home.aggregates.save(
        MailboxTree.create(SUDA, stamp, base=1_700_000_000, inbox_id=MailboxId("mbx_0"))
    )
    return home


async def test_of_two_who_make_the_same_mailbox_one_is_told_that_it_is_there(home: Home) -> None:
    making = [home.folders.decide(SUDA, ACTOR, lambda tree: tree.create("งาน")) for _ in range(2)]
    outcomes = await asyncio.gather(*making, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, MailboxRefused)]
    assert [one.why for one in refused] == ["exists"]
    assert await home.log.last() == 2


async def test_no_name_stands_in_the_log(home: Home) -> None:
    _, position = await home.folders.decide(SUDA, ACTOR, lambda tree: tree.create("secret plan"))
    assert b"secret" not in (await home.log.read(position)).state


async def test_what_changes_nothing_is_no_event(home: Home) -> None:
    def subscribe(tree: OpenTree) -> MailboxId:
        return tree.subscribe("INBOX", is_subscribed=True)

    assert await home.folders.decide(SUDA, ACTOR, subscribe) == ("mbx_0", 0)
    assert await home.log.last() == 1


async def test_an_account_is_furnished_once_in_its_language(home: Home) -> None:
    assert await home.folders.furnish(SUDA, ACTOR, "th") > 0
    assert await home.folders.furnish(SUDA, ACTOR, "en") == 0
    assert await home.paths() == ["INBOX", *FURNITURE["th"].values()]


async def test_of_an_erased_account_nothing_is_decided(home: Home) -> None:
    await home.keys.forget(account_key_name(SUDA))
    with pytest.raises(KeyForgotten):
        await home.folders.furnish(SUDA, ACTOR, "th")
