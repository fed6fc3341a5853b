"""MTA-STS: a DNS, a web server and mail hosts on loopback, with real certificates."""

import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.adapters.memory.keys import MemoryKeyStore
from gateway.adapters.resolver import DnsResolver
from gateway.adapters.sts_policy import PolicyHosts
from gateway.domain.mta_sts import POLICY_OCTETS_MAX, StsPolicy
from gateway.domain.targets import Target
from gateway.domain.tls_policy import NO_WORD, TlsSeen, Word
from gateway.processes.relay.connection import NoConnection, Timeouts, connect
from gateway.processes.relay.securing import Securing, Wanted, opportunistic_context
from gateway.processes.relay.words import AGAIN_S, FRESH_S, StsPolicies, Words
from gateway.processes.trusting import verifying_context
from tests.dns_server import DnsServer, dns_server
from tests.https_server import WebServer, web_server
from tests.processes.relay.authority import Authority, shown
from tests.processes.relay.host import Host
from tests.processes.relay.setting import RealClock

DOMAIN = "example.org"
TRUSTED, OTHERS = Authority("trusted"), Authority("another")
WEEK_S = 604_800


def policy(mode: str = "enforce", mx: str = "localhost", max_age_s: int = WEEK_S) -> bytes:
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age_s}\n".encode()


@dataclass
class World:
    """A domain with a policy, and a relay that goes by it."""

    names: DnsServer
    web: WebServer
    resolver: DnsResolver
    trusting: ssl.SSLContext
    clock: RealClock
    policies: StsPolicies
    securing: Securing

    def publish(self, identifier: str, octets: bytes) -> None:
        self.names.zone = f"mta-sts.{DOMAIN}. 0 IN A 127.0.0.1\n"
        if identifier:
            self.names.zone += f'_mta-sts.{DOMAIN}. 0 IN TXT "v=STSv1; id={identifier};"\n'
        self.web.body = octets

    async def of(self) -> Word:
        return await self.policies.of(DOMAIN)

    async def attempt(self, host: Host) -> tuple[str, TlsSeen]:
        """What a connection to a mail host of the domain comes to: the status of the refusal, "" for none."""
        async with host.listening():
            target = Target("localhost", host.hop.host, host.hop.port)
            secure = await self.securing.secure(Wanted(domain=DOMAIN), target.host, target.port)
            opened = await connect(target, hostname="mail.opm.go.th", secure=secure, timeouts=Timeouts(5, 5))
            if isinstance(opened, NoConnection):
                return str(opened.reply.status), opened.tls
            await opened.close()
            return "", opened.tls


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    file = tmp_path / "trusted.pem"
    file.write_text(TRUSTED.pem)
    clock, tls = RealClock(), shown(TRUSTED.sign(f"mta-sts.{DOMAIN}"), tmp_path)
    async with dns_server() as names, web_server(tls) as web:
        resolver, trusting = DnsResolver([names.address], try_s=0.5, lifetime_s=1), verifying_context(file)
        hosts = PolicyHosts(resolver, trusting, port=web.port)
        policies = StsPolicies(resolver, hosts, clock)
        securing = Securing(
            MemoryKeyStore(lambda octets: bytes(octets)),
            clock,
            opportunistic_context(),
            lambda: verifying_context(file),
            Words(None, policies),
        )
        made = World(names, web, resolver, trusting, clock, policies, securing)
        made.publish("1", policy())
        yield made


async def test_a_policy_is_fetched_once_for_its_id(world: World) -> None:
    for _ in range(3):
        assert await world.of() == Word(sts=StsPolicy("enforce", WEEK_S, ("localhost",)))
    assert world.web.asked == [(f"mta-sts.{DOMAIN}", "/.well-known/mta-sts.txt")]
    world.publish("2", policy("testing"))
    assert await world.of() == Word(sts=StsPolicy("testing", WEEK_S, ("localhost",)))
    assert len(world.web.asked) == 2


async def test_a_domain_without_a_record_is_not_asked_for_a_policy(world: World) -> None:
    world.publish("", policy())
    assert await world.of() == NO_WORD
    assert world.web.asked == []


async def test_what_was_had_holds_for_its_time_whatever_becomes_of_its_record(world: World) -> None:
    had = await world.of()
    world.publish("", b"")
    assert await world.of() == had
    world.names.failing.add(f"_mta-sts.{DOMAIN}")
    assert await world.of() == had
    world.clock.move(WEEK_S)
    assert await world.of() == NO_WORD


async def test_what_was_had_holds_when_the_new_one_cannot_be_had(world: World) -> None:
    had = await world.of()
    world.publish("2", b"<html>")
    assert await world.of() == had
    world.clock.move(WEEK_S)
    assert await world.of() == Word(sts_failure="sts-policy-invalid")


async def test_a_policy_is_looked_at_again_every_day(world: World) -> None:
    await world.of()
    world.clock.move(FRESH_S)
    world.web.body = policy("none")
    assert (await world.of()).sts == StsPolicy("none", WEEK_S, ("localhost",))


async def test_a_policy_that_ran_out_is_fetched_again(world: World) -> None:
    world.publish("1", policy(max_age_s=60))
    await world.of()
    world.clock.move(60)
    world.web.body = policy("testing", max_age_s=60)
    assert (await world.of()).sts == StsPolicy("testing", 60, ("localhost",))


FAULTS: dict[str, tuple[Callable[[WebServer], None], str]] = {
    "not there": (lambda web: setattr(web, "status", "404 Not Found"), "sts-policy-fetch-error"),
    "elsewhere": (lambda web: _move(web), "sts-policy-fetch-error"),
    "HTML": (lambda web: setattr(web, "kind", "text/html"), "sts-policy-fetch-error"),
    "too large": (
        lambda web: setattr(web, "body", policy() + b"x: y\n" * POLICY_OCTETS_MAX),
        "sts-policy-fetch-error",
    ),
    "no policy": (lambda web: setattr(web, "body", b"hello"), "sts-policy-invalid"),
}


def _move(web: WebServer) -> None:
    web.status, web.more = "301 Moved", (f"Location: https://localhost:{web.port}/",)


@pytest.mark.parametrize(("break_it", "failure"), FAULTS.values(), ids=FAULTS)
async def test_a_policy_that_cannot_be_had_holds_nobody_up_and_is_told(
    world: World, break_it: Callable[[WebServer], None], failure: str
) -> None:
    break_it(world.web)
    assert await world.of() == Word(sts_failure=failure)  # type: ignore[arg-type]
    assert await world.attempt(Host()) == ("", TlsSeen(failure=failure))  # type: ignore[arg-type]
    assert len(world.web.asked) == 1  # and it is not asked again so soon
    world.web.status, world.web.kind, world.web.more, world.web.body = "200 OK", "text/plain", (), policy()
    world.clock.move(AGAIN_S)
    assert (await world.of()).sts is not None


async def test_a_server_that_is_another_has_no_policy_of_the_domain(world: World, tmp_path: Path) -> None:
    for signed in (OTHERS.sign(f"mta-sts.{DOMAIN}"), TRUSTED.sign(DOMAIN), TRUSTED.sign(days=-1)):
        async with web_server(shown(signed, tmp_path)) as other:
            other.body = policy()
            hosts = PolicyHosts(world.resolver, world.trusting, port=other.port)
            policies = StsPolicies(world.resolver, hosts, world.clock)
            assert await policies.of(DOMAIN) == Word(sts_failure="sts-policy-fetch-error")
            assert other.asked == []


# What the policy says, what the host shows (None: no TLS), and what comes of it.
HOSTS: dict[str, tuple[bytes, Callable[[Path], Host], str, TlsSeen]] = {
    "enforce: kept": (policy(), lambda path: _host(path, TRUSTED), "", TlsSeen("TLS", "sts")),
    "enforce: another authority": (
        policy(),
        lambda path: _host(path, OTHERS),
        "4.7.5",
        TlsSeen(failure="certificate-not-trusted"),
    ),
    "enforce: another name": (
        policy(),
        lambda path: _host(path, TRUSTED, "mx.example"),
        "4.7.5",
        TlsSeen(failure="certificate-host-mismatch"),
    ),
    "enforce: expired": (
        policy(),
        lambda path: _host(path, TRUSTED, days=-1),
        "4.7.5",
        TlsSeen(failure="certificate-expired"),
    ),
    "enforce: no TLS": (policy(), lambda path: Host(), "4.7.4", TlsSeen(failure="starttls-not-supported")),
    "enforce: not one of the hosts": (
        policy(mx="*.example.org"),
        lambda path: _host(path, TRUSTED),
        "4.7.5",
        TlsSeen(failure="validation-failure"),
    ),
    "testing: kept": (policy("testing"), lambda path: _host(path, TRUSTED), "", TlsSeen("TLS", "sts")),
    "testing: another authority": (
        policy("testing"),
        lambda path: _host(path, OTHERS),
        "",
        TlsSeen("TLS", "opportunistic", "certificate-not-trusted"),
    ),
    "testing: no TLS": (
        policy("testing"),
        lambda path: Host(),
        "",
        TlsSeen(failure="starttls-not-supported"),
    ),
    "testing: not one of the hosts": (
        policy("testing", mx="*.example.org"),
        lambda path: _host(path, TRUSTED),
        "",
        TlsSeen("TLS", "opportunistic", "validation-failure"),
    ),
    "none": (policy("none"), lambda path: _host(path, OTHERS), "", TlsSeen("TLS", "opportunistic")),
}


def _host(folder: Path, authority: Authority, name: str = "localhost", *, days: int = 30) -> Host:
    return Host(tls=shown(authority.sign(name, days=days), folder))


@pytest.mark.parametrize(("octets", "make", "status", "seen"), HOSTS.values(), ids=HOSTS)
async def test_a_domains_policy_is_kept(
    world: World,
    tmp_path: Path,
    octets: bytes,
    make: Callable[[Path], Host],
    status: str,
    seen: TlsSeen,
) -> None:
    world.publish("1", octets)
    host = make(tmp_path)
    refused, had = await world.attempt(host)
    assert (refused, had.verified, had.failure) == (status, seen.verified, seen.failure)
    assert had.text.startswith(seen.text)
    assert bool(had.text) == bool(seen.text)
