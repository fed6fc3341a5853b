"""What TLS with one host has to be, made ready for a connection: contexts, and how the host is looked at.

Source: RFC 7435 §3 (opportunistic), RFC 8461 §4.2 and RFC 7672 §3 (who the host is); ADR 0019.
"""

import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, cast

from gateway.domain.agency_tls import NO_TLS_POLICY, AgencyTls, client_key_name
from gateway.domain.dane import vouches
from gateway.domain.tls_policy import (
    NO_WORD,
    OPPORTUNISTIC,
    Demand,
    Failure,
    Verified,
    goes_by_word,
    tls_policy,
)
from gateway.ports import Clock, KeyForgotten, KeyStore
from gateway.processes.relay.words import NO_WORDS, Words
from gateway.protocols.smtp.client import TlsUse

CONTEXTS_MAX: Final = 1_000

# OpenSSL's X509_V_ERR_*.
_EXPIRED: Final = 10
_OTHER_NAME: Final = (62, 64)  # of a host, of an IP address


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the mails of a destination want of TLS, before anybody has asked about its host."""

    requires_tls: bool = False  # RFC 8689
    policy: AgencyTls = NO_TLS_POLICY
    is_optional: bool = False  # whatever domains demand (RFC 8689 §5)
    domain: str = ""  # whose mail host it is, in A-labels; "": somebody named the host


def opportunistic_context() -> ssl.SSLContext:
    """TLS with whoever answers: no name and no certificate is checked (RFC 7435 §3)."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _anybody(chain: Sequence[bytes]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Way:
    """One way of connecting. proves: whether the chain (DER) that a host showed is that of who is meant."""

    use: TlsUse
    context: ssl.SSLContext = field(repr=False)
    verified: Verified = "opportunistic"
    proves: Callable[[Sequence[bytes]], bool] = field(default=_anybody, repr=False)


@dataclass(frozen=True, slots=True)
class Secure:
    """What is demanded of a host, and the ways to try in turn, each when TLS by the one before failed."""

    demand: Demand
    ways: Sequence[Way]


def whoever(context: ssl.SSLContext) -> Secure:
    """TLS when it can be had, with anybody, and the clear when it fails."""
    return Secure(OPPORTUNISTIC, [Way(TlsUse.WHEN_OFFERED, context), Way(TlsUse.NEVER, context, "")])


class Securing:
    """Decides and prepares. anybody: of `opportunistic_context`. trusting: makes what verifies by the
    authorities of this machine and further ones (`verifying_context`)."""

    def __init__(
        self,
        keys: KeyStore,
        clock: Clock,
        anybody: ssl.SSLContext,
        trusting: Callable[[], ssl.SSLContext],
        words: Words = NO_WORDS,
    ) -> None:
        self._keys, self._clock, self._words = keys, clock, words
        self._anybody, self._make_trusting, self._trusting = anybody, trusting, trusting()
        self._made: dict[tuple[str, str], ssl.SSLContext] = {}  # by authorities and certificate

    async def secure(self, wanted: Wanted, host: str, port: int, *, is_vouched: bool = True) -> Secure:
        """For the next connection to a host, by its name. is_vouched: as in Target. Raises Unavailable."""
        at, word = self._clock.now(), NO_WORD
        if not wanted.is_optional and goes_by_word(wanted.policy, at, requires_tls=wanted.requires_tls):
            word = await self._words.of(host, port, wanted.domain, is_vouched=is_vouched)
        demand = tls_policy(
            wanted.policy,
            word,
            host=host,
            at=at,
            requires_tls=wanted.requires_tls,
            is_vouched=is_vouched,
        )
        open_ways = whoever(self._anybody).ways
        if demand.verified == "opportunistic":
            ways = [Way(TlsUse.ALWAYS, self._anybody)] if demand.is_binding else open_ways
            return Secure(demand, ways)
        if demand.verified == "dane":
            names = [host, wanted.domain] if wanted.domain else [host]  # RFC 7672 §3.2.2
            strict = Way(TlsUse.ALWAYS, self._anybody, "dane", partial(_vouched, demand, names, at))
        else:
            try:
                strict = Way(TlsUse.ALWAYS, await self._context(demand), demand.verified)
            except (KeyError, KeyForgotten, OSError, ValueError):  # ssl.SSLError is an OSError
                return Secure(replace(demand, unmet="own-certificate-invalid"), [])
        if demand.is_binding:
            return Secure(demand, [strict])
        return Secure(demand, open_ways if demand.unmet else [strict, *open_ways])

    async def _context(self, demand: Demand) -> ssl.SSLContext:
        """By whom the host is verified, and what we show to it."""
        if not demand.authorities and not demand.certificate:
            return self._trusting
        which = demand.authorities, demand.certificate
        if which not in self._made:
            made = await self._make(demand)
            if len(self._made) >= CONTEXTS_MAX:
                self._made.clear()
            self._made[which] = made
        return self._made[which]

    async def _make(self, demand: Demand) -> ssl.SSLContext:
        """Raises KeyError, KeyForgotten, OSError, ValueError for what cannot be used."""
        if demand.authorities:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the name
            context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
            context.load_verify_locations(cadata=demand.authorities)
            context.verify_flags |= (
                ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
            )  # a server's own certificate, too
        else:
            context = self._make_trusting()
        if demand.certificate:
            _show(context, demand.certificate, await self._keys.get(client_key_name(demand.certificate)))
        return context


def _show(context: ssl.SSLContext, chain: str, key: bytes) -> None:
    """Show this certificate. Python reads both from a file alone: one that is in memory, and no disk sees."""
    with os.fdopen(os.memfd_create("certificate", os.MFD_CLOEXEC), "wb") as file:
        file.write(key + b"\n" + chain.encode())
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password="")


def _vouched(demand: Demand, names: Sequence[str], at: datetime, chain: Sequence[bytes]) -> bool:
    return vouches(demand.tlsa, chain, names, at)


def chain_of(session: ssl.SSLObject) -> list[bytes]:
    """The certificates a host showed (DER), its own first."""
    # Public from Python 3.13 on, where it gives octets; before, a private name with objects.
    if (chain := getattr(session, "get_unverified_chain", None)) is not None:
        return list(chain())
    private = cast(Any, session)._sslobj.get_unverified_chain() or ()
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in private]


def failure_in(error: ssl.SSLCertVerificationError) -> Failure:
    """What is wrong with a certificate, as RFC 8460 §4.3 calls it."""
    if error.verify_code == _EXPIRED:
        return "certificate-expired"
    return "certificate-host-mismatch" if error.verify_code in _OTHER_NAME else "certificate-not-trusted"
