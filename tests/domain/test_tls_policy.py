"""Whose word on TLS holds, and what it means when it is not kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from gateway.domain.agency_tls import AgencyTls
from gateway.domain.dns import Tlsa
from gateway.domain.mta_sts import StsPolicy
from gateway.domain.tls_policy import (
    NO_WORD,
    OPPORTUNISTIC,
    Demand,
    Failure,
    Whose,
    Word,
    refusal,
    tls_policy,
)

AT = datetime(2026, 11, 28, tzinfo=UTC)
HOST = "mx.dld.go.th"
NONE = AgencyTls()
REQUIRED = AgencyTls("required")
PINNED = AgencyTls("pinned", authorities="PEM")
MUTUAL = AgencyTls("mutual", certificate="OURS")
EXCEPTED = AgencyTls("required", exception_until=AT + timedelta(days=1))
OVER = AgencyTls("required", exception_until=AT)
TLSA, UNUSABLE = Tlsa(3, 1, 1, bytes(32)), Tlsa(0, 0, 1, bytes(32))
ENFORCE, TESTING = StsPolicy("enforce", 1, (HOST,)), StsPolicy("testing", 1, (HOST,))
OTHERS, OTHERS_TESTING = replace(ENFORCE, mx=("mx.example",)), replace(TESTING, mx=("mx.example",))
OFF = StsPolicy("none", 1, ())
DANE = Word((TLSA,))

BY_CA = Demand("agency", "ca", is_binding=True)
BY_PIN = Demand("agency", "pinned", is_binding=True, authorities="PEM")
BY_BOTH = Demand("agency", "ca", is_binding=True, certificate="OURS")
BY_DANE = Demand("dane", "dane", is_binding=True, tlsa=(TLSA,))
BY_STS = Demand("sts", "sts", is_binding=True)
WITHOUT = Demand("agency", "opportunistic", is_binding=False)
FORGED = Demand("dane", "dane", is_binding=True, unmet="dnssec-invalid")
STRICT = Demand("sender", "ca", is_binding=True)


def senders(demand: Demand) -> Demand:
    return replace(demand, whose="sender")


# agency, what DNS and domain say, and what is demanded of mails that require TLS and of those that do not.
TABLE: dict[str, tuple[AgencyTls, Word, Demand, Demand]] = {
    "nobody says anything": (NONE, Word(), OPPORTUNISTIC, STRICT),
    "no records (authenticated)": (NONE, Word(()), OPPORTUNISTIC, STRICT),
    "required": (REQUIRED, Word(), BY_CA, senders(BY_CA)),
    "pinned": (PINNED, Word(), BY_PIN, senders(BY_PIN)),
    "mutual": (MUTUAL, Word(), BY_BOTH, senders(BY_BOTH)),
    "an exception": (EXCEPTED, Word(), WITHOUT, senders(BY_CA)),
    "an exception that is over": (OVER, Word(), BY_CA, senders(BY_CA)),
    "the agency before DANE": (PINNED, DANE, BY_PIN, senders(BY_PIN)),
    "the agency before a forged answer": (REQUIRED, Word(failure="dnssec-invalid"), BY_CA, senders(BY_CA)),
    "an exception to DANE": (
        AgencyTls(exception_until=EXCEPTED.exception_until),
        DANE,
        WITHOUT,
        senders(BY_DANE),
    ),
    "DANE": (NONE, DANE, BY_DANE, senders(BY_DANE)),
    "DANE before MTA-STS": (NONE, Word((TLSA,), sts=ENFORCE), BY_DANE, senders(BY_DANE)),
    "records nobody can use": (
        NONE,
        Word((UNUSABLE,)),
        Demand("dane", "opportunistic", is_binding=True),
        STRICT,
    ),
    "a forged answer": (NONE, Word(failure="dnssec-invalid"), FORGED, senders(FORGED)),
    "MTA-STS": (NONE, Word(sts=ENFORCE), BY_STS, senders(BY_STS)),
    "MTA-STS means another host": (
        NONE,
        Word(sts=OTHERS),
        replace(BY_STS, unmet="validation-failure"),
        senders(replace(BY_STS, unmet="validation-failure")),
    ),
    "MTA-STS, testing": (NONE, Word(sts=TESTING), replace(BY_STS, is_binding=False), STRICT),
    "MTA-STS, testing, means another host": (
        NONE,
        Word(sts=OTHERS_TESTING),
        replace(BY_STS, is_binding=False, unmet="validation-failure"),
        STRICT,
    ),
    "MTA-STS, not to be had": (
        NONE,
        Word(sts_failure="sts-policy-fetch-error"),
        Demand("sts", "opportunistic", is_binding=False, unmet="sts-policy-fetch-error"),
        STRICT,
    ),
    "MTA-STS, none": (NONE, Word(sts=OFF), OPPORTUNISTIC, STRICT),
}


@pytest.mark.parametrize(("agency", "word", "demand", "strict"), TABLE.values(), ids=TABLE)
def test_whose_word_holds(agency: AgencyTls, word: Word, demand: Demand, strict: Demand) -> None:
    assert tls_policy(agency, word, host=HOST, at=AT) == demand
    assert tls_policy(agency, word, host=HOST, at=AT, requires_tls=True) == strict


UNPROVEN: dict[str, tuple[Word, Failure]] = {
    "nobody says it": (NO_WORD, "mail-host-unproven"),
    "MTA-STS does": (Word(sts=ENFORCE), ""),
    "MTA-STS does, in testing": (Word(sts=TESTING), ""),
    "MTA-STS says another": (Word(sts=OTHERS), "validation-failure"),
    "MTA-STS says another, in testing": (Word(sts=OTHERS_TESTING), "mail-host-unproven"),
    "MTA-STS is not to be had now": (Word(sts_failure="sts-policy-fetch-error"), "validation-failure"),
    "MTA-STS, none": (Word(sts=OFF), "mail-host-unproven"),
}


@pytest.mark.parametrize(("word", "unmet"), UNPROVEN.values(), ids=UNPROVEN)
def test_who_demands_tls_wants_to_know_whose_host_it_is(word: Word, unmet: Failure) -> None:
    """RFC 8689 §4.2.1: DNSSEC vouches for the MX records, or MTA-STS names the host."""
    asked = tls_policy(NONE, word, host=HOST, at=AT, requires_tls=True, is_vouched=False)
    assert (asked.whose, asked.is_binding, asked.unmet) == ("sender", True, unmet)
    assert tls_policy(NONE, word, host=HOST, at=AT, is_vouched=False) == tls_policy(
        NONE, word, host=HOST, at=AT
    )


FAILURES = [failure for failure in get_args(Failure) if failure]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("whose", [whose for whose in get_args(Whose) if whose != "sender"])
def test_whoever_else_demands_it_has_the_mail_wait(whose: Whose, failure: Failure) -> None:
    said = refusal(Demand(whose, "ca", is_binding=True), failure)
    assert (said.code, said.is_transient) == (451, True)
    assert str(said.status) == ("4.7.4" if failure == "starttls-not-supported" else "4.7.5")
    assert failure in said.text[0]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_senders_demand_is_never_lowered(failure: Failure) -> None:
    said = refusal(STRICT, failure)
    is_passing = failure in ("validation-failure", "dnssec-invalid", "own-certificate-invalid")
    assert str(said.status) == ("4.7.5" if is_passing else "5.7.30")
