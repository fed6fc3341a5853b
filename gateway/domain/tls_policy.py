"""Whose word on TLS holds for a next hop, what it demands, and what it means when that is not had.

REQUIRETLS comes before the agency's own word, that before DANE, DANE before MTA-STS, and where nobody
says anything TLS is opportunistic. Nothing here is ever less than what somebody before it demands.

Source: RFC 8689 §4.2.1 (REQUIRETLS), RFC 7672 §2.2 (DANE; unusable records), RFC 8461 §2 (DANE comes
before MTA-STS) and §5 (modes), RFC 7435 (opportunistic), RFC 8460 §4.3 (how failures are called).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from msgspec import structs

from gateway.domain.agency_tls import NO_TLS_POLICY, AgencyTls
from gateway.domain.dane import usable
from gateway.domain.dns import Tlsa
from gateway.domain.mta_sts import StsPolicy
from gateway.mail.reply import Reply, reply

Whose = Literal["sender", "agency", "dane", "sts", "nobody"]
# By what a host has shown that it is the one that is meant; opportunistic: by nothing; "": there is no TLS.
Verified = Literal["", "opportunistic", "ca", "pinned", "dane", "sts"]
Failure = Literal[
    "",
    "starttls-not-supported",
    "certificate-host-mismatch",
    "certificate-expired",
    "certificate-not-trusted",
    "validation-failure",
    "dnssec-invalid",
    "sts-policy-fetch-error",
    "sts-policy-invalid",
    "own-certificate-invalid",  # ours: not of RFC 8460, nor is the next
    "mail-host-unproven",
]
# What may be gone in a minute; the rest is as it is until somebody changes it.
_PASSING: Final[tuple[Failure, ...]] = ("validation-failure", "dnssec-invalid", "own-certificate-invalid")


@dataclass(frozen=True, slots=True)
class TlsSeen:
    """What was had of a host. text: version and cipher, "" in the clear. failure: what was not had."""

    text: str = ""
    verified: Verified = ""
    failure: Failure = ""


NO_TLS_SEEN: Final = TlsSeen()


@dataclass(frozen=True, slots=True)
class Demand:
    """What TLS with a host has to be.

    is_binding: no mail goes without it; else it goes all the same, and what failed is recorded. unmet: what
    is known to fail before anybody has connected. authorities, certificate: as in AgencyTls.
    """

    whose: Whose
    verified: Verified
    is_binding: bool
    authorities: str = ""
    certificate: str = ""
    tlsa: tuple[Tlsa, ...] = ()
    unmet: Failure = ""


OPPORTUNISTIC: Final = Demand("nobody", "opportunistic", is_binding=False)


@dataclass(frozen=True, slots=True)
class Word:
    """What the DNS and a domain's policy say about a host.

    tlsa: of an authenticated answer; None: there is none. failure: the answer may be forged, or another one
    was kept from us. sts: of the domain whose mail host it is, as long as it holds; None: it has none, or
    sts_failure: one that could not be had, which holds nobody up (RFC 8461 §5.1).
    """

    tlsa: Sequence[Tlsa] | None = None
    failure: Failure = ""
    sts: StsPolicy | None = None
    sts_failure: Failure = ""


NO_WORD: Final = Word()


def tls_policy(
    agency: AgencyTls = NO_TLS_POLICY,
    word: Word = NO_WORD,
    *,
    host: str,
    at: datetime,
    requires_tls: bool = False,
    is_vouched: bool = True,
) -> Demand:
    """What is demanded of a host. requires_tls: by senders of the mails that go there (RFC 8689).

    word: NO_WORD for mails whose senders want them to arrive all the same (RFC 8689 §5). is_vouched: as in
    Target; where it is not, the domain's MTA-STS policy has to name the host to who demands TLS (§4.2.1).
    """
    demand = _agencys(agency, at) or _danes(word) or _domains(word, host) or OPPORTUNISTIC
    if not requires_tls:
        return demand
    # No exception and no test is for a sender that demands TLS (RFC 8689 §4.2.1).
    always = structs.replace(agency, exception_until=None)
    stated = (_agencys(always, at), _danes(word), _domains(word, host))
    proving = (each for each in stated if each and each.is_binding and each.verified != "opportunistic")
    found = replace(next(proving, Demand("sender", "ca", is_binding=True)), whose="sender")
    if is_vouched or found.unmet or (word.sts and word.sts.mode != "none" and word.sts.allows(host)):
        return found
    return replace(found, unmet="validation-failure" if word.sts_failure else "mail-host-unproven")


def _agencys(agency: AgencyTls, at: datetime) -> Demand | None:
    if agency.exception_until is not None and at < agency.exception_until:
        return Demand("agency", "opportunistic", is_binding=False)
    match agency.use:
        case "opportunistic":
            return None
        case "required":
            return Demand("agency", "ca", is_binding=True)
        case "pinned" | "mutual":
            verified: Verified = "pinned" if agency.authorities else "ca"
            return Demand(
                "agency",
                verified,
                is_binding=True,
                authorities=agency.authorities,
                certificate=agency.certificate,
            )


def _danes(word: Word) -> Demand | None:
    """RFC 7672 §2.2: records that nobody can use still demand TLS, with anybody."""
    if word.failure:
        return Demand("dane", "dane", is_binding=True, unmet=word.failure)
    if not word.tlsa:
        return None
    records = usable(word.tlsa)
    return Demand("dane", "dane" if records else "opportunistic", is_binding=True, tlsa=records)


def _domains(word: Word, host: str) -> Demand | None:
    if word.sts is None:
        failure = word.sts_failure
        return Demand("sts", "opportunistic", is_binding=False, unmet=failure) if failure else None
    if word.sts.mode == "none":
        return None
    unmet: Failure = "" if word.sts.allows(host) else "validation-failure"
    return Demand("sts", "sts", is_binding=word.sts.mode == "enforce", unmet=unmet)


def goes_by_word(agency: AgencyTls, at: datetime, *, requires_tls: bool) -> bool:
    """False where the DNS and domains need not be asked: the agency says it all."""
    if requires_tls:
        agency = structs.replace(agency, exception_until=None)
    return _agencys(agency, at) is None


# --- what it means when it is not had -----------------------------------------------------------------------


_WHO: Final[dict[Whose, str]] = {
    "sender": "its sender demands TLS",
    "agency": "the TLS policy of its agency",
    "dane": "DANE",
    "sts": "the MTA-STS policy of its domain",
    "nobody": "nobody",
}
_WHAT: Final[dict[Failure, str]] = {
    "starttls-not-supported": "the host does not offer TLS",
    "certificate-host-mismatch": "the host's certificate is for another name",
    "certificate-expired": "the host's certificate has expired",
    "certificate-not-trusted": "nobody who is trusted vouches for the host's certificate",
    "validation-failure": "the host could not be verified",
    "dnssec-invalid": "the DNS gives no answer that can be trusted",
    "sts-policy-fetch-error": "the policy cannot be fetched",
    "sts-policy-invalid": "the policy cannot be read",
    "own-certificate-invalid": "the certificate we are to show to the host cannot be used",
    "mail-host-unproven": "neither DNSSEC nor MTA-STS proves that the host is one of the domain's",
}


def refusal(demand: Demand, failure: Failure) -> Reply:
    """What is said to mails for a host that failed what was demanded.

    A sender's demand is never lowered: the mail goes back, unless TLS may be had in a minute. Whoever else
    demands it has the mail wait: the host may be mended before the mail's time is over (RFC 8461 §5.1,
    RFC 7672 §2.1.3). 4.7.4: TLS is not offered; 4.7.5: it failed.
    """
    assert failure, demand
    if demand.whose == "sender" and failure not in _PASSING:
        return reply(
            550, "5.7.30", f"REQUIRETLS support required: {_WHAT[failure]} ({failure})"
        )  # RFC 8689 §6
    status = "4.7.4" if failure == "starttls-not-supported" else "4.7.5"
    return reply(451, status, f"{_WHAT[failure]} ({_WHO[demand.whose]}; {failure})")
