"""The DNS, asked through resolvers that validate or do not.

Source: RFC 6840 §5.7 (AD in a query asks for AD in the answer), RFC 2308 §5 (how long "there is nothing" may
be kept), RFC 9210 (TCP after a truncated answer), resolv.conf(5).
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from gateway.domain.dns import Answer, Mx, R, Tlsa
from gateway.mail.networks import is_loopback
from gateway.ports import Unavailable

CACHE_ANSWERS_MAX: Final = 20_000
CACHE_S_MAX: Final = 86_400  # however long a TTL is; precedent: unbound cache-max-ttl
CACHE_NOTHING_S_MAX: Final = 300  # that there is nothing: without a SOA record there is no TTL
TRY_S: Final = 2.0  # for one server's answer, then the next is asked, and the first again
LIFETIME_S: Final = 10.0  # for all of it
UDP_OCTETS: Final = 1232  # what passes everywhere in one piece; larger answers come by TCP


class DnsResolver:
    """Implements the Resolver port. servers: addresses and ports; none: the machine's own.

    The AD bit is believed of servers that were named here, and of the machine's own when they are on
    loopback: on the way from any other somebody may have set it (RFC 4035 §4.9.3).
    """

    def __init__(
        self, servers: Sequence[tuple[str, int]] = (), *, try_s: float = TRY_S, lifetime_s: float = LIFETIME_S
    ) -> None:
        self._resolver = _resolver(servers)
        self._resolver.timeout, self._resolver.lifetime = try_s, lifetime_s
        machines = self._resolver.nameservers
        self.is_believed = bool(servers) or all(is_loopback(str(server)) for server in machines)

    async def mx(self, domain: str) -> Answer[Mx]:
        return await self._ask(domain, dns.rdatatype.MX, lambda r: Mx(r.preference, _text(r.exchange)))

    async def a(self, host: str) -> Answer[str]:
        return await self._ask(host, dns.rdatatype.A, lambda r: str(r.address))

    async def aaaa(self, host: str) -> Answer[str]:
        return await self._ask(host, dns.rdatatype.AAAA, lambda r: str(r.address))

    async def txt(self, name: str) -> Answer[bytes]:
        return await self._ask(name, dns.rdatatype.TXT, lambda r: b"".join(r.strings))

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        return await self._ask(
            name, dns.rdatatype.TLSA, lambda r: Tlsa(r.usage, r.selector, r.mtype, bytes(r.cert))
        )

    async def _ask(self, text: str, kind: dns.rdatatype.RdataType, value: Callable[[Any], R]) -> Answer[R]:
        try:
            name = dns.name.from_text(text.encode("ascii").decode("ascii"), dns.name.root)
        except (UnicodeError, dns.exception.DNSException):  # too long, an empty label: nobody can have it
            return Answer(text, (), exists=False)
        try:
            found = await self._resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            is_authenticated = all(map(self._vouches, error.kwargs["responses"].values()))
            return Answer(_text(name), (), exists=False, is_authenticated=is_authenticated)
        except dns.exception.DNSException as error:
            raise Unavailable("DNS", f"{dns.rdatatype.to_text(kind)} of {text}: {error}") from error
        records = tuple(value(record) for record in found.rrset or ())
        return Answer(_text(found.canonical_name), records, is_authenticated=self._vouches(found.response))

    def _vouches(self, response: dns.message.Message) -> bool:
        return self.is_believed and bool(response.flags & dns.flags.AD)


class _Cache(dns.resolver.LRUCache):
    """Keeps an answer no longer than is sensible."""

    def put(self, key: dns.resolver.CacheKey, value: dns.resolver.Answer) -> None:
        longest_s = CACHE_S_MAX if value.rrset is not None else CACHE_NOTHING_S_MAX
        value.expiration = min(value.expiration, time.time() + longest_s)
        super().put(key, value)


def _resolver(servers: Sequence[tuple[str, int]]) -> dns.asyncresolver.Resolver:
    try:
        resolver = dns.asyncresolver.Resolver(configure=not servers)
    except dns.resolver.NoResolverConfiguration:  # resolv.conf(5): then it is the one on this machine
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
    resolver.flags = dns.flags.RD | dns.flags.AD
    resolver.use_edns(0, 0, UDP_OCTETS)
    resolver.cache = _Cache(CACHE_ANSWERS_MAX)
    return resolver


def _text(name: dns.name.Name) -> str:
    """In small letters, without the last dot; the root is "."."""
    return name.canonicalize().to_text(omit_final_dot=True)
