"""The way to a destination: which hosts it leads to, and a connection to the first of them that takes mail.

Hosts are tried in turn within one attempt as long as they say nothing about the mail: no connection, no
greeting, no TLS where it is demanded (RFC 8461 §5.1, RFC 7672 §2.1.1, RFC 8689 §4.2.1). A mail that one of
them does not take now, one other host is asked to take.

Source: RFC 5321 §5.1; ADR 0018, 0022.
"""

import asyncio
import socket
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, assert_never

from gateway.domain.agency import NextHop
from gateway.domain.delivery import NO_ROUTE
from gateway.domain.dns import Answer
from gateway.domain.route import Health, Servers, in_turn
from gateway.domain.targets import (
    DNS_SILENT,
    TARGETS_MAX,
    Found,
    MailDomain,
    Reach,
    Target,
    literal_target,
    mail_hosts,
    targets,
)
from gateway.mail.networks import address_of, is_loopback
from gateway.mail.reply import Reply
from gateway.ports import Clock, Entropy, Resolver, Unavailable
from gateway.processes.patience import patiently
from gateway.processes.recent import Recent
from gateway.processes.relay.connection import (
    NO_CONNECTION,
    Connection,
    NoConnection,
    Timeouts,
    connect,
    is_about_mail,
)
from gateway.processes.relay.securing import Securing, Wanted
from gateway.processes.relay.sights import Sights
from gateway.processes.relay.tls_counts import TlsCounts
from gateway.protocols.smtp.transaction import Stage

SILENT_S: Final = 60.0
SILENT_MAX: Final = 10_000

# Who was named: a host, several of which any may have it, or a domain whose hosts the DNS names.
Goal = NextHop | Servers | MailDomain


def stays_here(goal: Goal | None) -> bool:
    """Whether mail for it does not leave this machine."""
    match goal:
        case NextHop():
            return is_loopback(goal.host)
        case Servers():
            return all(is_loopback(each.hop.host) for each in goal.hops)
        case MailDomain() | None:
            return False
        case _:
            assert_never(goal)


class MailHosts:
    """Where mail for domains goes, as the DNS has it now."""

    def __init__(self, resolver: Resolver, reach: Reach, entropy: Entropy) -> None:
        self._resolver, self._reach, self._entropy = resolver, reach, entropy

    async def of(self, domain: MailDomain) -> Sequence[Target] | Reply:
        if domain.literal is not None:
            return literal_target(domain.literal, self._reach)
        try:
            answer = await self._resolver.mx(domain.name)
        except Unavailable:
            return DNS_SILENT
        hosts = mail_hosts(domain.name, answer, self._entropy)
        if isinstance(hosts, Reply):
            return hosts
        names = [mx.host for mx in hosts]
        found = dict(zip(names, await asyncio.gather(*map(self._found, names)), strict=True))
        return targets(hosts, found, self._reach, self._entropy, is_vouched=answer.is_authenticated)

    async def _found(self, host: str) -> Found:
        v6, v4 = await asyncio.gather(
            _addresses(self._resolver.aaaa(host)), _addresses(self._resolver.a(host))
        )
        return Found(v6 or (), v4 or (), is_silent=v6 is None or v4 is None)


async def _addresses(asked: Awaitable[Answer[str]]) -> Sequence[str] | None:
    """None: the DNS cannot say."""
    try:
        return (await asked).records
    except Unavailable:
        return None


class Silence:
    """Which addresses did not answer a while ago: they are tried after those that may.

    Else each new connection to a domain would wait for a host that is away. Precedent: sendmail HostStatus,
    30 minutes; here a host that is back has its mail again in a minute.
    """

    def __init__(self, clock: Clock) -> None:
        self._recent = Recent[tuple[str, int], bool](clock, holds_s=SILENT_S, known_max=SILENT_MAX)

    def is_of(self, target: Target) -> bool:
        return bool(self._recent.get((target.address, target.port)))

    def last(self, found: Sequence[Target]) -> Sequence[Target]:
        """The same, those that are silent behind the others."""
        return sorted(found, key=self.is_of)

    def tell(self, target: Target, opened: Connection | NoConnection) -> None:
        is_silent = isinstance(opened, NoConnection) and opened.is_silence
        self._recent.keep((target.address, target.port), is_silent)


class Ways:
    """Connects for all destinations of one relay. mail_hosts: None: mail goes to next hops alone.

    sights: how agencies' servers are, as all relays have seen them; None: nobody remembers.
    """

    def __init__(
        self,
        *,
        hostname: str,
        securing: Securing,
        timeouts: Timeouts,
        tls_counts: TlsCounts,
        clock: Clock,
        entropy: Entropy,
        mail_hosts: MailHosts | None = None,
        sights: Sights | None = None,
    ) -> None:
        self._hostname, self._securing, self._timeouts = hostname, securing, timeouts
        self._tls_counts, self._clock, self._entropy = tls_counts, clock, entropy
        self._mail_hosts, self._sights = mail_hosts, sights
        self._silence = Silence(clock)

    async def connect(
        self, goal: Goal, wanted: Wanted, past: NextHop | None = None
    ) -> Connection | NoConnection:
        """A connection whose host takes mail; else why the last one tried does not.

        What is said for good is told only where no other host may take the mail in a minute. past: a host
        that is not asked, because it was.
        """
        opened = await (
            self._to_one_of(goal, wanted, past)
            if isinstance(goal, Servers)
            else self._to_first(goal, wanted, past)
        )
        if isinstance(opened, Connection):
            return opened
        passing = [refused for refused in opened if not is_about_mail(refused)]
        return (passing or opened)[-1]

    async def _to_first(
        self, goal: NextHop | MailDomain, wanted: Wanted, past: NextHop | None = None
    ) -> Connection | list[NoConnection]:
        """The first target that takes mail; else why none does, in turn."""
        found = await self._targets(goal)
        if isinstance(found, Reply):
            # What is said for good is about mail for the domain, not about a connection.
            stage = Stage.RCPT if found.is_permanent else Stage.GREETING
            return [NoConnection(found, stage, is_ours=True)]
        refusals = list[NoConnection]()
        in_turn = [target for target in self._silence.last(found) if host_of(target) != past]
        for place, target in enumerate(in_turn, 1):
            opened = await self._try(target, wanted)
            self._silence.tell(target, opened)
            if isinstance(opened, Connection):
                # Another address of the same host would say the same.
                others = [other for other in in_turn[place:] if not self._silence.is_of(other)]
                opened.is_last = all(host_of(other) == host_of(target) for other in others)
                return opened
            refusals.append(opened)
        return refusals or [NoConnection(NO_CONNECTION, Stage.GREETING, is_ours=True)]

    async def _to_one_of(
        self, servers: Servers, wanted: Wanted, past: NextHop | None
    ) -> Connection | list[NoConnection]:
        """The same of several servers, by chance and weight; what was seen of them, others are told."""
        known: Health = {}
        if self._sights is not None:
            with suppress(Unavailable):
                known = await self._sights.health([each.hop for each in servers.hops])
        seen, refusals = dict[NextHop, bool](), list[NoConnection]()
        hops = [hop for hop in in_turn(servers.hops, known, self._entropy) if hop != past]
        try:
            for place, hop in enumerate(hops, 1):
                opened = await self._to_first(hop, wanted)
                if isinstance(opened, Connection):
                    opened.is_last = all(hop in known and known[hop].is_silent for hop in hops[place:])
                    if hop in known and known[hop].is_silent:
                        seen[hop] = False  # else it is nothing new
                    return opened
                seen[hop] = all(refused.is_silence for refused in opened)
                refusals += opened
            return refusals or [NoConnection(NO_CONNECTION, Stage.GREETING, is_ours=True)]
        finally:
            if self._sights is not None and seen:
                with suppress(Unavailable):
                    await self._sights.see(seen)

    async def _try(self, target: Target, wanted: Wanted) -> Connection | NoConnection:
        asked = partial(self._securing.secure, wanted, target.host, target.port, is_vouched=target.is_vouched)
        secure = await patiently(self._clock, "secure", asked)
        opened = await connect(target, hostname=self._hostname, secure=secure, timeouts=self._timeouts)
        if opened.tls.failure or isinstance(opened, Connection):
            self._tls_counts.add(secure.demand, wanted.domain, target.host, opened.tls)
        return opened

    async def _targets(self, goal: NextHop | MailDomain) -> Sequence[Target] | Reply:
        match goal:
            case MailDomain():
                return NO_ROUTE if self._mail_hosts is None else await self._mail_hosts.of(goal)
            case NextHop():
                return await hop_targets(goal, self._timeouts.connect)
            case _:
                assert_never(goal)


def host_of(target: Target) -> NextHop:
    """The host, whichever its address."""
    return NextHop(target.host, target.port)


async def hop_targets(hop: NextHop, timeout_s: float) -> Sequence[Target] | Reply:
    """All addresses of a host that somebody named, as this machine knows them (/etc/hosts too)."""
    if address_of(hop.host) is not None:
        return [Target(hop.host, hop.host, hop.port, is_vouched=True)]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            found = await loop.getaddrinfo(hop.host, hop.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):  # UnicodeError: no name has such labels
        return NO_CONNECTION
    addresses = dict.fromkeys(str(socket_address[0]) for *_, socket_address in found)
    return [Target(hop.host, address, hop.port, is_vouched=True) for address in addresses][:TARGETS_MAX]
