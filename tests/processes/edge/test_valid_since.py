"""Mail to an address that changed hands (RFC 7293), at the edge."""

from datetime import UTC, datetime

from gateway.domain.events import MailAccepted
from gateway.domain.refusals import REFUSALS, RecipientRefused, RefusalSecret
from gateway.domain.sealing import unseal
from gateway.processes.edge.refusals import RECORDED_PER_MINUTE
from tests.processes.edge.world import FIRST_HAND, OWNER_SINCE, EdgeWorld, away

LATE = b"RCPT TO:<suda@opm.go.th> RRVS=2020-03-01T08:59:59Z\r\n"
FIELD = b"Require-Recipient-Valid-Since: somchai@opm.go.th; Sun, 1 Mar 2020 08:59:59 +0000\r\n"


async def test_a_recipient_with_another_owner_is_refused_and_the_log_says_why(world: EdgeWorld) -> None:
    async with world.running(), await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        assert (await client.say(LATE)).startswith(b"550 5.7.17 ")
        assert (await client.say(b"RCPT TO:<suda@opm.go.th>\r\n")).startswith(b"250 ")
    (refused,) = await world.events(RecipientRefused)
    assert (refused.agency_id, refused.reason, refused.status) == ("ag_opm", "owner-changed", "5.7.17")
    assert refused.valid_since == datetime(2020, 3, 1, 8, 59, 59, tzinfo=UTC)
    assert refused.owner_since == OWNER_SINCE
    key = await world.keys.get(refused.sealed_key)
    secret = unseal(RefusalSecret, refused.sealed, key, label=REFUSALS)
    assert secret == RefusalSecret("ann@example.org", "suda@opm.go.th", "127.0.0.1", "client.example")


async def test_a_recipient_whose_owner_then_is_not_on_record_is_refused_otherwise(world: EdgeWorld) -> None:
    rcpt = LATE.replace(b"suda@opm.go.th", FIRST_HAND.encode())
    async with world.running(), await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        assert (await client.say(rcpt)).startswith(b"550 5.7.19 ")
        assert (await client.say(rcpt.replace(b"Z\r\n", b"Z;C\r\n"))).startswith(b"250 ")
    (refused,) = await world.events(RecipientRefused)
    assert (refused.reason, refused.status, refused.owner_since) == ("owner-unknown", "5.7.19", OWNER_SINCE)


async def test_a_refusal_that_cannot_be_recorded_is_none(world: EdgeWorld) -> None:
    async with world.running(), await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        world.gate.error = away()
        assert (await client.say(LATE)).startswith(b"451 4.3.0 ")


async def test_a_flood_of_refusals_is_counted_instead(world: EdgeWorld) -> None:
    async with world.running(), await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        for _ in range(RECORDED_PER_MINUTE + 5):
            assert (await client.say(LATE)).startswith(b"550 5.7.17 ")
        assert len(await world.events(RecipientRefused)) == RECORDED_PER_MINUTE
        world.clock.move(60)
        assert (await client.say(LATE)).startswith(b"550 5.7.17 ")
    *_, last = await world.events(RecipientRefused)
    assert last.unrecorded == 5


async def test_what_is_asked_stands_in_the_event_whether_rcpt_or_the_message_asks(world: EdgeWorld) -> None:
    async with world.running(), await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        for rcpt in (
            b"RCPT TO:<suda@opm.go.th> RRVS=2021-01-01T00:00:00Z\r\n",
            b"RCPT TO:<somchai@opm.go.th>\r\n",
            b"RCPT TO:<vet@dld.go.th> RRVS=1999-01-01T00:00:00Z\r\n",
            b"RCPT TO:<cow@dld.go.th>\r\n",
        ):
            assert (await client.say(rcpt)).startswith(b"250 ")
        await client.say(b"DATA\r\n")
        assert (await client.message(FIELD + b"From: ann@example.org\r\n\r\nHello.\r\n")).startswith(b"250 ")
    (accepted,) = await world.events(MailAccepted)
    assert [recipient.rrvs for recipient in accepted.recipients] == [
        "2021-01-01T00:00:00Z",
        "2020-03-01T08:59:59Z;C",
        "1999-01-01T00:00:00Z",  # its host knows, not we
        "",
    ]
