"""DANE at next hops: a DNS server and mail servers on loopback."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.adapters.resolver import DnsResolver
from gateway.domain.agency import NextHop
from gateway.domain.agency_tls import AgencyTls
from gateway.domain.events import Attempted, AttemptSecret, MailBounced, MailDeferred, MailRelayed
from gateway.processes.relay.words import Words
from tests.dns_server import DnsServer, dns_server
from tests.processes.relay.authority import Authority, Signed, shown
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting
from tests.processes.world import DLD

DLDS, OTHERS = Authority("DLD"), Authority("another")
OWN, STRANGER, EXPIRED = DLDS.sign(), OTHERS.sign(), DLDS.sign(days=-1)


def record(usage: int, der: bytes) -> str:
    return f"{usage} 0 1 {sha256(der).hexdigest()}"


@pytest.fixture
async def names() -> AsyncIterator[DnsServer]:
    async with dns_server("localhost. 60 IN A 127.0.0.1\n") as server:
        server.is_authenticating = True
        yield server


@pytest.fixture
async def setting(names: DnsServer) -> Setting:
    """A relay that believes this DNS."""
    setting = Setting()
    resolver = DnsResolver([names.address], try_s=0.5, lifetime_s=1)
    setting.means = replace(setting.means, words=Words(resolver))
    return setting


async def attempt(
    setting: Setting, names: DnsServer, host: Host, *records: str, **demanded: bool
) -> tuple[Attempted, AttemptSecret]:
    """What becomes of one mail for a host that has these TLSA records."""
    await setting.queued(**demanded)
    async with host.listening():
        host.hop = NextHop("localhost", host.hop.port)
        names.zone += "".join(f"_{host.hop.port}._tcp.localhost. 60 IN TLSA {text}\n" for text in records)
        async with setting.relay(host):
            (outcome,) = await setting.outcomes(1)
    return outcome, await setting.said(outcome)


@dataclass(frozen=True)
class Case:
    records: tuple[str, ...]
    shows: Signed | None
    verified: str = ""
    failure: str = ""
    status: str = "4.7.5"


CASES = {
    "its own certificate": Case((record(3, OWN.der),), OWN, "dane"),
    "its own, expired, which does not matter": Case((record(3, EXPIRED.der),), EXPIRED, "dane"),
    "another's": Case((record(3, OWN.der),), STRANGER, failure="certificate-not-trusted"),
    "one of two, the new one": Case((record(3, STRANGER.der), record(3, OWN.der)), OWN, "dane"),
    "its authority": Case((record(2, DLDS.der),), OWN, "dane"),
    "its authority, expired": Case((record(2, DLDS.der),), EXPIRED, failure="certificate-not-trusted"),
    "another authority": Case((record(2, OTHERS.der),), OWN, failure="certificate-not-trusted"),
    "no TLS": Case((record(3, OWN.der),), None, failure="starttls-not-supported", status="4.7.4"),
    "records nobody can use": Case((record(1, STRANGER.der),), OWN, "opportunistic"),
    "records nobody can use, no TLS": Case(
        (record(1, STRANGER.der),), None, failure="starttls-not-supported", status="4.7.4"
    ),
    "no records": Case((), STRANGER, "opportunistic"),
    "no records, no TLS": Case((), None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_the_dns_vouches_for(
    setting: Setting, names: DnsServer, tmp_path: Path, case: Case
) -> None:
    host = Host(tls=shown(case.shows, tmp_path) if case.shows else None)
    outcome, said = await attempt(setting, names, host, *case.records)
    assert (said.verified, said.tls_failure) == (case.verified, case.failure)
    if case.failure:
        assert isinstance(outcome, MailDeferred)
        assert (outcome.status, host.taken, "DANE" in said.reply_text) == (case.status, [], True)
    else:
        assert isinstance(outcome, MailRelayed)
        assert host.taken[0].was_tls == bool(case.verified)


async def test_what_dnssec_does_not_vouch_for_is_not_looked_at(
    setting: Setting, names: DnsServer, tmp_path: Path
) -> None:
    names.is_authenticating = False
    host = Host(tls=shown(STRANGER, tmp_path))
    relayed, said = await attempt(setting, names, host, record(3, OWN.der))
    assert isinstance(relayed, MailRelayed)
    assert said.verified == "opportunistic"


FAULTS: dict[str, Callable[[DnsServer, int], None]] = {
    "of its address": lambda names, port: names.failing.add("localhost"),
    "of its records": lambda names, port: names.failing.add(f"_{port}._tcp.localhost"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_an_answer_that_may_be_kept_from_us_has_the_mail_wait(
    setting: Setting, names: DnsServer, fault: Callable[[DnsServer, int], None]
) -> None:
    await setting.queued()
    async with Host().listening() as host:
        host.hop = NextHop("localhost", host.hop.port)
        fault(names, host.hop.port)
        async with setting.relay(host):
            (deferred,) = await setting.outcomes(1)
    assert isinstance(deferred, MailDeferred)
    assert (deferred.status, host.connections) == ("4.7.5", 0)
    assert (await setting.said(deferred)).tls_failure == "dnssec-invalid"


async def test_a_sender_that_demands_tls_may_have_it_by_dane(
    setting: Setting, names: DnsServer, tmp_path: Path
) -> None:
    host = Host(tls=shown(OWN, tmp_path), extensions=("REQUIRETLS",))
    relayed, said = await attempt(setting, names, host, record(3, OWN.der), requiretls=True)
    assert isinstance(relayed, MailRelayed)
    assert said.verified == "dane"


async def test_a_sender_that_demands_tls_gets_its_mail_back_where_dane_fails(
    setting: Setting, names: DnsServer, tmp_path: Path
) -> None:
    host = Host(tls=shown(STRANGER, tmp_path), extensions=("REQUIRETLS",))
    bounced, said = await attempt(setting, names, host, record(3, OWN.der), requiretls=True)
    assert isinstance(bounced, MailBounced)
    assert (bounced.status, said.tls_failure, host.taken) == ("5.7.30", "certificate-not-trusted", [])


async def test_the_agencys_own_word_comes_first(setting: Setting, names: DnsServer, tmp_path: Path) -> None:
    until = setting.clock.now() + timedelta(hours=1)
    setting.queue.policies[DLD] = AgencyTls(exception_until=until)
    relayed, said = await attempt(setting, names, Host(tls=shown(STRANGER, tmp_path)), record(3, OWN.der))
    assert isinstance(relayed, MailRelayed)
    assert (said.verified, names.asked) == ("opportunistic", [])


async def test_a_mail_that_is_to_arrive_in_any_case_does(
    setting: Setting, names: DnsServer, tmp_path: Path
) -> None:
    """RFC 8689 §5: the domain's demands are not for it; its agency's are."""
    host = Host(tls=shown(STRANGER, tmp_path))
    relayed, said = await attempt(setting, names, host, record(3, OWN.der), tls_optional=True)
    assert isinstance(relayed, MailRelayed)
    assert (said.verified, names.asked) == ("opportunistic", [])
    setting.queue.policies[DLD] = AgencyTls("required")
    await setting.queued(tls_optional=True)
    async with Host().listening() as other:
        other.hop = NextHop("localhost", other.hop.port)
        async with setting.relay(other):
            _, deferred = await setting.outcomes(2)
    assert isinstance(deferred, MailDeferred)
    assert deferred.status == "4.7.4"
