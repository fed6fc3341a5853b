"""Each role's NATS user may do its part of the content store, and not more."""

import os
from pathlib import Path

import pytest

from gateway.adapters.jetstream import Link, connect, open_content_lane, open_log, streams
from gateway.adapters.jetstream import open_lane as open_log_lane
from gateway.adapters.keys import JetStreamKeyStore
from gateway.adapters.memory.content import MemoryObjects, MemoryPlaces
from gateway.adapters.memory.log import MemoryLog, open_lane
from gateway.adapters.system import SystemClock
from gateway.adapters.write_ahead import JetStreamWriteAhead
from gateway.domain.events import Fact, MessageRead, Stamp
from gateway.domain.histories import box_history
from gateway.domain.trial import End
from gateway.domain.trial_steps import take_step
from gateway.mail.address import parse_address
from gateway.mail.ids import MailboxId
from gateway.ports import KeyForgotten, Position
from gateway.processes.registry.reading import Reading
from gateway.processes.registry.registry import Registry
from tests.conftest import RunningNats
from tests.contracts.content_world import ContentWorld, mail, noise
from tests.contracts.facts import ACTOR, BY


@pytest.mark.usefixtures("site")
async def test_edge_and_router_store_and_readers_read(nats_server: RunningNats, tmp_path: Path) -> None:
    log, clock = MemoryLog(), SystemClock()
    objects = MemoryObjects(clock)
    for writer in ("edge", "router"):
        async with (
            connect(nats_server.url(writer), name=writer) as writing,
            open_content_lane(writing, f"{writer}-test-0", clock=clock, actor=ACTOR, by=BY) as lane,
            open_lane(log, "any", clock=clock, actor=ACTOR, by=BY) as log_lane,
        ):
            world = ContentWorld(
                write_ahead=JetStreamWriteAhead(writing, lane, f"{writer}-test-0"),
                objects=objects,
                places=MemoryPlaces(log),
                log=log,
                lane=log_lane,
                keys=JetStreamKeyStore(writing, bytes(32), clock=clock, entropy=os.urandom),
                folder=tmp_path,
            )
            kept, _ = await world.put(mail(noise(100_000)))
            assert await world.get(kept) == kept.message
            for reader in ("relay", "web", "cli", "steward", "packer"):
                async with connect(nats_server.url(reader), name=reader) as reading:
                    write_ahead = JetStreamWriteAhead(reading)
                    found = await write_ahead.get(kept.content.hint)
                    assert found is not None
                    assert found.digest == kept.content.digest
                    assert await write_ahead.waiting() > 0


async def test_the_packer_reads_and_purges(site: Link, nats_server: RunningNats) -> None:
    async with open_content_lane(site, "edge-test-0", clock=SystemClock(), actor=ACTOR, by=BY) as lane:
        sequence = await JetStreamWriteAhead(site, lane, "edge-test-0").append("0" * 64, b"octets")
    async with connect(nats_server.url("packer"), name="packer") as link:
        write_ahead = JetStreamWriteAhead(link)
        assert [content.sequence for content in (await write_ahead.read(0)).contents] == [sequence]
        await write_ahead.purge(sequence)
        assert await write_ahead.waiting() == 0
    assert await site.last(streams.CONTENT, "ct.edge-test-0") is None


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("role", ["cli", "web", "steward"])
async def test_who_registers_or_forgets_makes_keys_and_destroys_them(
    nats_server: RunningNats, role: str
) -> None:
    async with connect(nats_server.url(role), name=role) as link:
        keys = JetStreamKeyStore(link, bytes(32), clock=SystemClock(), entropy=os.urandom)
        assert len(await keys.get_or_make(f"account.acc_of_{role}")) == 32
        await keys.forget(f"account.acc_of_{role}")
        with pytest.raises(KeyForgotten):
            await keys.get(f"account.acc_of_{role}")


@pytest.mark.usefixtures("site")
async def test_the_steward_ends_trials_and_closes_accounts(nats_server: RunningNats) -> None:
    """What warns of a trial's end is a mail of its own; whose mail was exported is told in that account."""
    clock = SystemClock()
    suda = parse_address("suda@opm.go.th")

    async def registry(link: Link) -> Registry:
        keys = JetStreamKeyStore(link, bytes(32), clock=clock, entropy=os.urandom)
        return Registry(
            log=await open_log(link),
            keys=keys,
            count_accounts=None,  # type: ignore[arg-type]
            clock=clock,
            entropy=os.urandom,
            actor=ACTOR,
            by=BY,
        )

    async with connect(nats_server.url("web"), name="web") as link:
        theirs = await registry(link)
        agency_id = await theirs.add_agency("OPM", ["opm.go.th"], trial_days=30)
        account_id = await theirs.add_account(agency_id, suda)
    async with connect(nats_server.url("steward"), name="steward") as link:
        async with open_content_lane(link, "steward-test-0", clock=clock, actor=ACTOR, by=BY) as content:
            assert await JetStreamWriteAhead(link, content, "steward-test-0").append("1" * 64, b"octets")
        log, ours = await open_log(link), await registry(link)
        assert await ours.close_account(suda, "the trial has ended") == account_id
        found = await Reading(
            log, JetStreamKeyStore(link, bytes(32), clock=clock, entropy=os.urandom)
        ).agency(agency_id)
        stamp = Stamp(at=clock.now(), actor=ACTOR, by=BY)
        step = take_step(found.agency, found.position, End(clock.now()), stamp)
        await log.append_guarded(step.facts, {step.facts[0].subject: Position(found.position)}, step.versions)
        read = MessageRead(
            account_id=account_id,
            mailbox_id=MailboxId("mbx_1"),
            uids="1",
            how="export",
            sealed=b"",
            sealed_key="",
            **stamp.fields(),
        )
        async with open_log_lane(log, "steward-test-0", clock=clock, actor=ACTOR, by=BY) as lane:
            await lane.append([Fact(box_history(account_id), read)])
