"""The traffic log: sessions, sign-ins and mails in days, which go because of an event alone."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta

import pytest

from gateway.domain.app_passwords import Use
from gateway.domain.events import Actor, Fact
from gateway.domain.histories import DUE
from gateway.domain.sessions import (
    SESSIONS,
    EndedSo,
    NetworkSecret,
    Refusal,
    SessionEnded,
    SessionSecret,
    SessionsEnded,
)
from gateway.domain.signin import SIGN_INS, SignInAccepted, SignInRefused, SignInSecret, access_history
from gateway.domain.traffic import TraceExpired
from gateway.mail.ids import AccountId, AgencyId
from projections.checkpoint import Projection, create, drop
from projections.readmodel import Pool, ReadModel
from projections.rebuild import rebuild
from projections.trace.log import PAGE, TrafficDays, traffic_between
from projections.trace.sign_ins import sign_ins_of
from projections.trace.traffic import Traffic
from tests.projections.rows import all_models, fold, tables
from tests.projections.world import BEGIN, BY, Owner, World, stored

DAY = timedelta(days=1)
FIRST = BEGIN.date()


class Log:
    """Sessions, sign-ins and mails of three days."""

    def __init__(self) -> None:
        self.world = World(71)
        self.opm = self.world.agency("OPM", "opm.go.th")
        self.opdc = self.world.agency("OPDC", "opdc.go.th")
        self.model: ReadModel = next(m for m in all_models(self.world.keys) if m.name == "trace")

    def session(self, agency_id: AgencyId | None) -> SessionEnded:
        key = f"traffic.{agency_id or 'none'}.202611"
        secret = SessionSecret("192.0.2.7", 50_123, "client.example", "TLSv1.3 TLS_AES_256_GCM_SHA384")
        event = SessionEnded(
            **self.world.stamp().fields(),
            began_at=BEGIN,
            listener="smtp",
            ended="quit",
            refusals=1,
            refused=(Refusal(550, "5.1.1", "No such mailbox here"),),
            refused_recipients=1,
            sealed=self.world._seal(secret, self.world.keys.key(key), SESSIONS),
            sealed_key=key,
        )
        self.world.add(Fact(access_history(agency_id), event))
        return event

    def sessions(self) -> None:
        key = "traffic.none.202611"
        event = SessionsEnded(
            **self.world.stamp().fields(),
            since=BEGIN,
            sessions=3,
            ended=(EndedSo("lost", 1), EndedSo("quit", 2)),
            sealed=self.world._seal(NetworkSecret("192.0.2.0/24"), self.world.keys.key(key), SESSIONS),
            sealed_key=key,
        )
        self.world.add(Fact(access_history(None), event))

    def sign_in(self, account_id: AccountId | None = None) -> None:
        key = "traffic.none.202611"
        secret = SignInSecret("=nobody", "192.0.2.7", "client.example")
        event = SignInRefused(
            **self.world.stamp().fields(),
            account_id=account_id,
            protocol="smtp",
            mechanism="PLAIN",
            reason="unknown",
            sealed=self.world._seal(secret, self.world.keys.key(key), SIGN_INS),
            sealed_key=key,
        )
        self.world.add(Fact(access_history(None), event))

    def let_in(self, owner: Owner, app_id: str) -> None:
        """Somebody signs in with an app password."""
        key = f"traffic.{owner.agency_id}.202611"
        event = SignInAccepted(
            **self.world.stamp().fields(),
            account_id=owner.account_id,
            protocol="smtp",
            mechanism="PLAIN",
            app_id=app_id,
            sealed=self.world._seal(
                SignInSecret(owner.address, "192.0.2.7"), self.world.keys.key(key), SIGN_INS
            ),
            sealed_key=key,
        )
        self.world.add(Fact(access_history(owner.agency_id), event))

    def expire(self, day: date, agency_id: AgencyId | None = None, kept: tuple[AgencyId, ...] = ()) -> None:
        stamp = {"at": self.world.now, "actor": Actor("system", "steward"), "by": BY}
        event = TraceExpired(**stamp, day=day, agency_id=agency_id, kept=kept)
        self.world.add(Fact(DUE, event))

    def three_days(self) -> None:
        for _ in range(3):
            self.session(self.opm)
            self.sign_in()
            self.world.accept(self.opdc, "boss@example.org", ["bee@opdc.go.th", "ann@opm.go.th"])
            self.sessions()
            self.world.now += DAY


@pytest.fixture
def log() -> Log:
    return Log()


async def kept(pool: Pool, agency_id: AgencyId | None = None) -> list[Traffic]:
    until = BEGIN + timedelta(days=1000)
    return [row async for row in traffic_between(pool, BEGIN - DAY, until, agency_id)]


async def folded(pool: Pool, log: Log, batch: int = 1_000) -> Projection:
    await create(pool, [log.model])
    projection = Projection(log.model, pool)
    await fold([projection], log.world.log, batch=batch)
    return projection


async def test_sessions_sign_ins_and_mails_stand_in_the_order_of_the_log(pool: Pool, log: Log) -> None:
    log.three_days()
    await folded(pool, log)
    rows = await kept(pool)
    assert [row.kind for row in rows] == ["session", "sign-in", "mail", "sessions"] * 3
    session, sign_in, mail, sessions = rows[:4]
    assert (session.agency_id, session.remote_ip, session.remote_port) == (log.opm, "192.0.2.7", 50_123)
    assert (session.helo, session.tls[:7], session.outcome) == ("client.example", "TLSv1.3", "quit")
    assert session.refused == ["550 5.1.1 No such mailbox here"]
    assert (sign_in.agency_id, sign_in.identity, sign_in.outcome) == (None, "=nobody", "unknown")
    assert (mail.mail_from, mail.rcpt_to) == ("boss@example.org", ["bee@opdc.go.th", "ann@opm.go.th"])
    assert (sessions.remote_ip, sessions.sessions, sessions.outcome) == ("192.0.2.0/24", 3, "lost:1 quit:2")
    assert [row.kind for row in await kept(pool, log.opm)] == ["session"] * 3
    assert [row.kind for row in await kept(pool, log.opdc)] == ["mail"] * 3


@pytest.mark.parametrize("batch", [1, 1_000])
async def test_a_sign_in_tells_its_app_password_whether_it_was_revoked_since(
    pool: Pool, log: Log, batch: int
) -> None:
    ann = log.world.account(log.opm, "ann@opm.go.th")
    phone, printer = (log.world.app_password(ann, Use(label)) for label in ("โทรศัพท์", "printer"))
    for app_id in (phone, printer, ""):
        log.let_in(ann, app_id)
    log.world.revoke_app_password(ann, phone)
    log.world.set_password(ann)
    log.let_in(ann, phone)
    await folded(pool, log, batch)
    rows = await kept(pool)
    told = [(row.app_id, row.app_password) for row in rows if row.kind == "sign-in"]
    assert told == [(phone, "โทรศัพท์"), (printer, "printer"), ("", ""), (phone, "โทรศัพท์")]
    (password,) = [row for row in rows if row.kind == "password"]
    assert (password.account_id, password.identity) == (ann.account_id, "operator root")
    assert (password.agency_id, password.outcome) == (log.opm, "administrator")
    comparison = await rebuild(log.model, stored(log.world), pool)
    assert comparison.is_equal, comparison.different


async def test_a_time_is_read_from_its_first_moment_up_to_its_last(pool: Pool, log: Log) -> None:
    moments = [log.session(log.opm).at for _ in range(PAGE + 5)]
    await folded(pool, log)
    found = [row.at async for row in traffic_between(pool, moments[1], moments[-1])]
    assert found == moments[1:-1]


async def test_a_day_has_a_partition_that_goes_because_of_the_event(pool: Pool, log: Log) -> None:
    log.three_days()
    projection = await folded(pool, log)
    assert await TrafficDays(pool).first() == FIRST
    log.expire(FIRST + DAY)
    late = log.session(None)  # of the fourth day
    log.world.now -= 3 * DAY
    log.session(None)  # of a day that has expired, by a clock that is behind
    await projection.take(log.world.log)
    rows = await kept(pool)
    assert await TrafficDays(pool).first() == FIRST + 2 * DAY
    assert {row.day for row in rows} == {FIRST + 2 * DAY, late.at.astimezone(UTC).date()}


@pytest.mark.parametrize("days", [(), (0,), (0, 1), (5,)])
async def test_a_rebuild_is_equal_whatever_has_expired(pool: Pool, log: Log, days: Sequence[int]) -> None:
    log.three_days()
    for day in days:
        log.expire(FIRST + day * DAY)
        log.session(log.opm)
    await folded(pool, log)
    comparison = await rebuild(log.model, stored(log.world), pool)
    assert comparison.is_equal, comparison.different
    assert len(await kept(pool)) == comparison.live["traffic"].rows


@pytest.mark.parametrize("batch", [1, 1_000])
async def test_agencies_with_times_of_their_own_keep_and_lose_their_rows_alone(
    pool: Pool, log: Log, batch: int
) -> None:
    log.three_days()
    log.expire(FIRST + DAY, kept=(log.opm,))
    log.expire(FIRST, log.opm)
    today = log.world.now
    for days_ago in (3, 2):  # by clocks that are behind
        log.world.now = today - days_ago * DAY
        log.session(log.opm)
        log.sign_in()
    log.world.now = today
    projection = await folded(pool, log, batch)
    found = {(row.day, row.agency_id) for row in await kept(pool)}
    assert found == {
        (FIRST + DAY, log.opm),  # and the late one of that day
        *((FIRST + 2 * DAY, agency_id) for agency_id in (log.opm, log.opdc, None)),
    }
    assert len([row for row in await kept(pool, log.opm) if row.day == FIRST + DAY]) == 2
    assert await TrafficDays(pool).first() == FIRST + DAY, "the first day went with its last row"
    assert await TrafficDays(pool).expired() == {None: FIRST + DAY, log.opm: FIRST}
    log.expire(FIRST + DAY)  # it has no time of its own any more
    await projection.take(log.world.log)
    assert await TrafficDays(pool).first() == FIRST + 2 * DAY
    comparison = await rebuild(log.model, stored(log.world), pool)
    assert comparison.is_equal, comparison.different


async def test_splits_change_no_row(pool: Pool, log: Log) -> None:
    log.three_days()
    log.expire(FIRST)
    log.session(None)
    log.expire(FIRST, log.opdc)
    log.expire(FIRST + DAY, kept=(log.opm, log.opdc))
    log.session(log.opm)
    found = []
    for batch in (1, 3, 1_000):
        await folded(pool, log, batch)
        found.append(await tables(pool, log.model.schema))
        await drop(pool, log.model.schema)
    assert found[0] == found[1] == found[2]


async def test_what_a_destroyed_key_sealed_is_blank(pool: Pool, log: Log) -> None:
    log.session(log.opm)
    await log.world.keys.forget(f"traffic.{log.opm}.202611")
    await folded(pool, log)
    (row,) = await kept(pool)
    assert (row.remote_ip, row.remote_port, row.helo, row.tls, row.outcome) == ("", 0, "", "", "quit")


async def test_an_accounts_sign_ins_are_found_newest_first_page_by_page(pool: Pool, log: Log) -> None:
    for _ in range(3):
        for who in ("acc_a", "acc_b", "acc_a"):
            log.sign_in(AccountId(who))
        log.session(log.opm)
        log.world.now += DAY
    await folded(pool, log)
    async with pool.rows() as rows:
        found = await sign_ins_of(rows, AccountId("acc_a"))
        assert [row.position for row in found] == sorted((row.position for row in found), reverse=True)
        assert [row.day for row in found] == [FIRST + DAY * day for day in (2, 2, 1, 1, 0, 0)]
        assert {(row.protocol, row.remote_ip, row.outcome) for row in found} == {
            ("smtp", "192.0.2.7", "unknown")
        }
        paged, before = [], None
        while page := await sign_ins_of(rows, AccountId("acc_a"), before=before, limit=1):
            paged += page
            before = page[-1].day, page[-1].position
        assert paged == found
        assert await sign_ins_of(rows, AccountId("acc_c")) == []


async def test_no_day_is_kept_before_there_is_one(pool: Pool, log: Log) -> None:
    assert await TrafficDays(pool).first() is None
    await folded(pool, log)
    assert await TrafficDays(pool).first() is None
    assert await kept(pool) == []
