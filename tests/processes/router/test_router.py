"""The router on a log in memory: what it decides, and that it decides it once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import msgspec
import pytest

from gateway.domain.addresses import DomainClaimed
from gateway.domain.events import (
    Actor,
    ConsumerHeld,
    ConsumerReleased,
    EnvelopeSecret,
    Fact,
    MailAccepted,
    MailBounced,
    MailDelivered,
    MailQueued,
    RouterDecided,
)
from gateway.domain.routing import Hosted, envelope_label
from gateway.domain.sealing import unseal, unwrap
from gateway.mail.ids import AccountId, MailboxId, MailId, share_of
from gateway.ports import START, Deposed, Position, Unavailable
from gateway.processes.router import router as module
from gateway.processes.router.decisions import Decisions, Undecidable
from gateway.processes.router.forwards import Forwards
from gateway.processes.router.lists import Lists
from gateway.processes.router.reports import Reports
from gateway.processes.router.router import Router
from tests.processes.world import AT, BY, DLD, OPM, SOMCHAI, SUDA, World

GIVE_UP_AFTER = timedelta(days=5)
HELD_BY_ANOTHER = ConsumerHeld(
    at=AT, actor=Actor("operator"), by=BY, consumer="other", position=1, reason="no business of ours"
)


def router(world: World, share: int = 0, shares: int = 1) -> Router:
    reports = Reports(
        log=world.log,
        content=world.contents,
        keys=world.keys,
        clock=world.clock,
        entropy=world.entropy,
        by=BY,
        hostname="mail.opm.go.th",
    )
    passing_on = {
        "log": world.log,
        "content": world.contents,
        "keys": world.keys,
        "clock": world.clock,
        "entropy": world.entropy,
        "by": BY,
    }
    decisions = Decisions(
        directory=world.directory,
        keys=world.keys,
        reports=reports,
        lists=Lists(**passing_on),  # type: ignore[arg-type]
        forwards=Forwards(**passing_on),  # type: ignore[arg-type]
        clock=world.clock,
        entropy=world.entropy,
        by=BY,
        give_up_after=GIVE_UP_AFTER,
    )
    return Router(
        share=share,
        shares=shares,
        log=world.log,
        directory=world.directory,
        decisions=decisions,
        clock=world.clock,
        by=BY,
    )


@asynccontextmanager
async def running(*routers: Router) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in routers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def world() -> World:
    world = World()
    await world.know()
    return world


async def quiet(world: World) -> None:
    """Wait until everything in the log has been routed: a mail put behind it all has arrived."""
    await world.accept("suda@opm.go.th")
    marker = (await world.of(MailAccepted.TOPIC))[-1]
    assert isinstance(marker, MailAccepted)
    async with asyncio.timeout(30):
        async for batch in world.log.follow(START):
            delivered = (r.event for r in batch if r.topic == MailDelivered.TOPIC)
            if any(
                event.mail_id == marker.mail_id for event in delivered if isinstance(event, MailDelivered)
            ):
                break


# --- what is decided -------------------------------------------------------------------------------------


async def test_a_hosted_recipient_gets_the_mail_and_only_that_account_can_open_it(world: World) -> None:
    position = await world.accept("Suda@OPM.go.th")
    async with running(router(world)):
        (delivered,) = await world.until(MailDelivered.TOPIC, 1)
    accepted = (await world.log.read(position)).event
    assert isinstance(accepted, MailAccepted)
    assert isinstance(delivered, MailDelivered)
    assert (delivered.account_id, delivered.mailbox_id) == (SUDA.account_id, SUDA.mailbox_id)
    assert delivered.recipients == (0,)
    assert delivered.message == accepted.message
    assert delivered.internal_date == accepted.at
    assert delivered.cause == str(position)
    (wrap,) = delivered.keys
    data_key = unwrap(wrap.wrapped, await world.keys.get("account.acc_suda"))
    label = envelope_label(accepted.mail_id)
    assert unseal(EnvelopeSecret, accepted.sealed, data_key, label=label).mail_from == "ann@example.org"


async def test_an_account_gets_a_mail_once_however_many_of_its_addresses_were_named(world: World) -> None:
    world.directory.people["s.jaidee@opm.go.th"] = SUDA
    await world.accept("suda@opm.go.th", "somchai@opm.go.th", "s.jaidee@opm.go.th", "SUDA@opm.go.th")
    async with running(router(world)):
        deliveries = await world.until(MailDelivered.TOPIC, 2)
    assert {d.account_id: d.recipients for d in deliveries if isinstance(d, MailDelivered)} == {
        SUDA.account_id: (0, 2, 3),
        SOMCHAI.account_id: (1,),
    }


async def test_a_relayed_recipient_is_queued_with_an_envelope_of_its_own(world: World) -> None:
    position = await world.accept("suda@opm.go.th", "a@dld.go.th", "b@dld.go.th", "c@example.net")
    async with running(router(world)):
        at_dld, elsewhere = await world.until(MailQueued.TOPIC, 2)
    assert isinstance(at_dld, MailQueued)
    assert isinstance(elsewhere, MailQueued)
    assert (at_dld.agency_id, at_dld.recipients) == (DLD, (1, 2))
    assert (elsewhere.agency_id, elsewhere.recipients) == (None, (3,))
    assert (at_dld.accepted_by, at_dld.accepted_at, at_dld.expires_at) == (OPM, AT, AT + GIVE_UP_AFTER)
    assert at_dld.cause == str(position)
    (wrap,) = at_dld.keys
    assert wrap.key == "agency.ag_dld"
    data_key = unwrap(wrap.wrapped, await world.keys.get(wrap.key))
    envelope = unseal(EnvelopeSecret, at_dld.sealed, data_key, label=envelope_label(at_dld.mail_id))
    assert envelope == EnvelopeSecret("ann@example.org", ("a@dld.go.th", "b@dld.go.th"))
    assert elsewhere.keys[0].key == "agency.ag_opm"


async def test_an_unknown_recipient_bounces_and_the_sender_gets_a_report(world: World) -> None:
    position = await world.accept("nobody@opm.go.th", "suda@opm.go.th", "nobody2@opm.go.th")
    async with running(router(world)):
        (bounced,) = await world.until(MailBounced.TOPIC, 1)
        _, report = await world.until(MailAccepted.TOPIC, 2)
        (queued,) = await world.until(MailQueued.TOPIC, 1)
    accepted = (await world.log.read(position)).event
    assert isinstance(accepted, MailAccepted)
    assert isinstance(bounced, MailBounced)
    assert isinstance(report, MailAccepted)
    assert isinstance(queued, MailQueued)
    assert (bounced.recipients, bounced.status, bounced.reason) == ((0, 2), "5.1.1", "mailbox")
    assert report.report_of == accepted.mail_id
    assert report.actor == Actor("system", "router")
    assert (queued.mail_id, queued.is_report) == (report.mail_id, True)

    text, status, header = report_parts(world, report)
    assert "nobody@opm.go.th" in text.get_content()
    assert [block["Final-Recipient"] for block in status.get_payload()[1:]] == [
        "rfc822; nobody@opm.go.th",
        "rfc822; nobody2@opm.go.th",
    ]
    assert header.get_payload(decode=True) == b"Subject: hello\r\nFrom: ann@example.org\r\n"


def report_parts(world: World, report: MailAccepted) -> list[Any]:
    message = message_from_bytes(world.contents.messages[report.message.content.digest], policy=default)
    assert isinstance(message, EmailMessage)
    assert message["To"] == "ann@example.org"
    return list(message.iter_parts())


@pytest.mark.parametrize(
    ("mail_from", "report_of"), [(None, None), ("ann@example.org", MailId("mail_earlier"))]
)
async def test_nobody_gets_a_report_of_a_report_or_of_a_mail_without_sender(
    world: World, mail_from: str | None, report_of: MailId | None
) -> None:
    await world.accept("nobody@opm.go.th", mail_from=mail_from, report_of=report_of)
    async with running(router(world)):
        await world.until(MailBounced.TOPIC, 1)
        await quiet(world)
    assert len(await world.of(MailAccepted.TOPIC)) == 2  # the mail itself, and the one that `quiet` sends


async def test_a_mail_whose_content_is_lost_is_reported_without_its_header(world: World) -> None:
    await world.accept("nobody@opm.go.th")
    world.contents.messages.clear()
    async with running(router(world)):
        _, report = await world.until(MailAccepted.TOPIC, 2)
    assert isinstance(report, MailAccepted)
    assert len(report_parts(world, report)) == 2


async def test_mail_for_an_account_whose_key_was_destroyed_bounces(world: World) -> None:
    await world.accept("suda@opm.go.th", "somchai@opm.go.th", mail_from=None)
    await world.keys.forget("account.acc_suda")
    async with running(router(world)):
        (bounced,) = await world.until(MailBounced.TOPIC, 1)
        (delivered,) = await world.until(MailDelivered.TOPIC, 1)
    assert isinstance(bounced, MailBounced)
    assert isinstance(delivered, MailDelivered)
    assert (bounced.recipients, delivered.account_id) == ((0,), SOMCHAI.account_id)


async def test_a_mail_is_decided_on_rows_that_know_what_came_before_it(world: World) -> None:
    claimed = DomainClaimed(at=AT, actor=Actor("operator"), by=BY, domain="new.go.th", agency_id=OPM)
    position = world.put("domain.new%2Ego%2Eth", claimed)
    await world.accept("chai@new.go.th")
    world.directory.position = position - 1
    waited = asyncio.Event()
    reach = world.directory.reach

    async def reach_later(wanted: Position, timeout_s: float) -> bool:
        if waited.is_set():
            world.directory.people["chai@new.go.th"] = SOMCHAI
            world.directory.position = position
        elif wanted >= position:
            waited.set()
        return await reach(wanted, timeout_s)

    world.directory.reach = reach_later  # type: ignore[method-assign, assignment]
    async with running(router(world)):
        (delivered,) = await world.until(MailDelivered.TOPIC, 1)
    assert isinstance(delivered, MailDelivered)
    assert delivered.account_id == SOMCHAI.account_id


# --- that it is decided once -----------------------------------------------------------------------------


async def outcomes(world: World) -> list[tuple[str, str, tuple[int, ...]]]:
    return sorted(
        (event.TOPIC, event.mail_id, event.recipients)
        for recorded in await world.events()
        if isinstance(event := recorded.event, MailDelivered | MailQueued | MailBounced)
    )


async def test_progress_and_facts_are_one_append(world: World) -> None:
    positions = [await world.accept("suda@opm.go.th", "a@dld.go.th") for _ in range(5)]
    async with running(router(world)):
        await world.until(MailQueued.TOPIC, 5)
    events = await world.events()
    decided = [(r.position, r.event) for r in events if isinstance(r.event, RouterDecided)]
    assert [event.up_to for _, event in decided][-1] >= positions[-1]
    for number, (at, event) in enumerate(decided):
        until = decided[number + 1][0] if number + 1 < len(decided) else len(events) + 1
        for recorded in events[at : until - 1]:
            assert int(recorded.event.cause) <= event.up_to


async def test_a_restarted_router_goes_on_where_the_last_one_was(world: World) -> None:
    for restart in range(1, 6):
        for _ in range(3):
            await world.accept("suda@opm.go.th", "nobody@opm.go.th", "a@dld.go.th", mail_from=None)
        async with running(router(world)):
            await world.until(MailQueued.TOPIC, 3 * restart)
    found = await outcomes(world)
    assert len(found) == len(set(found)) == 45


class Gate:
    """A router whose append is held up just before it reaches the log, as by SIGSTOP."""

    def __init__(self, world: World) -> None:
        self.world, self.reached, self.open = world, asyncio.Event(), asyncio.Event()

    async def append_guarded(
        self,
        facts: Sequence[Fact],
        expected: Mapping[str, Position],
        versions: Mapping[str, int] | None = None,
    ) -> Position:
        self.reached.set()
        await self.open.wait()
        return await self.world.log.append_guarded(facts, expected, versions)

    def __getattr__(self, name: str) -> object:
        return getattr(self.world.log, name)


async def test_a_paused_router_that_wakes_after_its_twin_took_over_is_refused(world: World) -> None:
    for _ in range(4):
        await world.accept("suda@opm.go.th", "a@dld.go.th", mail_from=None)
    gate = Gate(world)
    paused = router(world)
    paused._log = gate  # type: ignore[assignment]
    task = asyncio.create_task(paused.run())
    await gate.reached.wait()
    async with running(router(world)):
        await world.until(MailQueued.TOPIC, 4)
    gate.open.set()
    with pytest.raises(Deposed, match="share 0"):
        await task
    found = await outcomes(world)
    assert len(found) == len(set(found)) == 8


async def test_a_log_that_is_away_is_waited_for(world: World) -> None:
    await world.accept("suda@opm.go.th")
    refused = 0
    append = world.log.append_guarded

    async def away_at_first(facts: Sequence[Fact], expected: Mapping[str, Position]) -> Position:
        nonlocal refused
        if refused < 3:
            refused += 1
            raise Unavailable("log", "no leader")
        return await append(facts, expected)

    world.log.append_guarded = away_at_first  # type: ignore[method-assign, assignment]
    async with running(router(world)):
        await world.until(MailDelivered.TOPIC, 1)
    assert refused == 3
    assert len(await outcomes(world)) == 1


async def test_routers_share_the_mails(world: World) -> None:
    for _ in range(30):
        await world.accept("suda@opm.go.th")
    async with running(*(router(world, share, 3) for share in range(3))):
        await world.until(MailDelivered.TOPIC, 30)
    events = await world.events()
    shares = {}
    for recorded in events:
        if isinstance(recorded.event, RouterDecided):
            share = int(recorded.subject.rsplit(".", 1)[1])
        elif isinstance(recorded.event, MailDelivered):
            shares[recorded.event.mail_id] = share
            assert share_of(recorded.event.mail_id, 3) == share
    assert len(shares) == 30
    assert set(shares.values()) == {0, 1, 2}


# --- large mails -----------------------------------------------------------------------------------------


async def many_recipients(world: World, number: int) -> list[str]:
    addresses = []
    for n in range(number):
        account = Hosted(OPM, AccountId(f"acc_{n}"), MailboxId(f"mbx_{n}"))
        await world.know(account)
        world.directory.people[f"u{n}@opm.go.th"] = account
        addresses.append(f"u{n}@opm.go.th")
    return addresses


async def test_a_mail_with_more_facts_than_one_append_takes_is_decided_in_parts(world: World) -> None:
    addresses = await many_recipients(world, 1_000)
    await world.accept(*addresses, summary=b"x" * 8_000)
    async with running(router(world)):
        deliveries = await world.until(MailDelivered.TOPIC, 1_000)
    assert {d.account_id for d in deliveries if isinstance(d, MailDelivered)} == {
        f"acc_{n}" for n in range(1_000)
    }
    progress = [event for event in await world.of(RouterDecided.TOPIC) if isinstance(event, RouterDecided)]
    assert len(progress) > 5
    assert all(event.ended for event in progress if event.up_to == 0)


async def test_a_crash_between_the_parts_of_a_large_mail_doubles_and_loses_nothing(world: World) -> None:
    addresses = await many_recipients(world, 1_000)
    await world.accept(*addresses)
    append, appended = world.log.append_guarded, 0

    async def crash_later(facts: Sequence[Fact], expected: Mapping[str, Position]) -> Position:
        nonlocal appended
        if appended == 1:
            raise ConnectionAbortedError("the process dies here")
        appended += 1
        return await append(facts, expected)

    world.log.append_guarded = crash_later  # type: ignore[method-assign, assignment]
    with pytest.raises(ConnectionAbortedError):
        await router(world).run()
    assert 0 < len(await world.of(MailDelivered.TOPIC)) < 1_000
    world.log.append_guarded = append  # type: ignore[method-assign]
    async with running(router(world)):
        await world.until(MailDelivered.TOPIC, 1_000)
        await quiet(world)
    delivered = [
        event.account_id for event in await world.of(MailDelivered.TOPIC) if isinstance(event, MailDelivered)
    ]
    assert len(delivered) == 1_001
    assert len(set(delivered)) == 1_001  # with suda, to whom `quiet` sends


# --- progress, poison ------------------------------------------------------------------------------------


async def test_what_was_read_without_a_mail_is_left_as_progress_on_shutdown(world: World) -> None:
    await world.accept("suda@opm.go.th")
    one = router(world)
    async with running(one):
        await world.until(MailDelivered.TOPIC, 1)
        for _ in range(20):
            world.put("consumer.other", HELD_BY_ANOTHER)
        while one._seen.up_to < 23:  # noqa: ASYNC110
            await asyncio.sleep(0)
    decided = (await world.of(RouterDecided.TOPIC))[-1]
    assert isinstance(decided, RouterDecided)
    assert decided.up_to == 23
    assert len(await world.of(RouterDecided.TOPIC)) == 2


async def test_progress_without_a_mail_is_appended_only_now_and_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRESS_EVERY", 10)
    for _ in range(25):
        world.put("consumer.other", HELD_BY_ANOTHER)
    async with running(router(world)):
        (decided,) = await world.until(RouterDecided.TOPIC, 1)
    assert isinstance(decided, RouterDecided)
    assert decided.up_to == 25


async def spoilt(world: World) -> Position:
    """A mail whose envelope does not open."""
    position = await world.accept("suda@opm.go.th", mail_from=None)
    accepted = (await world.log.read(position)).event
    assert isinstance(accepted, MailAccepted)
    bad = msgspec.structs.replace(accepted, sealed=accepted.sealed[:-1] + b"\0")
    return world.put("mail.00", bad)


async def test_a_poison_event_stops_the_router_after_all_before_it(world: World) -> None:
    await world.accept("suda@opm.go.th")
    position = await spoilt(world)
    with pytest.raises(Undecidable, match=f"saraban log hold {position} --consumer router"):
        await router(world).run()
    assert len(await world.of(MailDelivered.TOPIC)) == 2  # the mail before, and the one spoilt() copied


async def test_a_held_event_is_passed_over(world: World) -> None:
    position = await spoilt(world)
    with pytest.raises(Undecidable):
        await router(world).run()
    held = ConsumerHeld(
        at=AT, actor=Actor("operator"), by=BY, consumer="router", position=position, reason="broken seal"
    )
    world.put("consumer.router", held)
    await world.accept("somchai@opm.go.th")
    async with running(router(world)):
        deliveries = await world.until(MailDelivered.TOPIC, 2)
    assert [d.account_id for d in deliveries if isinstance(d, MailDelivered)] == [
        SUDA.account_id,
        SOMCHAI.account_id,
    ]


async def test_a_held_mail_is_decided_once_when_it_is_released(world: World) -> None:
    position = await world.accept("suda@opm.go.th", mail_from=None)
    operator = Actor("operator", "root")
    held = ConsumerHeld(at=AT, actor=operator, by=BY, consumer="router", position=position, reason="a doubt")
    released = ConsumerReleased(at=AT, actor=operator, by=BY, consumer="router", position=position)
    world.put("consumer.router", held)
    await world.accept("somchai@opm.go.th")
    async with running(router(world)):
        await world.until(MailDelivered.TOPIC, 1)
    decided = (await world.of(RouterDecided.TOPIC))[-1]
    assert isinstance(decided, RouterDecided)
    assert decided.aside == (position,)

    world.put("consumer.router", released)
    async with running(router(world)):
        await world.until(MailDelivered.TOPIC, 2)
        for event in (held, released, held, released):
            world.put("consumer.router", event)
        await quiet(world)
    deliveries = [event for event in await world.of(MailDelivered.TOPIC) if isinstance(event, MailDelivered)]
    assert [d.account_id for d in deliveries] == [SOMCHAI.account_id, SUDA.account_id, SUDA.account_id]
    assert [d.cause for d in deliveries].count(str(position)) == 1
    decided = (await world.of(RouterDecided.TOPIC))[-1]
    assert isinstance(decided, RouterDecided)
    assert decided.aside == ()


async def test_a_mail_held_and_released_before_it_is_reached_is_decided_once(world: World) -> None:
    position = await world.accept("suda@opm.go.th")
    operator = Actor("operator", "root")
    world.put(
        "consumer.router",
        ConsumerHeld(at=AT, actor=operator, by=BY, consumer="router", position=position, reason="a doubt"),
    )
    world.put(
        "consumer.router",
        ConsumerReleased(at=AT, actor=operator, by=BY, consumer="router", position=position),
    )
    async with running(router(world)):
        await quiet(world)
    assert [event.cause for event in await world.of(MailDelivered.TOPIC)].count(str(position)) == 1


async def test_an_event_of_a_newer_build_stops_the_router(world: World) -> None:
    position = await world.accept("suda@opm.go.th")
    event = world.log._events[-1]
    world.log._events[-1] = type(event)(event.position, event.subject, "mail.accepted/9", event.state)
    with pytest.raises(Undecidable, match=f"position {position} .*UnknownTopic"):
        await router(world).run()
