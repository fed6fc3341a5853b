"""Mail to accounts that forward: it goes on once, comes back never, and no rule loses one."""

from dataclasses import dataclass
from typing import Any

import pytest

from gateway.domain.events import (
    EnvelopeSecret,
    MailAccepted,
    MailBounced,
    MailDelivered,
    MailQueued,
    MessageSecret,
)
from gateway.domain.forwarding import ForwardedSecret, MailForwarded, forwarded_label
from gateway.domain.routing import Forwarder, ForwardingRule, Hosted, envelope_label, message_label
from gateway.domain.sealing import unseal, unwrap
from gateway.mail.address import parse_address
from gateway.mail.dsn_options import DsnOptions
from gateway.ports import Position
from gateway.processes.return_paths import ReturnPaths
from tests.processes.router.test_router import quiet, router, running
from tests.processes.world import AT, SOMCHAI, SUDA, World

FAR = "ann@example.com"  # whom somchai forwards to
LONG = f"{'n' * 50}@example.org"


def forwards(hosted: Hosted, address: str, *targets: str, keeps_copy: bool = False) -> Forwarder:
    rule = ForwardingRule(address, targets, keeps_copy)
    return Forwarder(hosted.agency_id, hosted.account_id, hosted.mailbox_id, rule=rule)


@dataclass
class Forwarding:
    """The world, and what is in its log after the router was there."""

    world: World

    def let(self, name: str, *targets: str, keeps_copy: bool = False) -> None:
        hosted = {"somchai": SOMCHAI, "suda": SUDA}[name]
        address = f"{name}@opm.go.th"
        self.world.directory.people[address] = forwards(hosted, address, *targets, keeps_copy=keeps_copy)

    async def routed(self) -> None:
        people = self.world.directory.people
        had = people["suda@opm.go.th"]
        async with running(router(self.world)):
            for _ in range(6):  # what is decided on one event is an event itself
                people["suda@opm.go.th"] = SUDA  # for the mail that shows that all is done
                await self._marker()
                people["suda@opm.go.th"] = had

    async def _marker(self) -> None:
        await quiet(self.world)

    async def of(self, kind: type[Any]) -> list[Any]:
        return await self.world.of(kind.TOPIC)

    async def onward(self) -> list[tuple[MailAccepted, EnvelopeSecret, MessageSecret]]:
        """The mails that go on, opened."""
        found = []
        for mail in await self.of(MailAccepted):
            if mail.expands:
                key = unwrap(mail.keys[0].wrapped, await self.world.keys.get(mail.keys[0].key))
                envelope = unseal(EnvelopeSecret, mail.sealed, key, label=envelope_label(mail.mail_id))
                label = message_label(mail.mail_id)
                found.append((mail, envelope, unseal(MessageSecret, mail.message.sealed, key, label=label)))
        return found

    async def delivered_to(self, position: Position) -> list[str]:
        """To whose mailboxes a mail came, and all that go further from it."""
        mail_ids = {(await self.world.log.read(position)).event.mail_id}  # type: ignore[attr-defined]
        for mail in await self.of(MailAccepted):
            if mail.expands in mail_ids:
                mail_ids.add(mail.mail_id)
        return [event.account_id for event in await self.of(MailDelivered) if event.mail_id in mail_ids]


@pytest.fixture
async def forwarding() -> Forwarding:
    world = World()
    await world.know()
    return Forwarding(world)


async def test_a_mail_goes_on_with_a_return_path_of_ours_and_its_octets_as_they_were(
    forwarding: Forwarding,
) -> None:
    forwarding.let("somchai", FAR, "b@example.net")
    original = await forwarding.world.accept("somchai@opm.go.th")
    await forwarding.routed()
    ((mail, envelope, secret),) = await forwarding.onward()
    path = parse_address(envelope.mail_from or "")
    assert path.local_part.startswith("SRS0=")
    assert (path.local_part.endswith("=example.org=ann"), path.domain) == (True, "opm.go.th")
    assert envelope.rcpt_to == (FAR, "b@example.net")
    assert envelope.orcpt == ("rfc822;somchai@opm.go.th",) * 2
    assert secret.front == f"Return-Path: <{path}>\r\nDelivered-To: somchai@opm.go.th\r\n".encode()
    accepted = (await forwarding.world.log.read(original)).event
    assert isinstance(accepted, MailAccepted)
    assert mail.message.content == accepted.message.content
    assert await forwarding.delivered_to(original) == []
    (queued,) = await forwarding.of(MailQueued)
    assert (queued.mail_id, queued.recipients) == (mail.mail_id, (0, 1))
    paths = ReturnPaths(log=forwarding.world.log, keys=forwarding.world.keys, clock=forwarding.world.clock)
    assert await paths.opened(path) == parse_address("ann@example.org")


async def test_the_log_says_to_whom_and_by_whose_rule(forwarding: Forwarding) -> None:
    forwarding.let("somchai", FAR, keeps_copy=True)
    original = await forwarding.world.accept("somchai@opm.go.th")
    await forwarding.routed()
    (event,) = await forwarding.of(MailForwarded)
    assert isinstance(event, MailForwarded)
    assert (event.account_id, event.recipients, event.targets, event.keeps_copy) == (
        SOMCHAI.account_id, (0,), 1, True,
    )  # fmt: skip
    key = unwrap(event.keys[0].wrapped, await forwarding.world.keys.get(event.keys[0].key))
    told = unseal(ForwardedSecret, event.sealed, key, label=forwarded_label(event.mail_id, event.account_id))
    assert told == ForwardedSecret("ann@example.org", "somchai@opm.go.th", (FAR,))
    assert await forwarding.delivered_to(original) == [SOMCHAI.account_id]


async def test_two_addresses_of_one_account_are_one_mail(forwarding: Forwarding) -> None:
    forwarding.let("somchai", FAR)
    people = forwarding.world.directory.people
    people["chai@opm.go.th"] = people["somchai@opm.go.th"]
    await forwarding.world.accept("somchai@opm.go.th", "chai@opm.go.th")
    await forwarding.routed()
    assert len(await forwarding.onward()) == 1
    (event,) = await forwarding.of(MailForwarded)
    assert event.recipients == (0, 1)


async def test_a_null_return_path_stays_null_and_a_copy_is_kept(forwarding: Forwarding) -> None:
    """Nobody could be told that it was lost further on."""
    forwarding.let("somchai", FAR)
    original = await forwarding.world.accept("somchai@opm.go.th", mail_from=None)
    await forwarding.routed()
    ((_, envelope, secret),) = await forwarding.onward()
    assert envelope.mail_from is None
    assert secret.front.startswith(b"Return-Path: <>\r\n")
    assert await forwarding.delivered_to(original) == [SOMCHAI.account_id]


async def test_two_who_forward_to_each_other_stop_and_the_mail_is_there(forwarding: Forwarding) -> None:
    forwarding.let("somchai", "suda@opm.go.th")
    forwarding.let("suda", "somchai@opm.go.th")
    original = await forwarding.world.accept("somchai@opm.go.th")
    async with running(router(forwarding.world)):
        events = await forwarding.world.until(MailDelivered.TOPIC, 1)
    assert len(events) == 1
    assert await forwarding.delivered_to(original) == [SOMCHAI.account_id]
    assert len(await forwarding.onward()) == 2


async def test_a_mail_that_comes_back_from_elsewhere_stays(forwarding: Forwarding) -> None:
    forwarding.let("somchai", FAR)
    message = b"Delivered-To: somchai@opm.go.th\r\nSubject: again\r\n\r\nHello.\r\n"
    original = await forwarding.world.accept("somchai@opm.go.th", message=message)
    await forwarding.routed()
    assert await forwarding.onward() == []
    assert await forwarding.delivered_to(original) == [SOMCHAI.account_id]


async def test_what_the_sender_demands_goes_on(forwarding: Forwarding) -> None:
    forwarding.let("somchai", FAR)
    demands: dict[str, Any] = {
        "priority": 4, "requiretls": True, "eight_bit": True, "deliver_by": AT, "deliver_by_mode": "N",
    }  # fmt: skip
    await forwarding.world.accept("somchai@opm.go.th", **demands)
    await forwarding.routed()
    ((mail, _, _),) = await forwarding.onward()
    assert {name: getattr(mail, name) for name in demands} == demands


@pytest.mark.parametrize(
    ("asked", "keeps_copy", "goes_on"),
    [
        ("", False, "FAILURE"),
        ("SUCCESS,FAILURE,DELAY", False, "FAILURE,DELAY"),
        ("SUCCESS", False, "NEVER"),
        ("NEVER", False, "NEVER"),
        ("", True, "NEVER"),
        ("FAILURE", True, "NEVER"),
    ],
)
async def test_what_the_sender_wants_to_know_goes_on_but_for_success(
    forwarding: Forwarding, asked: str, keeps_copy: bool, goes_on: str
) -> None:
    forwarding.let("somchai", FAR, keeps_copy=keeps_copy)
    dsn = DsnOptions(ret="HDRS", envid="E1", notify=(asked,), orcpt=("rfc822;chai@example.net",))
    await forwarding.world.accept("somchai@opm.go.th", dsn=dsn)
    await forwarding.routed()
    ((mail, envelope, _),) = await forwarding.onward()
    assert mail.recipients[0].notify == goes_on
    assert (mail.ret, envelope.envid, envelope.orcpt) == ("HDRS", "E1", ("rfc822;chai@example.net",))


@pytest.mark.parametrize(
    ("targets", "keeps_copy", "action"),
    [
        ((FAR,), False, b"Action: relayed"),
        ((FAR, "b@example.net"), False, b"Action: expanded"),
        ((FAR,), True, b"Action: delivered"),
    ],
)
async def test_who_wants_to_know_of_success_is_told_once_and_not_whom_it_went_to(
    forwarding: Forwarding, targets: tuple[str, ...], keeps_copy: bool, action: bytes
) -> None:
    forwarding.let("somchai", *targets, keeps_copy=keeps_copy)
    await forwarding.world.accept("somchai@opm.go.th", dsn=DsnOptions(notify=("SUCCESS",)))
    await forwarding.routed()
    (report,) = [m for m in await forwarding.of(MailAccepted) if m.report_of]
    octets = forwarding.world.contents.messages[report.message.content.digest]
    assert action in octets
    assert b"Final-Recipient: rfc822; somchai@opm.go.th" in octets
    assert FAR.encode() not in octets


async def test_what_fails_further_on_is_told_to_whose_mail_it_was(forwarding: Forwarding) -> None:
    forwarding.let("somchai", "nobody@opm.go.th")
    await forwarding.world.accept("somchai@opm.go.th")
    await forwarding.routed()
    (bounced,) = await forwarding.of(MailBounced)
    (report,) = [m for m in await forwarding.of(MailAccepted) if m.report_of == bounced.mail_id]
    key = unwrap(report.keys[0].wrapped, await forwarding.world.keys.get(report.keys[0].key))
    envelope = unseal(EnvelopeSecret, report.sealed, key, label=envelope_label(report.mail_id))
    assert (envelope.mail_from, envelope.rcpt_to) == (None, ("ann@example.org",))


@pytest.mark.parametrize(
    ("sender", "account"),
    [("suda@opm.go.th", SUDA.account_id), (LONG, None), ("สมชาย@example.org", None), ("a@example.org", None)],
)
async def test_a_report_from_elsewhere_comes_back_to_the_sender(
    forwarding: Forwarding, sender: str, account: str | None
) -> None:
    """However long the sender is: then the log knows it."""
    forwarding.let("somchai", FAR)
    await forwarding.world.accept("somchai@opm.go.th", mail_from=sender)
    await forwarding.routed()
    ((_, envelope, _),) = await forwarding.onward()
    path = parse_address(envelope.mail_from or "")
    assert len(path.local_part) <= 64
    assert path.is_ascii
    assert path.domain == "opm.go.th"
    back = await forwarding.world.accept(str(path).lower(), mail_from=None)
    await forwarding.routed()
    if account is not None:
        assert await forwarding.delivered_to(back) == [account]
        return
    queued = (await forwarding.of(MailQueued))[-1]
    assert queued.cause == str(back)
    key = unwrap(queued.keys[0].wrapped, await forwarding.world.keys.get(queued.keys[0].key))
    told = unseal(EnvelopeSecret, queued.sealed, key, label=envelope_label(queued.mail_id))
    assert (told.mail_from, told.rcpt_to) == (None, (sender,))


async def test_a_forged_return_path_reaches_nobody(forwarding: Forwarding) -> None:
    await forwarding.world.accept("SRS0=AAAAAAAA=AA=example.org=ann@opm.go.th", mail_from=None)
    await forwarding.routed()
    (bounced,) = await forwarding.of(MailBounced)
    assert bounced.status == "5.1.1"
    assert await forwarding.of(MailQueued) == []


async def test_one_account_after_the_other_writes_one_return_path(forwarding: Forwarding) -> None:
    """A path of ours is opened and written anew; another host's is SRS1 then."""
    forwarding.let("somchai", FAR)
    theirs = "SRS0=abcd=XY=example.net=joe@example.org"
    paths = ReturnPaths(log=forwarding.world.log, keys=forwarding.world.keys, clock=forwarding.world.clock)
    ours = await paths.write(parse_address("ann@example.org"), "dld.go.th", Position(1))
    for sender in (str(ours), theirs):
        await forwarding.world.accept("somchai@opm.go.th", mail_from=sender)
    await forwarding.routed()
    again, first = [parse_address(envelope.mail_from or "") for _, envelope, _ in await forwarding.onward()]
    assert again.local_part.endswith("=example.org=ann")
    assert again.local_part.startswith("SRS0=")
    assert first.local_part.startswith("SRS1=")
    assert await paths.opened(first) == parse_address(theirs)
    forwarding.world.clock.move(22 * 24 * 3600)
    assert await paths.opened(again) == again  # no more


async def test_a_crash_between_copy_and_onward_doubles_and_loses_nothing(
    forwarding: Forwarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each append may be the last before a kill; another router goes on."""
    from tests.processes.router.test_lists import Dying

    monkeypatch.setattr("gateway.domain.progress.STEP_FACTS_MAX", 2)
    forwarding.let("somchai", FAR, keeps_copy=True)
    world = forwarding.world
    original = await world.accept("somchai@opm.go.th", "suda@opm.go.th", "a@dld.go.th")
    for lost in range(1, 4):
        dying = router(world)
        dying._log = Dying(world.log, lost)  # type: ignore[assignment]
        with pytest.raises(RuntimeError, match="killed here"):
            await dying.run()
    await forwarding.routed()
    assert sorted(await forwarding.delivered_to(original)) == [SOMCHAI.account_id, SUDA.account_id]
    assert len(await forwarding.onward()) == 1
    assert len(await forwarding.of(MailForwarded)) == 1


async def test_what_the_log_knew_of_a_long_sender_and_does_not_any_more_ends_the_report(
    forwarding: Forwarding,
) -> None:
    """An older log was restored: the report has nowhere to go, and the router goes on."""
    world = forwarding.world
    paths = ReturnPaths(log=world.log, keys=world.keys, clock=world.clock)
    for position in (Position(1), Position(10_000)):
        path = await paths.write(parse_address(LONG), "opm.go.th", position)
        await world.accept(str(path), mail_from=None)
    await forwarding.routed()
    assert [event.status for event in await forwarding.of(MailBounced)] == ["5.1.1", "5.1.1"]


@pytest.mark.parametrize(
    ("target", "needs_utf8"), [(FAR, False), ("ann@กรม.example", False), ("สมชาย@example.com", True)]
)
async def test_only_what_has_no_ascii_form_needs_smtputf8(
    forwarding: Forwarding, target: str, needs_utf8: bool
) -> None:
    """Not the account's own name: it may be reached by an alias in ASCII."""
    people = forwarding.world.directory.people
    people["somchai@opm.go.th"] = forwards(SOMCHAI, "สมชาย@opm.go.th", target)
    await forwarding.world.accept("somchai@opm.go.th")
    await forwarding.routed()
    ((mail, _, secret),) = await forwarding.onward()
    assert mail.smtputf8 is needs_utf8
    assert f"Delivered-To: {SOMCHAI.account_id}@opm.go.th\r\n".encode() in secret.front
    assert secret.front.isascii()
