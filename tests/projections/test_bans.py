"""Bans as rows: whether one holds is said by the reader's clock, and what a destroyed key sealed is blank."""

import ipaddress
from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from gateway.domain.bans import BanImposed
from gateway.domain.events import Actor, Stamp
from gateway.domain.histories import DUE
from gateway.domain.traffic import TraceExpired
from gateway.ports import Fact, Position, Unavailable
from gateway.processes.signin.banning import Banning
from projections.bans.query import Ban, all_bans, bans_ending_after, find_ban, last_change
from projections.checkpoint import Projection, create, drop
from projections.readmodel import Pool, ReadModel
from projections.rebuild import rebuild
from tests.projections.rows import all_models, fold, tables
from tests.projections.world import BY, World, stored

HOUR = timedelta(hours=1)
NETWORK = ipaddress.ip_network("192.0.2.0/24")
OTHER = ipaddress.ip_network("2001:db8::/64")


class Log:
    """A world, and a lane of it that bans go through."""

    def __init__(self) -> None:
        self.world = World(83)
        self.opm = self.world.agency("OPM", "opm.go.th")
        self.ann = self.world.account(self.opm, "ann@opm.go.th", "อัญชลี")
        self.model: ReadModel = next(m for m in all_models(self.world.keys) if m.name == "bans")
        self.banning = Banning(self.world.keys, self, self.world.chance.randbytes)  # type: ignore[arg-type]

    async def append(self, facts: Sequence[Fact]) -> Position:
        return self.world.add(*facts)[-1]

    def stamp(self, name: str = "somchai") -> Stamp:
        at = self.world.stamp().at
        return Stamp(at, Actor("operator", name), BY)

    def expire(self, day: date) -> None:
        steward = Actor("system", "steward")
        self.world.add(Fact(DUE, TraceExpired(at=self.world.now, actor=steward, by=BY, day=day)))

    async def three_bans(self) -> list[Ban]:
        """One by an edge, one by an operator, one of an account; the second is lifted, twice."""
        edge = Stamp(self.world.stamp().at, Actor("system", "edge"), BY)
        bans = [
            await self.banning.network(NETWORK, edge.at + HOUR, edge, reason="sign-ins"),
            await self.banning.network(
                OTHER, edge.at + 2 * HOUR, self.stamp(), reason="operator", why="สแปม"
            ),
            await self.banning.account(
                self.ann.account_id, self.opm, edge.at + 3 * HOUR, self.stamp(), why="รหัสผ่านรั่ว"
            ),
        ]
        await self.banning.lift(bans[1], self.stamp("malee"), why="เข้าใจผิด")
        await self.banning.lift(bans[1], self.stamp("late"), why="again")
        return bans


@pytest.fixture
def log() -> Log:
    return Log()


async def folded(pool: Pool, log: Log, batch: int = 1_000) -> None:
    await create(pool, [log.model])
    await fold([Projection(log.model, pool)], log.world.log, batch=batch)


async def test_a_ban_stands_with_its_reason_and_is_lifted_by_the_first_who_does(pool: Pool, log: Log) -> None:
    imposed = await log.three_bans()
    await folded(pool, log)
    async with pool.rows() as rows:
        found = await all_bans(rows)
        assert await last_change(rows) == log.world.log[-2].position
        assert await find_ban(rows, imposed[0].ban_id) == imposed[0]
        assert await find_ban(rows, "ban_of_nobody") is None
    assert [ban.ban_id for ban in found] == [ban.ban_id for ban in reversed(imposed)]
    account, lifted, network = found
    assert (network, account) == (imposed[0], imposed[2]), "the rows say what was said when it was imposed"
    assert (network.network, network.reason, network.imposed_by) == (
        "192.0.2.0/24",
        "sign-ins",
        "system edge",
    )
    assert (account.account_id, account.agency_id, account.why) == (
        log.ann.account_id,
        log.opm,
        "รหัสผ่านรั่ว",
    )
    assert (lifted.lifted_by, lifted.lift_reason, lifted.why) == ("operator malee", "เข้าใจผิด", "สแปม")


async def test_whether_it_holds_is_said_by_the_readers_clock(pool: Pool, log: Log) -> None:
    network, lifted, account = await log.three_bans()
    await folded(pool, log)
    async with pool.rows() as rows:
        found = await bans_ending_after(rows, network.until)
        assert [ban.ban_id for ban in found] == [account.ban_id, lifted.ban_id]
    assert [ban.holds(network.until) for ban in found] == [True, False]
    assert [ban.holds(account.until) for ban in found] == [False, False]
    assert network.holds(network.until - timedelta(microseconds=1))


async def test_a_rebuild_is_equal_and_splits_change_no_row(pool: Pool, log: Log) -> None:
    for _ in range(3):
        await log.three_bans()
    await folded(pool, log)
    comparison = await rebuild(log.model, stored(log.world), pool)
    assert comparison.is_equal, comparison.different
    assert comparison.live["ban"].rows == 9
    found = [await tables(pool, log.model.schema)]
    for batch in (1, 3):
        await drop(pool, log.model.schema)
        await folded(pool, log, batch)
        found.append(await tables(pool, log.model.schema))
    assert found[0] == found[1] == found[2]


async def test_a_ban_goes_with_the_traffic_log_of_its_day(pool: Pool, log: Log) -> None:
    day = log.world.now.date()
    old = await log.three_bans()
    log.world.now += timedelta(days=1)
    new = await log.three_bans()
    log.world.now += timedelta(days=92)
    log.expire(day)
    late = log.world.now
    log.world.now = late - timedelta(days=93)
    kept = await log.three_bans()  # by a clock that is behind: until the next day goes
    log.world.now = late
    await log.banning.lift(old[0], log.stamp(), why="too late")
    await folded(pool, log)
    async with pool.rows() as rows:
        assert {ban.ban_id for ban in await all_bans(rows)} == {ban.ban_id for ban in new + kept}
    comparison = await rebuild(log.model, stored(log.world), pool)
    assert comparison.is_equal, comparison.different
    live = await tables(pool, log.model.schema)
    await drop(pool, log.model.schema)
    await folded(pool, log, 1)
    assert await tables(pool, log.model.schema) == live


async def test_tables_that_are_not_there_cannot_answer(untouched_pool: Pool) -> None:
    async with untouched_pool.rows() as rows:
        with pytest.raises(Unavailable, match="bans_v1 are not there"):
            await last_change(rows)


async def test_what_a_destroyed_key_sealed_is_blank(pool: Pool, log: Log) -> None:
    await log.three_bans()
    await log.world.keys.forget("traffic.none.202611")
    await folded(pool, log)
    async with pool.rows() as rows:
        account, lifted, network = await all_bans(rows)
    assert (network.network, network.reason) == (None, "sign-ins")
    assert (lifted.network, lifted.why, lifted.lift_reason) == (None, "", "")
    assert account.why == "รหัสผ่านรั่ว", "under its agency's key"


async def test_what_is_in_the_log_names_no_network(log: Log) -> None:
    await log.three_bans()
    imposed = [stored for stored in log.world.log if isinstance(stored.event, BanImposed)]
    assert [stored.subject for stored in imposed] == [
        "ev.access.none",
        "ev.access.none",
        f"ev.access.{log.opm}",
    ]
    assert not any(b"192.0.2" in stored.state or b"2001:db8" in stored.state for stored in imposed)
