"""An agency with several servers, and a backup: where its mail is when some of them are silent.

The rows are real ones, and so are the servers; two relays watch.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar

import pytest

from gateway.adapters.memory.log import open_lane
from gateway.domain.agencies import switch_route
from gateway.domain.agency import NextHop
from gateway.domain.events import Actor, MailDeferred, MailRelayed, Stamp
from gateway.domain.pace import CONNECTIONS_START, FAILURES_MAX, Bounds, Full, Granted, Later, Suspended
from gateway.domain.route import AgencyRouteSwitched, Route, Switch, WeightedHop
from gateway.mail.ids import AgencyId
from gateway.ports import Position
from gateway.processes.registry.agencies import Agencies
from gateway.processes.registry.counting import count_accounts
from gateway.processes.registry.deciding import Deciding
from gateway.processes.registry.reading import Reading
from gateway.processes.registry.registry import Registry
from gateway.processes.relay.paces import PaceRows, Place
from gateway.processes.relay.relay import Relay
from gateway.processes.relay.securing import opportunistic_context
from gateway.processes.relay.sights import SightRows
from gateway.processes.relay.watching import Watch
from gateway.processes.router.directory import DirectoryRows
from projections.checkpoint import reached
from projections.directory.project import DirectoryModel
from projections.queue import hops
from projections.readmodel import open_pool
from tests.processes.relay.host import Host
from tests.processes.relay.test_work import Rows
from tests.processes.world import BY

ACTOR = Actor("system", "test")
D = TypeVar("D", bound=Deciding)
RETRY_S = 120.0  # more than the first delay of a RetrySchedule


class Routed(Rows):
    """dld.go.th is relayed; two relays with their watches, which look all the time."""

    dld: AgencyId

    async def begin(self) -> None:
        await self.make_tables()
        self.world.directory = DirectoryRows(self.pool)  # type: ignore[assignment]
        opm = await self.registry(Registry).add_agency("OPM", ["opm.go.th"])
        assert opm
        first = NextHop("mx.example", 25)
        self.dld = await self.registry(Registry).add_agency("DLD", ["dld.go.th"], relay_to=first)
        self.sights = SightRows(self.pool)
        self.means = replace(self.means, sights=self.sights)

    def registry(self, kind: Callable[..., D]) -> D:
        return kind(
            log=self.world.log,
            keys=self.world.keys,
            count_accounts=partial(count_accounts, self.world.log, self.pool),
            clock=self.clock,
            entropy=self.world.entropy,
            actor=ACTOR,
            by=BY,
        )

    async def send_by(self, route: Route) -> None:
        await self.registry(Agencies).set_route(self.dld, route, "agreed")
        await self.fold()

    @asynccontextmanager
    async def relays(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.folding())
            tasks = [asyncio.create_task(self._watch().run()) for _ in range(2)]
            for number in range(2):
                name = f"relay-test-{number}"
                lane = open_lane(self.world.log, name, clock=self.clock, actor=ACTOR, by=BY)
                relay = Relay(
                    queue=self.rows(),
                    paces=self.paces(),
                    lane=await stack.enter_async_context(lane),
                    content=self.world.contents,
                    keys=self.world.keys,
                    clock=self.clock,
                    entropy=self.world.entropy,
                    by=BY,
                    means=self.means,
                )
                tasks.append(asyncio.create_task(relay.run()))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                for task in tasks:
                    with suppress(asyncio.CancelledError):
                        await task

    def _watch(self) -> Watch:
        return Watch(
            sights=self.sights,
            log=self.world.log,
            keys=self.world.keys,
            clock=self.clock,
            by=BY,
            hostname=self.means.hostname,
            anybody=opportunistic_context(),
            look_every_s=0.05,
            probe_every_s=0.1,
        )

    async def caught_up(self) -> None:
        """The rows know what the log does."""
        assert await reached(self.pool, DirectoryModel, await self.world.log.last(), 30)

    async def switched(self, number: int) -> list[str]:
        """The ways mail was switched to, when there have been so many."""
        events = await self.world.until(AgencyRouteSwitched.TOPIC, number)
        return [event.way for event in events if isinstance(event, AgencyRouteSwitched)]


@pytest.fixture
async def setting(postgres_dsn: str) -> AsyncIterator[Routed]:
    async with open_pool(postgres_dsn) as pool:
        setting = Routed(pool)
        await setting.begin()
        yield setting


async def fails(paces: PaceRows, destination: str, times: int = FAILURES_MAX) -> None:
    """Connections come to nothing, one after the other."""
    for _ in range(times):
        place, _ = await paces.take(destination)
        assert isinstance(place, Place)
        await paces.refused(place, "The host does not answer")
        await paces.release([place])


async def test_a_suspension_is_over_when_mail_goes_another_way(setting: Routed) -> None:
    paces, dld = setting.paces(), setting.dld
    main, backup = WeightedHop(NextHop("192.0.2.1", 25)), WeightedHop(NextHop("192.0.2.2", 25))
    for route in (Route((main,)), Route((main,), backup=(backup,))):
        await fails(paces, dld)
        assert isinstance((await paces.take(dld))[0], Suspended)
        await setting.send_by(route)
        assert (await paces.look([dld]))[dld].pace.suspended_at is None

    await fails(paces, dld)
    found = await Reading(setting.world.log, setting.world.keys).agency(dld)
    stamp = Stamp(at=setting.clock.now(), actor=ACTOR, by=BY)
    switched = switch_route(found.agency, found.position, route, Switch("backup", 900), stamp)
    assert switched is not None
    expected = {history: Position(at) for history, at in switched.expected.items()}
    await setting.world.log.append_guarded(switched.facts, expected, switched.versions)
    await setting.fold()
    place, situation = await paces.take(dld)
    assert isinstance(place, Place)
    assert (situation.pace.window, situation.places) == (CONNECTIONS_START, 1)


async def test_an_agency_says_how_many_connections_and_mails_its_servers_bear(setting: Routed) -> None:
    paces, dld = setting.paces(), setting.dld
    agencies = setting.registry(Agencies)
    await agencies.set_limits(dld, {"relay_connections_max": 2, "relay_mails_a_minute": 1})
    await setting.fold()
    place, situation = await paces.take(dld)
    assert isinstance(place, Place)
    assert situation.bounds == Bounds(2, 1)
    later, _ = await paces.take(dld)
    assert isinstance(later, Later)
    assert 0 < later.seconds <= 60
    assert isinstance(await paces.next_mail(place), Later)

    await agencies.set_limits(dld, {"relay_mails_a_minute": None})
    await setting.fold()
    assert await paces.next_mail(place) == Granted(situation.pace)
    assert [type(answer) for answer, _ in [await paces.take(dld) for _ in range(2)]] == [Place, Full]
    assert (await paces.look([dld]))[dld].bounds == Bounds(2)


@asynccontextmanager
async def silent_port() -> AsyncIterator[NextHop]:
    """Where nobody listens, until somebody does."""
    async with Host().listening() as host:
        hop = host.hop
    yield hop


async def test_mail_waits_then_goes_by_the_backup_and_back_again_each_switch_told_once(
    setting: Routed,
) -> None:
    main, backup = Host(), Host()
    async with silent_port() as hop, backup.listening():
        ways = (WeightedHop(hop),), (WeightedHop(backup.hop),)
        await setting.send_by(Route(*ways, down_for_s=1, back_for_s=1))
        await setting.queued()
        async with setting.relays():
            await setting.world.until(MailDeferred.TOPIC, 1)
            assert await setting.switched(1) == ["backup"]
            assert backup.taken == []  # it waits until it is tried again
            await setting.caught_up()
            setting.clock.move(RETRY_S)
            await backup.has_taken(1)
            async with main.listening(port=hop.port):
                assert await setting.switched(2) == ["backup", "main"]
                await setting.caught_up()
                await setting.queued()
                await main.has_taken(1)
                await setting.world.until(MailRelayed.TOPIC, 2)
    assert (len(main.taken), len(backup.taken)) == (1, 1)
    assert await setting.switched(2) == ["backup", "main"]  # of two watches, each


async def test_the_next_server_has_it_within_one_attempt_and_who_is_silent_is_left_out(
    setting: Routed,
) -> None:
    other = Host()
    async with silent_port() as hop, other.listening():
        await setting.send_by(Route((WeightedHop(hop, 1_000), WeightedHop(other.hop))))
        await setting.queued(mails=5)
        async with setting.relays():
            await other.has_taken(5)
            outcomes = await setting.world.until(MailRelayed.TOPIC, 5)
            assert {event.attempt for event in outcomes if isinstance(event, MailRelayed)} == {1}
            assert (await setting.sights.health([hop]))[hop].is_silent
            async with Host().listening(port=hop.port) as back:
                async with asyncio.timeout(30):
                    while (await setting.sights.health([hop]))[hop].is_silent:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                other.connections_max = 0
                while other.open_now:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await setting.queued()
                await back.has_taken(1)
    assert await setting.world.of(AgencyRouteSwitched.TOPIC) == []


WORDS = {
    "it is busy": Host(greeting="421 4.3.2 busy"),
    "it takes no mail": Host(greeting="554 5.3.2 go away"),
    "it knows nobody": Host(says={"RCPT": "451 4.2.1 later"}),
}


@pytest.mark.parametrize("host", WORDS.values(), ids=WORDS)
async def test_what_a_server_says_does_not_count_against_it(setting: Routed, host: Host) -> None:
    async with host.listening(), Host().listening() as backup:
        ways = (WeightedHop(host.hop),), (WeightedHop(backup.hop),)
        await setting.send_by(Route(*ways, down_for_s=1))
        await setting.queued()
        async with setting.relays():
            await setting.world.until(MailDeferred.TOPIC, 1)
            seen = await setting.sights.health([host.hop])
    assert not any(one.is_silent for one in seen.values())
    assert backup.taken == []


async def test_one_of_all_relays_probes(setting: Routed) -> None:
    servers = [NextHop("192.0.2.1", 25), NextHop("192.0.2.2", 25)]
    both = await asyncio.gather(*(setting.sights.claim_probes(servers, 60) for _ in range(4)))
    assert sorted(str(hop) for ours in both for hop in ours) == ["192.0.2.1:25", "192.0.2.2:25"]
    assert await setting.sights.claim_probes(servers, 60) == []
    assert await setting.sights.claim_probes(servers, 0) == servers


async def test_silence_is_counted_from_the_first_and_anew_after_an_answer_or_a_gap(
    setting: Routed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hop,) = servers = [NextHop("192.0.2.1", 25)]

    async def since() -> datetime:
        async with setting.pool.rows() as rows:
            at = await rows.fetchval("SELECT since FROM leases.hop")
        assert isinstance(at, datetime)
        return at

    assert await setting.sights.health(servers) == {}
    await setting.sights.see({hop: True})
    first = await since()
    await setting.sights.see({hop: True})
    assert (await setting.sights.health(servers))[hop].is_silent
    assert await since() == first
    await setting.sights.see({hop: False})
    assert not (await setting.sights.health(servers))[hop].is_silent
    answers = await since()
    assert answers > first
    await setting.sights.see({hop: False})
    assert await since() == answers
    monkeypatch.setattr(hops, "GAP", 0 * hops.GAP)
    await setting.sights.see({hop: False})
    assert await since() > answers
