"""Mail to a list: for the members as they were, in parts, once, and not for ever."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway.adapters.memory.log import MemoryLog
from gateway.domain.events import (
    Actor,
    AttemptSecret,
    EnvelopeSecret,
    MailAccepted,
    MailBounced,
    MailDelivered,
    MailQueued,
    MessageSecret,
)
from gateway.domain.maillist import ListExpanded
from gateway.domain.routing import Listed, attempt_label, envelope_label, message_label
from gateway.domain.sealing import unseal, unwrap
from gateway.mail.address import Address, parse_address
from gateway.mail.dsn_options import DsnOptions
from gateway.mail.ids import AgencyId
from gateway.mail.valid_since import OWNER_CHANGED, Owner
from gateway.ports import Position
from gateway.processes.registry.lists import MailLists
from gateway.processes.registry.registry import Registry
from gateway.processes.return_paths import ReturnPaths
from tests.processes.router.test_dsn import blocks, reports
from tests.processes.router.test_router import quiet, router, running
from tests.processes.world import AT, BY, SUDA, World

ALL = parse_address("all@opm.go.th")
PARTS = 3
MEMBERS = [Address(f"u{number}", "example.org") for number in range(500 * (PARTS - 1) + 1)]


async def counted(agency_id: AgencyId) -> int:
    return 0


@dataclass
class Listing:
    """A list that anyone may write to, and the world around it."""

    world: World
    lists: MailLists
    listed: Listed

    async def passed_on(self, number: int = 1) -> list[MailAccepted]:
        """The mails to members."""
        for _ in range(6):  # what is decided on one event is an event itself
            await quiet(self.world)
        found = [
            e for e in await self.world.of(MailAccepted.TOPIC) if isinstance(e, MailAccepted) and e.expands
        ]
        assert len(found) == number, await self.why()
        return found

    async def why(self) -> list[str]:
        """What those who bounced were told."""
        told = []
        for event in await self.world.of(MailBounced.TOPIC):
            assert isinstance(event, MailBounced)
            key = unwrap(event.keys[0].wrapped, await self.world.keys.get(event.keys[0].key))
            said = unseal(AttemptSecret, event.sealed, key, label=attempt_label(event.mail_id))
            told.append(f"{event.status} {said.reply_text}")
        return told

    async def opened(self, mail: MailAccepted) -> tuple[EnvelopeSecret, MessageSecret]:
        key = unwrap(mail.keys[0].wrapped, await self.world.keys.get(mail.keys[0].key))
        envelope = unseal(EnvelopeSecret, mail.sealed, key, label=envelope_label(mail.mail_id))
        return envelope, unseal(MessageSecret, mail.message.sealed, key, label=message_label(mail.mail_id))


@pytest.fixture
async def listing() -> Listing:
    world = World()
    await world.know()
    means = {
        "log": world.log,
        "keys": world.keys,
        "count_accounts": counted,
        "clock": world.clock,
        "entropy": world.entropy,
        "actor": Actor("operator", "root"),
        "by": BY,
    }
    agency_id = await Registry(**means).add_agency("OPM", ["opm.go.th"])  # type: ignore[arg-type]
    lists = MailLists(**means)  # type: ignore[arg-type]
    account_id = await lists.add_list(ALL, display_name="", posting="anyone", posters=())
    listed = Listed(agency_id, account_id, SUDA.mailbox_id)
    world.directory.people |= {
        "all@opm.go.th": listed,
        "all-bounces@opm.go.th": listed,
        "postmaster@opm.go.th": listed,
    }
    return Listing(world, lists, listed)


async def test_a_mail_goes_to_the_members_with_the_return_path_of_the_list(listing: Listing) -> None:
    world = listing.world
    await listing.lists.add_members(ALL, [parse_address("suda@opm.go.th"), parse_address("b@example.org")])
    original = await world.accept("all@opm.go.th", "somchai@opm.go.th")
    async with running(router(world)):
        (mail,) = await listing.passed_on()
    envelope, secret = await listing.opened(mail)
    assert (envelope.mail_from, envelope.rcpt_to) == (
        "all-bounces@opm.go.th",
        ("suda@opm.go.th", "b@example.org"),
    )
    assert secret.front.startswith(b"Return-Path: <all-bounces@opm.go.th>\r\nDelivered-To: all@opm.go.th\r\n")
    assert b"List-Id: <all.opm.go.th>\r\n" in secret.front
    (expanded,) = await world.of(ListExpanded.TOPIC)
    assert isinstance(expanded, ListExpanded)
    assert (expanded.cause, expanded.recipients, expanded.members) == (str(original), (0,), 2)
    delivered = [e for e in await world.of(MailDelivered.TOPIC) if isinstance(e, MailDelivered)]
    assert SUDA.account_id in {e.account_id for e in delivered if e.mail_id == mail.mail_id}
    queued = [e for e in await world.of(MailQueued.TOPIC) if isinstance(e, MailQueued)]
    assert [(e.mail_id, e.recipients) for e in queued] == [(mail.mail_id, (1,))]
    assert mail.message.content == (await world.log.read(original)).event.message.content  # type: ignore[attr-defined]


async def test_a_mail_that_means_who_had_the_address_before_the_list_bounces(listing: Listing) -> None:
    """RFC 7293 §5.1; the list's address was a person's."""
    await listing.lists.add_members(ALL, MEMBERS[:1])
    listing.world.directory.people[str(ALL)] = replace(listing.listed, owner=Owner(AT))
    await listing.world.accept(str(ALL), rrvs=("2026-11-23T04:05:05Z",))
    async with running(router(listing.world)):
        await listing.passed_on(0)
        assert await listing.why() == [f"5.7.17 {OWNER_CHANGED.text[0]}"]
        await listing.world.accept(str(ALL), rrvs=("2026-11-23T04:05:06Z",))
        await listing.passed_on(1)


async def test_a_sender_hears_that_the_mail_is_at_the_list_and_of_members_nothing(listing: Listing) -> None:
    """RFC 3461 §5.2.7.1: it is delivered there; what members' mails carry is not what the sender asked."""
    await listing.lists.add_members(ALL, [parse_address("b@example.org")])
    asked = DsnOptions("FULL", "A1", ("SUCCESS,FAILURE,DELAY",), ("rfc822;All@opm.go.th",))
    await listing.world.accept(str(ALL), dsn=asked)
    await listing.world.accept(str(ALL), dsn=DsnOptions(notify=("FAILURE",)))
    async with running(router(listing.world)):
        mails = await listing.passed_on(2)
        (report,) = await reports(listing.world)
    of_mail, of_list = blocks(listing.world, report)
    assert of_mail["Original-Envelope-Id"] == "A1"
    assert (of_list["Action"], of_list["Final-Recipient"]) == ("delivered", "rfc822; all@opm.go.th")
    assert of_list["Original-Recipient"] == "rfc822; All@opm.go.th"
    for mail in mails:
        assert (mail.ret, [recipient.notify for recipient in mail.recipients]) == (None, [""])
        envelope, _ = await listing.opened(mail)
        assert (envelope.envid, envelope.orcpt) == ("", ())


async def test_who_is_a_recipient_beside_the_list_gets_it_once(listing: Listing) -> None:
    await listing.lists.add_members(ALL, [parse_address("Suda@opm.go.th"), parse_address("b@example.org")])
    await listing.world.accept("suda@opm.go.th", "all@opm.go.th")
    async with running(router(listing.world)):
        (mail,) = await listing.passed_on()
    assert (await listing.opened(mail))[0].rcpt_to == ("b@example.org",)


async def test_what_a_mail_demands_of_its_way_its_members_get_too(listing: Listing) -> None:
    """Not its deadline (RFC 2852 §5): that was to be at the list in time."""
    await listing.lists.add_members(ALL, [parse_address("b@example.org")])
    demands: dict[str, Any] = {"priority": 4, "requiretls": True, "tls_optional": True, "binary": True}
    demands["eight_bit"] = True
    await listing.world.accept("all@opm.go.th", deliver_by=AT, deliver_by_mode="N", **demands)
    async with running(router(listing.world)):
        (mail,) = await listing.passed_on()
    assert {name: getattr(mail, name) for name in demands} == demands
    assert mail.deliver_by is None


async def test_many_members_are_several_mails(listing: Listing) -> None:
    await listing.lists.add_members(ALL, MEMBERS)
    await listing.world.accept("all@opm.go.th")
    async with running(router(listing.world)):
        mails = await listing.passed_on(PARTS)
    told = [address for mail in mails for address in (await listing.opened(mail))[0].rcpt_to]
    assert told == [str(member) for member in MEMBERS]


@pytest.mark.parametrize("lost", range(1, PARTS + 2))
async def test_a_crash_between_the_parts_doubles_and_loses_nobody(
    listing: Listing, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The router dies at some append, members change, another goes on: they are those of before."""
    world = listing.world
    monkeypatch.setattr("gateway.domain.progress.STEP_FACTS_MAX", 1)
    await listing.lists.add_members(ALL, MEMBERS)
    await world.accept("all@opm.go.th")
    dying = router(world)
    dying._log = Dying(world.log, lost)  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="killed here"):
        await dying.run()
    expanded = await world.of(ListExpanded.TOPIC)
    if expanded:
        await listing.lists.remove_member(ALL, MEMBERS[0])
        await listing.lists.add_members(ALL, [parse_address("late@example.org")])
    async with running(router(world)):
        mails = await listing.passed_on(PARTS)
    told = [address for mail in mails for address in (await listing.opened(mail))[0].rcpt_to]
    assert told == [str(member) for member in MEMBERS]
    assert [mail.part for mail in mails] == list(range(PARTS))


class Dying:
    """A log whose n-th append from here on never happens."""

    def __init__(self, log: MemoryLog, lost: int) -> None:
        self._log, self._left = log, lost

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    async def append_guarded(self, *args: object) -> object:
        self._left -= 1
        if not self._left:
            raise RuntimeError("killed here")
        return await self._log.append_guarded(*args)  # type: ignore[arg-type]


@pytest.mark.parametrize("header", [b"List-Id: All <all.opm.go.th>\r\n", b"Delivered-To: all@opm.go.th\r\n"])
async def test_a_mail_that_was_here_before_is_refused(listing: Listing, header: bytes) -> None:
    await listing.lists.add_members(ALL, MEMBERS[:1])
    await listing.world.accept("all@opm.go.th", message=header + b"\r\nhello\r\n")
    async with running(router(listing.world)):
        await listing.passed_on(0)
    assert await listing.why() == ["5.4.6 This list has passed this mail on before"]


async def test_two_lists_on_each_other_stop(listing: Listing) -> None:
    other = parse_address("other@opm.go.th")
    account_id = await listing.lists.add_list(other, display_name="", posting="anyone", posters=())
    listed = Listed(listing.listed.agency_id, account_id, SUDA.mailbox_id)
    listing.world.directory.people["other@opm.go.th"] = listed
    listing.world.directory.people["other-bounces@opm.go.th"] = listed
    await listing.lists.add_members(ALL, [other, MEMBERS[0]])
    await listing.lists.add_members(other, [ALL, MEMBERS[1]])
    await listing.world.accept("all@opm.go.th")
    async with running(router(listing.world)):
        mails = await listing.passed_on(2)
    assert [mail.expands for mail in mails][1] == mails[0].mail_id
    assert (await listing.why())[0] == "5.4.6 This list has passed this mail on before"


async def test_who_may_not_post_is_told(listing: Listing) -> None:
    named = parse_address("named@opm.go.th")
    posters = [parse_address("boss@opm.go.th")]
    account_id = await listing.lists.add_list(named, display_name="", posting="named", posters=posters)
    people = listing.world.directory.people
    people["named@opm.go.th"] = Listed(listing.listed.agency_id, account_id, SUDA.mailbox_id)
    await listing.lists.add_members(named, MEMBERS[:1])
    await listing.world.accept("named@opm.go.th")
    async with running(router(listing.world)):
        await listing.passed_on(0)
        assert await listing.why() == ["5.7.2 The sender may not post to this list"]
        await listing.world.accept("named@opm.go.th", mail_from="Boss@opm.go.th")
        await listing.passed_on(1)


@pytest.mark.parametrize(
    ("rcpt_to", "mail_from"),
    [
        ("all@opm.go.th", None),
        ("all-bounces@opm.go.th", "ann@example.org"),
        ("Postmaster@opm.go.th", "ann@example.org"),
    ],
)
async def test_reports_and_answers_by_machines_go_to_the_mailbox_of_the_list(
    listing: Listing, rcpt_to: str, mail_from: str | None
) -> None:
    await listing.lists.add_members(ALL, MEMBERS[:1])
    await listing.world.accept(rcpt_to, mail_from=mail_from)
    async with running(router(listing.world)):
        await listing.passed_on(0)
    delivered = [e for e in await listing.world.of(MailDelivered.TOPIC) if isinstance(e, MailDelivered)]
    assert listing.listed.account_id in {event.account_id for event in delivered}


async def test_a_list_without_members_takes_a_mail_and_passes_it_to_nobody(listing: Listing) -> None:
    await listing.world.accept("all@opm.go.th")
    async with running(router(listing.world)):
        await listing.passed_on(0)
    assert len(await listing.world.of(ListExpanded.TOPIC)) == 1
    assert await listing.why() == []


async def test_who_may_post_may_do_so_by_an_account_that_forwards_to_the_list(listing: Listing) -> None:
    """Its return path is one of ours then; the sender is inside."""
    world, few = listing.world, parse_address("few@opm.go.th")
    ann = parse_address("ann@example.org")
    account_id = await listing.lists.add_list(few, display_name="", posting="members", posters=())
    listed = Listed(listing.listed.agency_id, account_id, SUDA.mailbox_id)
    world.directory.people["few@opm.go.th"] = listed
    await listing.lists.add_members(few, [ann])
    paths = ReturnPaths(log=world.log, keys=world.keys, clock=world.clock)
    path = await paths.write(ann, "opm.go.th", Position(1))
    await world.accept("few@opm.go.th", mail_from=str(path))
    async with running(router(world)):
        await listing.passed_on(1)
    assert await listing.why() == []
