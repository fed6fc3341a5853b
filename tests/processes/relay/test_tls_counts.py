"""How TLS went is told by sessions: each hour, and when a relay is told to stop."""

from datetime import UTC, datetime
from pathlib import Path

from gateway.domain.agency import NextHop
from gateway.domain.agency_tls import AgencyTls
from gateway.domain.events import Actor, By, Stamp
from gateway.domain.tls_policy import OPPORTUNISTIC, TlsSeen
from gateway.domain.tls_report import SESSIONS_MAX, TlsSessions, TlsSessionsCounted, tls_history
from gateway.processes.relay.tls_counts import KINDS_MAX, TlsCounts, seconds_left
from tests.processes.relay.authority import Authority, shown
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting
from tests.processes.world import DLD

AT = datetime(2026, 11, 28, 4, 59, 30, tzinfo=UTC)
STAMP = Stamp(AT, Actor("system", "relay"), By("relay", "1", "d"))


async def test_a_relay_tells_what_it_has_counted_when_it_stops(tmp_path: Path) -> None:
    setting = Setting()
    for policy in (AgencyTls(), AgencyTls("pinned", authorities=Authority().pem)):
        setting.queue.policies[DLD] = policy
        await setting.queued()
        async with Host(tls=shown(Authority().sign(), tmp_path)).listening() as host:
            host.hop = NextHop("localhost", host.hop.port)
            async with setting.relay(host):
                await setting.outcomes(1 if policy.use == "opportunistic" else 2)
    told = await setting.world.of(TlsSessionsCounted.TOPIC)
    assert [event.counts for event in told] == [
        (TlsSessions("localhost", "localhost", "nobody", 1),),
        (TlsSessions("localhost", "localhost", "agency", 1, "certificate-not-trusted"),),
    ]


def test_what_is_alike_is_counted_and_told_once() -> None:
    counts = TlsCounts(AT)
    had = TlsSeen("TLSv1.3 TLS_AES_256_GCM_SHA384", "opportunistic")
    for seen in (had, had, TlsSeen(), TlsSeen(failure="certificate-expired")):
        counts.add(OPPORTUNISTIC, "dld.go.th", "mx.dld.go.th", seen)
    (fact,) = counts.take(STAMP)
    assert isinstance(fact.event, TlsSessionsCounted)
    assert fact.subject == tls_history(AT.date())
    assert [(count.sessions, count.failure) for count in fact.event.counts] == [
        (2, ""),
        (1, "certificate-expired"),
        (1, "starttls-not-supported"),
    ]
    assert list(counts.take(STAMP)) == []


def test_there_is_an_end_to_kinds_and_none_is_lost_below_it() -> None:
    counts = TlsCounts(AT)
    for number in range(KINDS_MAX + 10):
        counts.add(OPPORTUNISTIC, "", f"mx{number}.example", TlsSeen("TLS"))
    facts = list(counts.take(STAMP))
    assert len(facts) == KINDS_MAX // SESSIONS_MAX


def test_counts_end_with_the_hour_so_that_none_is_of_two_days() -> None:
    assert seconds_left(AT) == 30
    assert seconds_left(datetime(2026, 11, 28, 5, tzinfo=UTC)) == 3_600
