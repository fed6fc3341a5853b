"""What the DNS and its domain say about TLS with a host: DANE and MTA-STS, asked and kept.

Source: RFC 7672 §2.1, §2.2 (when TLSA records count, where they are); RFC 8461 §3.3, §5.1 and §10.2 (when a
policy is fetched, and how long it holds).
"""

import asyncio
import ipaddress
from dataclasses import dataclass, replace
from typing import Final
from weakref import WeakValueDictionary

from gateway.domain.dane import tlsa_name
from gateway.domain.mta_sts import StsPolicy, parse_policy, parse_record, record_name
from gateway.domain.tls_policy import NO_WORD, Failure, Word
from gateway.ports import Clock, Resolver, StsHosts, Unavailable
from gateway.processes import maillog

POLICIES_MAX: Final = 10_000  # domains; the one that holds longest unasked goes first
AGAIN_S: Final = 300.0  # RFC 8461 §3.3: after a failure, five minutes at least
FRESH_S: Final = 86_400.0  # §10.2: looked at every day, whatever its record says


@dataclass(frozen=True, slots=True)
class _Kept:
    """policy, identifier: the last that were had; None, "": none was. Times of the monotonic clock."""

    policy: StsPolicy | None
    identifier: str
    fetched_s: float
    asked_s: float  # when a fetch was tried last
    asked_for: str  # which identifier it was for
    failure: Failure = ""

    def holds(self, now_s: float) -> bool:
        return self.policy is not None and now_s < self.fetched_s + self.policy.max_age_s


class StsPolicies:
    """The policies of domains, fetched when their records say that they are new, and kept in memory."""

    def __init__(self, resolver: Resolver, hosts: StsHosts, clock: Clock) -> None:
        self._resolver, self._hosts, self._clock = resolver, hosts, clock
        self._kept: dict[str, _Kept] = {}
        self._locks = WeakValueDictionary[str, asyncio.Lock]()  # each as long as somebody holds or wants it

    async def of(self, domain: str) -> Word:
        """A policy that holds, and no DANE. One that was had holds for its time, whatever is there now."""
        lock = self._locks.setdefault(domain, asyncio.Lock())
        async with lock:
            kept = await self._refreshed(domain)
        if kept is None:
            return NO_WORD
        if kept.holds(self._clock.monotonic()):
            return Word(sts=kept.policy)
        return Word(sts_failure=kept.failure)

    async def _refreshed(self, domain: str) -> _Kept | None:
        kept, now_s = self._kept.get(domain), self._clock.monotonic()
        try:
            identifier = parse_record((await self._resolver.txt(record_name(domain))).records)
        except Unavailable:
            identifier = None  # somebody may keep the record from us: what was had holds
        if identifier is None:
            return kept if kept and kept.holds(now_s) else None
        if kept is not None:
            is_same = kept.identifier == identifier and kept.holds(now_s)
            if is_same and now_s < kept.fetched_s + FRESH_S:
                return kept
            if kept.asked_for == identifier and kept.failure and now_s < kept.asked_s + AGAIN_S:
                return kept
        found = await self._fetched(domain, identifier, kept)
        if len(self._kept) >= POLICIES_MAX:
            del self._kept[min(self._kept, key=lambda name: self._kept[name].asked_s)]
        self._kept[domain] = found
        return found

    async def _fetched(self, domain: str, identifier: str, kept: _Kept | None) -> _Kept:
        failure: Failure = "sts-policy-fetch-error"
        try:
            octets = await self._hosts.fetch(domain)
            failure = "sts-policy-invalid"
            policy = parse_policy(octets)
        except (Unavailable, ValueError) as error:
            maillog.sts_policy_unusable(domain=domain, failure=failure, reason=str(error))
            now_s = self._clock.monotonic()
            before = kept or _Kept(None, "", now_s, now_s, identifier)
            return replace(before, asked_s=now_s, asked_for=identifier, failure=failure)
        now_s = self._clock.monotonic()
        return _Kept(policy, identifier, now_s, now_s, identifier)


class Words:
    """resolver: one that tells what DNSSEC vouches for; None: nobody does, and DANE is not asked for."""

    def __init__(self, resolver: Resolver | None = None, policies: StsPolicies | None = None) -> None:
        self._resolver, self._policies = resolver, policies

    async def of(self, host: str, port: int, domain: str = "", *, is_vouched: bool = True) -> Word:
        """host: by its name or address. domain: whose mail host it is; "": somebody named the host.

        is_vouched: False where the host's name may be forged: its records prove nothing (RFC 7672 §2.2.1).
        """
        word = await self._dane(host, port) if is_vouched else NO_WORD
        if word.tlsa or word.failure or not domain or self._policies is None:
            return word
        return await self._policies.of(domain)

    async def _dane(self, host: str, port: int) -> Word:
        """RFC 7672 §2.2.2: records count where the host's addresses are authenticated as well."""
        if self._resolver is None or _is_address(host):
            return NO_WORD
        try:
            found = [await self._resolver.a(host), await self._resolver.aaaa(host)]
            having = [answer for answer in found if answer.records]
            if not having or not all(answer.is_authenticated for answer in having):
                return NO_WORD
            for name in dict.fromkeys((having[0].name, host)):  # §2.2.3: where a CNAME leads comes first
                answer = await self._resolver.tlsa(tlsa_name(name, port))
                if answer.is_authenticated and answer.records:
                    return Word(answer.records)
        except Unavailable:
            return Word(failure="dnssec-invalid")  # §2.1.2: it may be kept from us
        return NO_WORD


NO_WORDS: Final = Words()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
