"""Secrets nobody needs any more go, and no others: over a key store in memory, with a clock moved by hand."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.mail.ids import AccountId
from gateway.ports import KeyForgotten
from gateway.processes.steward.forgetting import KEPT_AFTER_END, forget
from gateway.processes.web.pages.sessions import HOLDS_FOR as SESSION_HOLDS_FOR
from gateway.processes.web.pages.sessions import Sessions
from gateway.processes.web.tokens import HOLDS_FOR, Holder, Tokens
from tests.processes.world import MovedClock

SUDA = AccountId("acc_1")


class Site:
    """The KeyStore, who writes there, and a steward that looks."""

    def __init__(self) -> None:
        self.keys, self.clock = MemoryKeyStore(os.urandom), MovedClock()
        self.tokens = Tokens(self.keys, self.clock, os.urandom)
        self.sessions = Sessions(self.keys, self.clock, os.urandom)
        self.looked_at = 0

    async def look(self, after: timedelta = timedelta(0)) -> None:
        self.clock.move(after.total_seconds())
        self.looked_at = await forget(self.keys, self.clock.now(), self.looked_at)

    async def count(self, beginning: str) -> int:
        return len([kept async for kept in self.keys.kept(beginning)])


async def test_ended_tokens_and_sessions_go_a_day_after_their_end_and_others_stay() -> None:
    site = Site()
    await site.keys.put("verifier.acc_1", b"a verifier")
    token = await site.tokens.issue(Holder(SUDA))
    session = await site.sessions.begin(SUDA)
    await site.look(SESSION_HOLDS_FOR)
    assert (await site.count("token."), await site.count("session.")) == (1, 1)
    await site.look(KEPT_AFTER_END)
    assert (await site.count("token."), await site.count("session.")) == (1, 0)
    assert await site.sessions.find(session) is None
    later = await site.tokens.issue(Holder(SUDA))
    await site.look(HOLDS_FOR)
    assert await site.tokens.holder(token.text) is None
    assert await site.count("token.") == 1
    assert await site.keys.get("verifier.acc_1") == b"a verifier"
    await site.look(KEPT_AFTER_END)
    assert (await site.tokens.holder(later.text), await site.count("token.")) == (None, 0)


async def test_a_token_that_was_ended_stays_ended_until_everybody_knows() -> None:
    site = Site()
    token = await site.tokens.issue(Holder(SUDA))
    await site.look()
    await site.tokens.end(token.text)
    await site.look()
    assert await site.count("token.") == 1, "the mark that others have to see"
    assert await site.tokens.holder(token.text) is None
    await site.look()
    assert await site.count("token.") == 0
    assert await site.tokens.holder(token.text) is None


async def test_secrets_of_return_paths_go_when_all_they_wrote_has_expired() -> None:
    site, months = Site(), ("202609", "202610", "202611")
    for month in months:
        await site.keys.get_or_make(f"srs.{month}")
    assert site.clock.now().date().isoformat()[:7] == "2026-11"
    await site.look()
    with pytest.raises(KeyForgotten):
        await site.keys.get_or_make("srs.202609")
    for month in months[1:]:
        assert await site.keys.get(f"srs.{month}")
    await site.look(datetime(2027, 1, 1, tzinfo=UTC) - site.clock.now())
    with pytest.raises(KeyForgotten):
        await site.keys.get("srs.202611")
