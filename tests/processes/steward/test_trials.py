"""What falls due with trials is done once and in order, whoever dies in between; over rows in a real
PostgreSQL, with a clock that is moved by hand."""

import asyncio
import contextlib
import email
import email.policy
import json
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.domain.account import AccountClosed
from gateway.domain.addresses import AddressReleased
from gateway.domain.agency import Agency
from gateway.domain.events import Actor, Content, Event, MailAccepted, MessageRead
from gateway.domain.registration import Refused
from gateway.domain.trial import (
    AgencyClosed,
    AgencyExported,
    AgencyExportLacked,
    AgencyTrialEnded,
    AgencyTrialWarned,
    Times,
)
from gateway.mail.address import parse_address
from gateway.mail.ids import AgencyId
from gateway.ports import ContentMissing, Lane, Spooled, StoredContent, Unavailable
from gateway.processes.projector import following
from gateway.processes.registry.agencies import Agencies
from gateway.processes.registry.reading import Reading
from gateway.processes.steward.exports import Exports
from gateway.processes.steward.trials import Trials
from gateway.processes.steward.warnings import People, TrialWarnings
from projections.checkpoint import Projection, create, reached
from projections.directory.project import DirectoryModel
from projections.directory.query import AgencyRow, Hosted, UnknownHere, find_recipients, list_agencies
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.readmodel import Pool
from tests.processes.web.world import Nobody
from tests.projections.world import BY, Owner, World, stored

STEPS = ["agency.trial_warned/1", "agency.trial_warned/1", "agency.trial_ended/1", "agency.exported/1",
         "agency.closed/1"]  # fmt: skip


class Killed(Exception):
    """As SIGKILL is: nothing after it happens."""


class Contents:
    """A content store: what a digest stands for is made of it. kill_after: so many reads, then no more."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.reads, self.kill_after = 0, 10**9
        self.lost: set[str] = set()  # digests

    async def put(self, message: Spooled, **_: Any) -> StoredContent:
        octets = b"".join(message.read(0, message.octets))
        content = Content(f"{len(self.kept):064x}", len(octets), hint=1)
        self.kept[content.digest] = octets
        return StoredContent(content, ())

    async def open(
        self, content: Content, *, start: int = 0, end: int | None = None, **_: Any
    ) -> AsyncIterator[bytes]:
        self.reads += 1
        if content.digest in self.lost:
            raise ContentMissing(content.digest)
        whole = self.kept.get(content.digest) or (content.digest.encode() * (content.octets // 64 + 1))
        whole = whole[: content.octets][start:end]
        yield whole[: len(whole) // 2]
        if self.reads > self.kill_after:
            raise Killed
        yield whole[len(whole) // 2 :]


@dataclass
class Clock:
    at: datetime

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.01)


@dataclass
class Site:
    """An agency on trial with two accounts and their mail, and a steward to look after it."""

    world: World
    log: MemoryLog
    pool: Pool
    clock: Clock
    folder: Path
    dof: AgencyId
    owners: list[Owner]
    began: datetime
    content: Contents = field(default_factory=Contents)

    async def look(self, *days: float) -> None:
        """A steward that has just been started looks, so many days after the trial began."""
        async with self.lane() as lane:
            trials = self.trials(lane)
            for day in days:
                self.clock.at = self.began + timedelta(days=day)
                await self.follow()
                await trials.look()
        await self.follow()

    def trials(self, lane: Lane) -> Trials:
        people = People(self.pool)
        return Trials(
            on_trial=people,
            warnings=TrialWarnings(
                people=people,
                content=self.content,  # type: ignore[arg-type]
                keys=self.world.keys,
                entropy=self.world.chance.randbytes,
                hostname="mail.saraban.example",
                grace_days=30,
            ),
            leaving=self.exports(lane),
            log=self.log,
            keys=self.world.keys,
            clock=self.clock,
            by=BY,
            times=Times(),
        )

    def operator(self) -> Agencies:
        return Agencies(
            log=self.log,
            keys=self.world.keys,
            count_accounts=None,  # type: ignore[arg-type]
            clock=self.clock,
            entropy=self.world.chance.randbytes,
            actor=Actor("operator", "root"),
            by=BY,
        )

    async def row(self) -> AgencyRow:
        async with self.pool.rows() as rows:
            (found,) = await list_agencies(rows, self.dof)
        return found

    def exports(self, lane: Lane) -> Exports:
        return Exports(
            folder=self.folder,
            pool=self.pool,
            log=self.log,
            lane=lane,
            content=self.content,  # type: ignore[arg-type]
            keys=self.world.keys,
            clock=self.clock,
            entropy=self.world.chance.randbytes,
            by=BY,
        )

    def lane(self) -> contextlib.AbstractAsyncContextManager[Lane]:
        actor = Actor("system", "steward")
        return open_lane(self.log, "steward-trials-0", clock=self.clock, actor=actor, by=BY)

    async def follow(self) -> None:
        for model in (DirectoryModel, MailboxModel):
            assert await reached(self.pool, model, await self.log.last(), 30.0)

    async def agency(self) -> Agency:
        return (await Reading(self.log, self.world.keys).agency(self.dof)).agency

    async def steps(self) -> list[str]:
        """What the agency's own history tells, after its beginning."""
        return [recorded.topic for recorded in await self.log.history(f"agency.{self.dof}")][1:]

    async def of(self, kind: type[Event]) -> list[Any]:
        read = [await self.log.read(at) for at in range(1, await self.log.last() + 1)]  # type: ignore[arg-type]
        return [each.event for each in read if isinstance(each.event, kind)]

    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*.eml"))


@pytest.fixture
async def site(emptied_pool: Pool, tmp_path: Path) -> AsyncIterator[Site]:
    world = World(7)
    dof = world.agency("กรมประมง", "dof.example", trial_days=30)
    began = world.now
    owners = [world.account(dof, f"{name}@dof.example", name.title()) for name in ("ploy", "nan")]
    for _ in range(5):
        mail = world.accept(dof, "ann@example.org", [owner.address for owner in owners])
        for number, owner in enumerate(owners):
            world.deliver(mail, owner, [number])
    log, clock = stored(world), Clock(began)
    ring = Keyring(world.keys)
    models = [DirectoryModel(ring), MailboxModel(ring)]
    await create(emptied_pool, models)
    projections = [Projection(model, emptied_pool) for model in models]
    task = asyncio.create_task(following.run(log, projections, Nobody(), clock))
    yield Site(world, log, emptied_pool, clock, tmp_path / "exports", dof, owners, began)
    task.cancel()
    await asyncio.wait([task])


async def test_a_trial_is_warned_ended_exported_and_closed_each_once(site: Site) -> None:
    seen = {}
    for day in (0, 22, 23, 24, 29, 30, 31, 59, 60, 61, 100):
        await site.look(day)
        seen[day] = len(await site.steps())
    assert seen == {0: 0, 22: 0, 23: 1, 24: 1, 29: 2, 30: 3, 31: 3, 59: 3, 60: 5, 61: 5, 100: 5}
    assert await site.steps() == STEPS
    assert (await site.agency()).status == "closed"
    assert [(event.days, event.ends_at) for event in await site.of(AgencyTrialWarned)] == [
        (7, site.began + timedelta(days=30)),
        (1, site.began + timedelta(days=30)),
    ]
    assert all(event.actor == Actor("system", "steward") for event in await site.of(AgencyTrialEnded))


async def test_a_steward_that_was_down_for_weeks_makes_each_step_in_order(site: Site) -> None:
    await site.look(45)
    assert await site.steps() == STEPS[:3]
    (ended,) = await site.of(AgencyTrialEnded)
    assert ended.closes_at == site.clock.at + timedelta(days=30)
    await site.look(74)
    assert await site.steps() == STEPS[:3]
    await site.look(400)
    assert await site.steps() == STEPS


async def test_a_warning_is_a_mail_to_those_who_answer_in_thai_and_english(site: Site) -> None:
    await site.look(23)
    *_, mail = await site.of(MailAccepted)
    assert mail.agency_id == site.dof
    assert [recipient.agency_id for recipient in mail.recipients] == [site.dof]
    octets = site.content.kept[mail.message.content.digest]
    octets.decode("ascii")
    told = email.message_from_bytes(octets, policy=email.policy.default)
    ends = f"{site.began + timedelta(days=30):%Y-%m-%d}"
    assert told["To"] == "ploy@dof.example"  # the oldest: nobody else answers
    assert told["Subject"] == f"การทดลองใช้จะสิ้นสุด {ends} / Your trial ends on {ends}"
    assert (told["Auto-Submitted"], told["Message-ID"]) == (
        "auto-generated", f"<{mail.mail_id}@mail.saraban.example>",
    )  # fmt: skip
    text = told.get_content().replace("\r\n", "\n")
    assert f"The trial of your agency at mail.saraban.example ends on {ends}" in text
    assert f"กรมประมง\n\nการทดลองใช้ระบบไปรษณีย์ mail.saraban.example ของหน่วยงานจะสิ้นสุดวันที่ {ends}" in text
    assert max(map(len, octets.split(b"\r\n"))) <= 78


async def test_mail_comes_in_until_it_is_closed_and_its_addresses_rest_then(site: Site) -> None:
    ploy = parse_address("ploy@dof.example")

    async def where() -> type[object]:
        async with site.pool.rows() as rows:
            (found,) = await find_recipients(rows, [ploy])
        return type(found)

    await site.look(30)
    assert await where() is Hosted
    await site.look(60)
    assert await where() is UnknownHere
    assert {event.originator_id for event in await site.of(AccountClosed)} == {
        owner.account_id for owner in site.owners
    }
    assert len(await site.of(AddressReleased)) == 2


async def test_all_its_mail_is_in_files_for_the_gateways_own_user_alone(site: Site) -> None:
    await site.look(30)
    await site.look(60)
    assert len(site.files()) == 10
    assert {stat.S_IMODE(path.stat().st_mode) for path in site.files()} == {0o600}
    folders = [path for path in (site.folder / site.dof).rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert all(path.read_bytes().startswith(b"Return-Path: <ann@example.org>\r\n") for path in site.files())
    lines = (site.folder / site.dof / "accounts.jsonl").read_text().splitlines()
    assert [json.loads(line)["address"] for line in lines] == ["ploy@dof.example", "nan@dof.example"]
    (exported,) = await site.of(AgencyExported)
    assert (exported.accounts, exported.messages) == (2, 10)
    read = await site.of(MessageRead)
    assert [(event.account_id, event.uids, event.how) for event in read] == [
        (owner.account_id, "1:5", "export") for owner in site.owners
    ]


@pytest.mark.parametrize("kill_after", [0, 3, 6, 9])
async def test_an_export_that_is_killed_goes_on_where_it_was(site: Site, kill_after: int) -> None:
    await site.look(30)
    site.content.kill_after = kill_after
    with pytest.raises(Killed):
        await site.look(60)
    assert await site.steps() == STEPS[:3]
    assert len(site.files()) == kill_after  # those that are whole
    site.content.kill_after, site.content.reads = 10**9, 0
    await site.look(60)
    assert await site.steps() == STEPS
    assert site.content.reads == 10 - kill_after
    assert len(site.files()) == 10
    assert not list(site.folder.rglob("*.part"))


async def test_an_agency_whose_files_lack_a_message_is_not_closed_and_it_is_tried_again(site: Site) -> None:
    lost = (await site.of(MailAccepted))[2]
    site.content.lost = {lost.message.content.digest}
    await site.look(30, 60)
    assert await site.steps() == [*STEPS[:3], "agency.export_lacked/1"]
    (told,) = await site.of(AgencyExportLacked)
    assert (told.messages, told.lack.messages) == (8, 2)
    assert {name.split("/")[0] for name in told.lack.named} == {owner.account_id for owner in site.owners}
    assert all(name.endswith(f"-{lost.mail_id}.eml") for name in told.lack.named)
    shown = await site.row()
    assert (shown.status, shown.lacking, tuple(shown.lacking_named)) == ("closing", 2, told.lack.named)
    assert (len(site.files()), list(site.folder.rglob("*.part"))) == (8, [])
    assert not await site.of(AccountClosed)

    site.content.reads = 0
    await site.look(60, 60.01, 61)  # a minute later it does not look; the same is not said twice
    assert site.content.reads == 4
    assert len(await site.steps()) == 4

    site.content.lost = set()
    await site.look(61)
    assert (await site.steps())[4:] == STEPS[3:]
    assert len(site.files()) == 10
    shown = await site.row()
    assert (shown.status, shown.lacking, list(shown.lacking_named)) == ("closed", 0, [])


async def test_an_operator_closes_an_agency_without_the_messages_that_were_lost(site: Site) -> None:
    lost = (await site.of(MailAccepted))[2]
    site.content.lost = {lost.message.content.digest}
    await site.look(30, 60)
    async with site.lane() as lane:
        trials = site.trials(lane)
        await trials.look()
        assert await site.operator().order_close(site.dof, "หน่วยงานทราบแล้ว") == 2
        with pytest.raises(Refused, match="is being closed already"):
            await site.operator().order_close(site.dof, "again")
        await site.follow()
        assert (await site.row()).reason == "หน่วยงานทราบแล้ว"
        await trials.look()
    await site.follow()
    assert (await site.steps())[4:] == ["agency.close_ordered/1", *STEPS[3:]]
    (closed,) = await site.of(AgencyClosed)
    assert (closed.messages, closed.lack.messages) == (8, 2)
    shown = await site.row()
    assert (shown.status, shown.lacking) == ("closed", 2)


async def test_mail_that_is_lost_after_the_export_keeps_the_agency_closing(site: Site) -> None:
    await site.look(30)
    close = site.exports

    class Late(Exports):
        """Between the two exports a mail came in, and its content is lost."""

        async def close_accounts(self, agency_id: AgencyId) -> None:
            await super().close_accounts(agency_id)
            (file, *_) = site.files()
            file.unlink()
            site.content.lost = {each.message.content.digest for each in await site.of(MailAccepted)}

    def late(lane: Lane) -> Exports:
        exports = close(lane)
        exports.__class__ = Late
        return exports

    site.exports = late  # type: ignore[method-assign]
    await site.look(60)
    assert (await site.steps())[3:] == ["agency.exported/1", "agency.export_lacked/1"]
    assert (await site.row()).status == "closing"


async def test_a_steward_killed_between_closed_accounts_closes_the_rest(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.look(30)
    append, closed = site.log.append_guarded, []

    async def once(facts: Any, *args: Any) -> Any:
        if isinstance(facts[0].event, AccountClosed):
            if closed:
                raise Killed
            closed.append(facts[0].event.originator_id)
        return await append(facts, *args)

    monkeypatch.setattr(site.log, "append_guarded", once)
    with pytest.raises(Killed):
        await site.look(60)
    assert (await site.agency()).status == "closing"
    monkeypatch.undo()
    await site.look(60)
    assert await site.steps() == STEPS
    assert len(await site.of(AccountClosed)) == 2
    (last,) = await site.of(AgencyClosed)
    assert last.messages == 10


async def test_what_an_operator_decides_meanwhile_counts(site: Site) -> None:
    operator = site.operator()
    await site.look(31)
    await operator.extend_trial(site.dof, 20, "budget")
    await site.look(40)
    assert (await site.agency()).status == "trial"
    await site.look(44)
    await operator.activate(site.dof, "has signed")
    await site.look(400)
    assert (await site.agency()).status == "active"
    assert (await site.steps())[3:] == [
        "agency.trial_extended/1",
        "agency.trial_warned/1",
        "agency.activated/1",
    ]


async def test_where_there_is_no_folder_nothing_is_closed_and_it_is_tried_again(site: Site) -> None:
    await site.look(30)
    site.folder.write_text("a file is in the way")
    await site.look(60)
    assert await site.steps() == STEPS[:3]
    site.folder.unlink()
    await site.look(61)
    assert await site.steps() == STEPS


async def test_while_the_log_is_away_nothing_is_lost(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*args: Any) -> Any:
        raise Unavailable("nats", "away")

    monkeypatch.setattr(site.log, "append_guarded", away)
    before = len(await site.of(MailAccepted))
    await site.look(30)
    assert await site.steps() == []
    monkeypatch.undo()
    await site.look(30)
    assert await site.steps() == STEPS[:3]
    assert len(await site.of(MailAccepted)) == before + 2
