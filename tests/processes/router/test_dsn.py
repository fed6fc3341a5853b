"""What senders asked to be told (RFC 3461), on its way through the router."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime
from typing import Any

import pytest

from gateway.domain import codec
from gateway.domain.events import (
    Actor,
    AttemptSecret,
    EnvelopeSecret,
    Event,
    Fact,
    MailAccepted,
    MailBounced,
    MailDeferred,
    MailDelivered,
    MailQueued,
    MailRelayed,
    Stamp,
)
from gateway.domain.histories import mail_history
from gateway.domain.routing import attempt_label, envelope_label
from gateway.domain.sealing import seal, unseal, unwrap
from gateway.mail.dsn_options import DsnOptions, Ret
from gateway.mail.ids import MailId
from gateway.ports import Position
from gateway.processes.router.reports import FULL_OCTETS_MAX
from tests.processes.router.test_router import many_recipients, quiet, router, running
from tests.processes.world import BY, MESSAGE, World


@pytest.fixture
async def world() -> World:
    world = World()
    await world.know()
    return world


# --- passed on -------------------------------------------------------------------------------------------


async def test_each_destination_gets_the_options_of_its_own_recipients(world: World) -> None:
    notify = ("", "SUCCESS", "NEVER", "")
    orcpt = ("", "rfc822;a@opm.go.th", "", "")
    await world.accept(
        "suda@opm.go.th",
        "a@dld.go.th",
        "b@dld.go.th",
        "c@example.net",
        dsn=DsnOptions("HDRS", "QQ314159", notify, orcpt),
    )
    async with running(router(world)):
        at_dld, elsewhere = await world.until(MailQueued.TOPIC, 2)
    assert isinstance(at_dld, MailQueued)
    assert isinstance(elsewhere, MailQueued)
    assert (at_dld.ret, at_dld.notify) == ("HDRS", ("SUCCESS", "NEVER"))
    assert (elsewhere.ret, elsewhere.notify) == ("HDRS", ())
    envelope = await opened(world, at_dld)
    assert (envelope.envid, envelope.orcpt) == ("QQ314159", ("rfc822;a@opm.go.th", ""))
    assert (await opened(world, elsewhere)).orcpt == ()


async def opened(world: World, queued: MailQueued) -> EnvelopeSecret:
    (wrap,) = queued.keys
    data_key = unwrap(wrap.wrapped, await world.keys.get(wrap.key))
    return unseal(EnvelopeSecret, queued.sealed, data_key, label=envelope_label(queued.mail_id))


ASKING = [
    ("ann@example.org", None, (1,)),
    # RFC 3461 §6.1, RFC 5321 §4.5.5: there is nobody to tell, or it would be told of a report.
    (None, None, ()),
    ("ann@example.org", MailId("mail_earlier"), ()),
]


@pytest.mark.parametrize(("mail_from", "report_of", "marked"), ASKING)
async def test_a_delivery_names_those_whose_success_is_to_be_reported(
    world: World, mail_from: str | None, report_of: MailId | None, marked: tuple[int, ...]
) -> None:
    dsn = DsnOptions(notify=("FAILURE", "SUCCESS,FAILURE", ""))
    addresses = ("suda@opm.go.th", "SUDA@opm.go.th", "suda@OPM.go.th")
    await world.accept(*addresses, mail_from=mail_from, report_of=report_of, dsn=dsn)
    async with running(router(world)):
        (delivered,) = await world.until(MailDelivered.TOPIC, 1)
    assert isinstance(delivered, MailDelivered)
    assert (delivered.recipients, delivered.report_success) == ((0, 1, 2), marked)


# --- reported --------------------------------------------------------------------------------------------


async def settled(world: World) -> None:
    """Wait until what became of every mail has been looked at too, and of the reports."""
    for _ in range(3):
        await quiet(world)


async def reports(world: World) -> list[MailAccepted]:
    accepted = [event for event in await world.of(MailAccepted.TOPIC) if isinstance(event, MailAccepted)]
    return [event for event in accepted if event.report_of is not None]


def parts(world: World, report: MailAccepted) -> list[Any]:
    """Of the report, as an independent parser reads it."""
    message = message_from_bytes(world.contents.messages[report.message.content.digest], policy=default)
    assert isinstance(message, EmailMessage)
    assert message["To"] == "ann@example.org"
    return list(message.iter_parts())


def blocks(world: World, report: MailAccepted) -> list[Any]:
    return list(parts(world, report)[1].get_payload())


async def test_a_failure_is_reported_to_those_who_want_to_know(world: World) -> None:
    """RFC 3461 §4.1; nothing said is a wish to know."""
    notify = ("NEVER", "FAILURE", "SUCCESS,DELAY", "", "DELAY")
    orcpt = ("", "rfc822;old2@example.org", "", "", "")
    addresses = [f"nobody{number}@opm.go.th" for number in range(1, 6)]
    await world.accept(*addresses, dsn=DsnOptions(None, "QQ314159", notify, orcpt))
    async with running(router(world)):
        await settled(world)
    (report,) = await reports(world)
    of_mail, second, fourth = blocks(world, report)
    assert of_mail["Original-Envelope-Id"] == "QQ314159"
    assert second["Final-Recipient"] == "rfc822; nobody2@opm.go.th"
    assert second["Original-Recipient"] == "rfc822; old2@example.org"
    assert fourth["Final-Recipient"] == "rfc822; nobody4@opm.go.th"
    assert fourth["Original-Recipient"] is None


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS", "DELAY", "SUCCESS,DELAY"])
async def test_a_failure_nobody_wants_to_know_of_is_not_reported(world: World, notify: str) -> None:
    await world.accept("nobody@opm.go.th", dsn=DsnOptions(notify=(notify,)))
    async with running(router(world)):
        await settled(world)
    assert len(await world.of(MailBounced.TOPIC)) == 1
    assert await reports(world) == []


# RFC 3461 §4.3: what goes back. Without a wish it is the header fields, which every sender can read.
RETURNED = [
    (None, MESSAGE, "text/rfc822-headers"),
    ("HDRS", MESSAGE, "text/rfc822-headers"),
    ("FULL", MESSAGE, "message/rfc822"),
    ("FULL", MESSAGE + b"x" * FULL_OCTETS_MAX, "text/rfc822-headers"),
]


@pytest.mark.parametrize(("ret", "message", "kind"), RETURNED, ids=["nothing", "HDRS", "FULL", "too large"])
async def test_as_much_of_the_mail_goes_back_as_the_sender_wants_and_fits(
    world: World, ret: Ret | None, message: bytes, kind: str
) -> None:
    await world.accept("nobody@opm.go.th", message=message, dsn=DsnOptions(ret))
    async with running(router(world)):
        await settled(world)
    (report,) = await reports(world)
    assert parts(world, report)[2].get_content_type() == kind
    octets = world.contents.messages[report.message.content.digest]
    assert (b"Hello." in octets) == (kind == "message/rfc822")


async def test_a_mail_that_is_lost_goes_back_as_nothing_at_all(world: World) -> None:
    await world.accept("nobody@opm.go.th", dsn=DsnOptions("FULL"))
    world.contents.messages.clear()
    async with running(router(world)):
        await settled(world)
    (report,) = await reports(world)
    assert len(parts(world, report)) == 2


async def test_a_delivery_is_reported_once_for_all_who_want_to_know(world: World) -> None:
    dsn = DsnOptions("FULL", "QQ314159", ("SUCCESS", "", "SUCCESS", "SUCCESS"), ("rfc822;x@example.net",) * 4)
    addresses = ("suda@opm.go.th", "SUDA@opm.go.th", "somchai@opm.go.th", "a@dld.go.th")
    position = await world.accept(*addresses, dsn=dsn)
    async with running(router(world)):
        await settled(world)
    (report,) = await reports(world)
    accepted = (await world.log.read(position)).event
    assert isinstance(accepted, MailAccepted)
    assert report.report_of == accepted.mail_id
    of_mail, *told = blocks(world, report)
    assert of_mail["Original-Envelope-Id"] == "QQ314159"
    assert [(block["Final-Recipient"], block["Action"], block["Status"]) for block in told] == [
        ("rfc822; suda@opm.go.th", "delivered", "2.0.0"),
        ("rfc822; somchai@opm.go.th", "delivered", "2.0.0"),
    ]
    assert {block["Original-Recipient"] for block in told} == {"rfc822; x@example.net"}
    assert parts(world, report)[2].get_content_type() == "text/rfc822-headers"  # RFC 3461 §4.3


async def test_a_report_that_is_delivered_here_is_not_reported(world: World) -> None:
    dsn = DsnOptions(notify=("SUCCESS",))
    await world.accept("suda@opm.go.th", mail_from="somchai@opm.go.th", dsn=dsn)
    async with running(router(world)):
        await settled(world)
    assert len(await reports(world)) == 1
    assert len(await world.of(MailDelivered.TOPIC)) == 5  # the mail, its report, and what `settled` sends


async def queued(world: World) -> tuple[Position, MailQueued]:
    """The mail.queued of this world, and where it is."""
    await world.until(MailQueued.TOPIC, 1)
    (recorded,) = [recorded for recorded in await world.events() if recorded.topic == MailQueued.TOPIC]
    assert isinstance(recorded.event, MailQueued)
    return recorded.position, recorded.event


async def attempted(world: World, position: Position, mail: MailQueued) -> dict[str, Any]:
    """The fields of an outcome, as a relay fills them."""
    said = AttemptSecret("mx.dld.go.th:25", "taken")
    data_key = unwrap(mail.keys[0].wrapped, await world.keys.get(mail.keys[0].key))
    return Stamp(at=world.clock.now(), actor=Actor("system", "relay"), by=BY).answering(position) | {
        "mail_id": mail.mail_id,
        "recipients": mail.recipients,
        "attempt": 1,
        "keys": mail.keys,
        "sealed": seal(said, data_key, nonce=world.entropy(12), label=attempt_label(mail.mail_id)),
    }


async def test_what_a_host_without_dsn_took_is_reported_as_relayed(world: World) -> None:
    """RFC 3461 §5.2.2."""
    dsn = DsnOptions(notify=("SUCCESS", "SUCCESS"), orcpt=("", "rfc822;x@example.net"))
    await world.accept("a@dld.go.th", "b@dld.go.th", dsn=dsn)
    async with running(router(world)):
        position, mail = await queued(world)
        fields = await attempted(world, position, mail)
        world.put(
            mail_history(mail.mail_id), MailRelayed(**fields, code=250, status="2.0.0", report_success=(1,))
        )
        await settled(world)
    (report,) = await reports(world)
    _, told = blocks(world, report)
    assert (told["Action"], told["Final-Recipient"]) == ("relayed", "rfc822; b@dld.go.th")
    assert told["Original-Recipient"] == "rfc822; x@example.net"
    assert (told["Remote-MTA"], told["Status"]) == ("dns; mx.dld.go.th:25", "2.0.0")


async def test_what_a_host_with_dsn_took_is_not_ours_to_report(world: World) -> None:
    await world.accept("a@dld.go.th", dsn=DsnOptions(notify=("SUCCESS",)))
    async with running(router(world)):
        position, mail = await queued(world)
        fields = await attempted(world, position, mail)
        world.put(mail_history(mail.mail_id), MailRelayed(**fields, code=250, status="2.0.0"))
        await settled(world)
    assert await reports(world) == []


async def test_a_delay_is_reported_with_how_long_it_will_be_tried(world: World) -> None:
    dsn = DsnOptions("FULL", "QQ314159", ("DELAY", "DELAY"))
    await world.accept("a@dld.go.th", "b@dld.go.th", dsn=dsn)
    async with running(router(world)):
        position, mail = await queued(world)
        fields = await attempted(world, position, mail) | {"code": 451, "status": "4.3.0"}
        for report_delay in ((), (1,), ()):
            event = MailDeferred(**fields, next_attempt_at=mail.expires_at, report_delay=report_delay)
            world.put(mail_history(mail.mail_id), event)
        await settled(world)
    (report,) = await reports(world)
    of_mail, told = blocks(world, report)
    assert of_mail["Original-Envelope-Id"] == "QQ314159"
    assert (told["Action"], told["Final-Recipient"]) == ("delayed", "rfc822; b@dld.go.th")
    assert (told["Status"], told["Will-Retry-Until"]) == ("4.3.0", format_datetime(mail.expires_at))
    assert parts(world, report)[2].get_content_type() == "text/rfc822-headers"  # RFC 3461 §4.3


# --- once, and cheaply -----------------------------------------------------------------------------------


@pytest.mark.parametrize("appends", [0, 1, 2])
async def test_a_router_that_dies_again_and_again_reports_each_outcome_once(
    world: World, appends: int
) -> None:
    """Progress and report are one append. appends: before it dies, each time."""
    for number in range(3):
        dsn = DsnOptions(notify=("SUCCESS", "FAILURE", "SUCCESS"))
        await world.accept("suda@opm.go.th", f"nobody{number}@opm.go.th", "somchai@opm.go.th", dsn=dsn)
    append, left = world.log.append_guarded, 0

    async def dies(facts: Sequence[Fact], expected: Mapping[str, Position]) -> Position:
        nonlocal left
        if not left:
            raise ConnectionAbortedError("the process dies here")
        left -= 1
        return await append(facts, expected)

    world.log.append_guarded = dies  # type: ignore[method-assign, assignment]
    for _ in range(6):
        left = appends
        with suppress(ConnectionAbortedError, TimeoutError):
            async with asyncio.timeout(0.2):
                await router(world).run()
    world.log.append_guarded = append  # type: ignore[method-assign]
    async with running(router(world)):
        await settled(world)
    found = [(report.report_of, blocks(world, report)[1]["Action"]) for report in await reports(world)]
    assert len(found) == len(set(found)) == 6


async def test_a_crash_between_the_parts_of_a_large_mail_leaves_one_report_of_all_its_recipients(
    world: World,
) -> None:
    addresses = await many_recipients(world, 1_000)
    await world.accept(*addresses, dsn=DsnOptions(notify=("SUCCESS",) * 1_000))
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
        await settled(world)
    (report,) = await reports(world)
    told = [block["Final-Recipient"] for block in blocks(world, report)[1:]]
    assert told == [f"rfc822; {address}" for address in addresses]


async def test_a_delivery_nobody_asked_about_is_not_even_decoded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, decode = list[str](), codec.decode

    def noted(topic: str, state: bytes) -> Event:
        decoded.append(topic)
        return decode(topic, state)

    monkeypatch.setattr(codec, "decode", noted)
    await world.accept("suda@opm.go.th")
    one = router(world)
    async with running(one):
        while await world.log.last() < 3 or one._seen.up_to < await world.log.last():  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert MailAccepted.TOPIC in decoded
    assert MailDelivered.TOPIC not in decoded
