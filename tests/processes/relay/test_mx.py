"""Mail by the DNS: a DNS server and mail hosts on loopback, on one port at several addresses."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.adapters.resolver import DnsResolver
from gateway.adapters.sts_policy import PolicyHosts
from gateway.domain.events import Attempted, MailBounced, MailDeferred, MailRelayed
from gateway.domain.targets import Reach
from gateway.processes.relay.ways import SILENT_S, MailHosts
from gateway.processes.relay.words import NO_WORDS, StsPolicies, Words
from gateway.processes.trusting import verifying_context
from tests.dns_server import DnsServer, dns_server
from tests.https_server import web_server
from tests.processes.relay.authority import Authority, shown
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting
from tests.processes.relay.test_dane import record
from tests.processes.relay.test_sts import policy

LOOPBACK = (ip_network("127.0.0.0/8"),)
FIRST, SECOND, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"
ZONE = f"""
example.org.       60 IN MX 10 mx1.example.org.
example.org.       60 IN MX 20 mx2.example.org.
mx1.example.org.   60 IN A {FIRST}
mx2.example.org.   60 IN A {SECOND}
implicit.example.  60 IN A {FIRST}
null.example.      60 IN MX 0 .
ours.example.      60 IN MX 10 mail.opm.go.th.
ours.example.      60 IN MX 20 mx1.example.org.
bare.example.      60 IN MX 10 nowhere.example.org.
nowhere.example.org. 60 IN TXT "no address"
twice.example.     60 IN A {FIRST}
twice.example.     60 IN A {SECOND}
"""
AUTHORITY = Authority("the hosts'")
OWN = AUTHORITY.sign("mx1.example.org")


@pytest.fixture
async def names() -> AsyncIterator[DnsServer]:
    async with dns_server(ZONE) as server:
        yield server


@pytest.fixture
async def setting(names: DnsServer) -> Setting:
    return Setting()


@asynccontextmanager
async def by_dns(setting: Setting, names: DnsServer, *hosts: Host) -> AsyncIterator[None]:
    """A relay at work, with hosts at FIRST, SECOND, ... on one port; one that is None is away."""
    async with AsyncExitStack() as stack:
        port = 0
        for address, host in zip((FIRST, SECOND, THIRD), hosts, strict=False):
            await stack.enter_async_context(host.listening(address, port))
            port = host.hop.port
        resolver = DnsResolver([names.address])
        reach = Reach("mail.opm.go.th", inside=LOOPBACK, port=port)
        mail_hosts = MailHosts(resolver, reach, setting.world.entropy)
        words = Words(resolver) if setting.means.words is NO_WORDS else setting.means.words
        setting.means = replace(setting.means, mail_hosts=mail_hosts, words=words)
        await stack.enter_async_context(setting.relay())
        yield


async def outcome(setting: Setting, names: DnsServer, domain: str, *hosts: Host) -> Attempted:
    await setting.queued(f"bob@{domain}")
    async with by_dns(setting, names, *hosts):
        (concluded,) = await setting.outcomes(1)
    return concluded


# --- it gets there -----------------------------------------------------------------------------------------


async def test_mail_goes_to_the_first_mail_host(setting: Setting, names: DnsServer) -> None:
    first, second = Host(), Host()
    relayed = await outcome(setting, names, "Example.ORG", first, second)
    assert isinstance(relayed, MailRelayed)
    assert ([taken.rcpt_to for taken in first.taken], second.taken) == ([["bob@Example.ORG"]], [])
    assert (await setting.said(relayed)).remote_host == f"mx1.example.org[{FIRST}]:{first.hop.port}"


async def test_a_domain_without_mail_hosts_is_its_own(setting: Setting, names: DnsServer) -> None:
    host = Host()
    assert isinstance(await outcome(setting, names, "implicit.example", host), MailRelayed)
    assert len(host.taken) == 1


async def test_an_address_literal_is_gone_to(setting: Setting, names: DnsServer) -> None:
    host = Host()
    assert isinstance(await outcome(setting, names, f"[{FIRST}]", host), MailRelayed)
    assert host.taken[0].rcpt_to == [f"bob@[{FIRST}]"]


AWAY = {
    "says 421": Host(greeting="421 4.3.2 not now"),
    "says 554": Host(greeting="554 5.7.1 not to you"),
    "takes no mail, ever": Host(greeting="521 5.3.2 no mail here"),
    "hangs up": Host(says={"EHLO": "", "HELO": ""}),
    "refuses EHLO": Host(says={"EHLO": "451 4.3.0 no", "HELO": "451 4.3.0 no"}),
}


@pytest.mark.parametrize("first", AWAY.values(), ids=AWAY)
async def test_the_next_host_has_it_when_the_first_takes_no_mail_now(
    setting: Setting, names: DnsServer, first: Host
) -> None:
    second = Host()
    relayed = await outcome(setting, names, "example.org", first, second)
    assert isinstance(relayed, MailRelayed)
    assert (relayed.attempt, first.connections, len(second.taken)) == (1, 1, 1)
    assert (await setting.said(relayed)).remote_host.startswith(f"mx2.example.org[{SECOND}]")


async def test_the_next_address_of_one_host_has_it_too(setting: Setting, names: DnsServer) -> None:
    busy, ready = Host(greeting="421 not now"), Host()
    relayed = await outcome(setting, names, "twice.example", busy, ready)
    assert (type(relayed), len(ready.taken)) == (MailRelayed, 1)
    assert (await setting.said(relayed)).remote_host == f"twice.example[{SECOND}]:{ready.hop.port}"


async def test_a_host_that_was_away_is_asked_after_the_others_for_a_minute(
    setting: Setting, names: DnsServer
) -> None:
    first, second = Host(), Host(mails_per_connection=1)
    async with second.listening(SECOND):  # nobody is at the first yet
        port = second.hop.port
        resolver = DnsResolver([names.address])
        reach = Reach("mail.opm.go.th", inside=LOOPBACK, port=port)
        setting.means = replace(setting.means, mail_hosts=MailHosts(resolver, reach, setting.world.entropy))
        async with setting.relay():
            await setting.queued("bob@example.org")
            await setting.outcomes(1)
            async with first.listening(FIRST, port):
                await setting.queued("bob@example.org")
                await setting.outcomes(2)
                assert (first.connections, len(second.taken)) == (0, 2)
                setting.clock.move(SILENT_S)
                await setting.queued("bob@example.org")
                await setting.outcomes(3)
    assert (len(first.taken), len(second.taken)) == (1, 2)


async def test_each_domain_of_a_mail_has_its_own_way(setting: Setting, names: DnsServer) -> None:
    await setting.queued("a@example.org", "b@null.example", "c@example.org", "d@implicit.example")
    host = Host()
    async with by_dns(setting, names, host):
        outcomes = await setting.outcomes(3)
    assert sorted((type(o).__name__, o.recipients) for o in outcomes) == [
        ("MailBounced", (1,)),
        ("MailRelayed", (0, 2)),
        ("MailRelayed", (3,)),
    ]
    assert sorted(taken.rcpt_to for taken in host.taken) == [
        ["a@example.org", "c@example.org"],
        ["d@implicit.example"],
    ]


async def test_many_mails_for_a_domain_share_connections(setting: Setting, names: DnsServer) -> None:
    await setting.queued("bob@example.org", mails=30)
    host = Host()
    async with by_dns(setting, names, host):
        outcomes = await setting.outcomes(30)
    assert [type(outcome) for outcome in outcomes] == [MailRelayed] * 30
    assert host.connections <= setting.means.bounds.connections


# --- it does not -------------------------------------------------------------------------------------------

NOWHERE = {
    "no such domain": ("gone.example", MailBounced, 0, "5.1.2", "route"),
    "a null MX": ("null.example", MailBounced, 0, "5.1.10", "mailbox"),
    "only ourselves": ("ours.example", MailBounced, 0, "5.4.6", "network"),
    "no address": ("bare.example", MailBounced, 0, "5.4.4", "route"),
    "the DNS is silent": ("silent.example", MailDeferred, 0, "4.4.3", None),
}


@pytest.mark.parametrize(("domain", "kind", "code", "status", "reason"), NOWHERE.values(), ids=NOWHERE)
async def test_where_the_dns_leads_nowhere(
    setting: Setting,
    names: DnsServer,
    domain: str,
    kind: type[Attempted],
    code: int,
    status: str,
    reason: str | None,
) -> None:
    names.failing.add("silent.example")
    host = Host()
    concluded = await outcome(setting, names, domain, host)
    assert (type(concluded), concluded.code, concluded.status) == (kind, code, status)
    assert (await setting.said(concluded)).remote_host == ""
    assert host.connections == 0
    if isinstance(concluded, MailBounced):
        assert concluded.reason == reason


async def test_a_domain_that_points_into_our_house_gets_no_connection(
    setting: Setting, names: DnsServer
) -> None:
    await setting.queued("bob@example.org")
    host = Host()
    async with host.listening(FIRST):
        resolver = DnsResolver([names.address])
        reach = Reach("mail.opm.go.th", port=host.hop.port)
        setting.means = replace(setting.means, mail_hosts=MailHosts(resolver, reach, setting.world.entropy))
        async with setting.relay():
            (bounced,) = await setting.outcomes(1)
    assert (type(bounced), bounced.status, host.connections) == (MailBounced, "5.4.4", 0)


async def test_without_a_dns_to_go_by_there_is_no_route(setting: Setting) -> None:
    await setting.queued("bob@example.org")
    async with setting.relay():
        (deferred,) = await setting.outcomes(1)
    assert (type(deferred), deferred.status) == (MailDeferred, "4.4.4")


async def test_when_no_host_answers_the_mail_waits_and_says_who_was_asked_last(
    setting: Setting, names: DnsServer
) -> None:
    busy = Host(greeting="450 4.3.2 busy")
    deferred = await outcome(setting, names, "example.org", Host(greeting="521 no"), busy)
    assert (type(deferred), deferred.code, deferred.status) == (MailDeferred, 450, "4.3.2")
    assert (await setting.said(deferred)).remote_host == f"mx2.example.org[{SECOND}]:{busy.hop.port}"


# --- TLS ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("is_authenticating", "verified"), [(True, "dane"), (False, "opportunistic")])
async def test_dane_is_by_the_mail_hosts_name(
    setting: Setting, names: DnsServer, tmp_path: Path, is_authenticating: bool, verified: str
) -> None:
    names.is_authenticating = is_authenticating
    host = Host(tls=shown(OWN, tmp_path))
    await setting.queued("bob@example.org")
    async with by_dns(setting, names, host):
        names.zone += f"_{host.hop.port}._tcp.mx1.example.org. 60 IN TLSA {record(3, OWN.der)}\n"
        (relayed,) = await setting.outcomes(1)
    said = await setting.said(relayed)
    assert (type(relayed), said.verified) == (MailRelayed, verified)


async def test_a_host_that_is_not_who_dane_means_is_passed_over(
    setting: Setting, names: DnsServer, tmp_path: Path
) -> None:
    names.is_authenticating = True
    stranger, second = Host(tls=shown(Authority("another").sign(), tmp_path)), Host()
    await setting.queued("bob@example.org")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(by_dns(setting, names, stranger, second))
        names.zone += f"_{stranger.hop.port}._tcp.mx1.example.org. 60 IN TLSA {record(3, OWN.der)}\n"
        (relayed,) = await setting.outcomes(1)
    assert (type(relayed), stranger.taken, len(second.taken)) == (MailRelayed, [], 1)


POLICIES = {
    "meant": ("enforce", "mx1.example.org", "", "sts"),
    "not meant": ("enforce", "*.example.net", "4.7.5", ""),
    "not meant, only tested": ("testing", "*.example.net", "", "opportunistic"),
}


@pytest.mark.parametrize(("mode", "mx", "status", "verified"), POLICIES.values(), ids=POLICIES)
async def test_the_mta_sts_policy_of_a_domain_holds_for_its_hosts(
    setting: Setting, names: DnsServer, tmp_path: Path, mode: str, mx: str, status: str, verified: str
) -> None:
    trusted, host = tmp_path / "trusted.pem", Host(tls=shown(OWN, tmp_path))
    trusted.write_text(AUTHORITY.pem)
    names.zone += "mta-sts.example.org. 0 IN A 127.0.0.1\n"
    names.zone += '_mta-sts.example.org. 0 IN TXT "v=STSv1; id=1;"\n'
    async with web_server(shown(AUTHORITY.sign("mta-sts.example.org"), tmp_path)) as web:
        web.body = policy(mode, mx)
        resolver = DnsResolver([names.address])
        hosts = PolicyHosts(resolver, verifying_context(trusted), port=web.port)
        setting.means = replace(
            setting.means,
            words=Words(None, StsPolicies(resolver, hosts, setting.clock)),
            trusting=lambda: verifying_context(trusted),
        )
        concluded = await outcome(setting, names, "example.org", host)
    said = await setting.said(concluded)
    if status:
        assert (type(concluded), concluded.status, host.taken) == (MailDeferred, status, [])
    else:
        assert (type(concluded), said.verified) == (MailRelayed, verified)


@pytest.mark.parametrize("is_authenticating", [True, False])
async def test_a_mail_that_requires_tls_goes_only_to_hosts_that_are_proven(
    setting: Setting, names: DnsServer, tmp_path: Path, is_authenticating: bool
) -> None:
    """RFC 8689 §4.2.1."""
    names.is_authenticating = is_authenticating
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(AUTHORITY.pem)
    setting.means = replace(setting.means, trusting=lambda: verifying_context(trusted))
    host = Host(tls=shown(OWN, tmp_path), extensions=("PIPELINING", "REQUIRETLS"))
    await setting.queued("bob@example.org", requiretls=True)
    async with by_dns(setting, names, host):
        (concluded,) = await setting.outcomes(1)
    if is_authenticating:
        assert (type(concluded), len(host.taken)) == (MailRelayed, 1)
    else:
        said = await setting.said(concluded)
        assert (type(concluded), concluded.status, host.taken) == (MailBounced, "5.7.30", [])
        assert said.tls_failure == "mail-host-unproven"
