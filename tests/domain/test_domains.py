"""An agency's domains: what is decided about them, and what an address in one of them is claimed under."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from gateway.domain.agency import Agency, NextHop
from gateway.domain.claims import Claim, claim_told
from gateway.domain.domains import DOMAINS_MAX, Stand, add_domain, remove_domain, replace_domain
from gateway.domain.events import Actor, By, Stamp
from gateway.domain.registration import Refused, Registration
from gateway.mail.address import parse_address
from gateway.mail.ids import AgencyId

OPM, OPDC = AgencyId("ag_" + "1" * 26), AgencyId("ag_" + "2" * 26)
STAMP = Stamp(datetime(2026, 11, 28, tzinfo=UTC), Actor("operator", "root"), By("cli", "0", ""))


def agency(relay_to: NextHop | None = None) -> Agency:
    return Agency.create(OPM, STAMP, name="OPM", relay_to=relay_to)


def held(domain: str, agency_id: AgencyId = OPM, stem: str = "", replaced_by: str = "") -> Stand:
    return Stand(domain, Claim(domain, agency_id, stem or domain, replaced_by), 7)


def free(domain: str) -> Stand:
    return Stand(domain, None, 0)


def told(registration: Registration, domain: str) -> Claim | None:
    return claim_told(
        fact.event for fact in registration.facts if getattr(fact.event, "domain", "") == domain
    )


def test_a_new_name_has_the_addresses_of_the_old_one() -> None:
    decided = replace_domain(agency(), held("old.go.th"), free("new.go.th"), 1, 0, STAMP)
    claim = told(decided, "new.go.th")
    assert claim == Claim("new.go.th", OPM, "old.go.th")
    assert str(claim.stem_of(parse_address("Suda@New.go.th"))) == "suda@old.go.th"
    assert decided.expected == {"domain.new%2Ego%2Eth": 0, "domain.old%2Ego%2Eth": 7}


def test_a_second_new_name_has_them_too() -> None:
    second = held("second.go.th", stem="first.go.th")
    decided = replace_domain(agency(), second, free("third.go.th"), 2, 0, STAMP)
    assert told(decided, "third.go.th") == Claim("third.go.th", OPM, "first.go.th")


def test_a_domain_without_addresses_that_the_agency_has_may_replace_another() -> None:
    decided = replace_domain(agency(), held("old.go.th"), held("new.go.th"), DOMAINS_MAX, 0, STAMP)
    assert told(decided, "new.go.th") == Claim("new.go.th", OPM, "old.go.th")


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: add_domain(agency(), held("a.go.th"), 1, STAMP), "a.go.th is a domain of OPM already"),
    (
        lambda: add_domain(agency(), held("a.go.th", OPDC), 1, STAMP),
        "the domain a.go.th belongs to an agency",
    ),
    (lambda: add_domain(agency(), free("a.go.th"), 100, STAMP), "OPM has 100 domains, and may have 100"),
    (
        lambda: replace_domain(agency(), held("old.go.th"), held("new.go.th", OPDC), 1, 0, STAMP),
        "the domain new.go.th belongs to an agency already",
    ),
    (
        lambda: replace_domain(agency(), held("old.go.th", OPDC), free("new.go.th"), 1, 0, STAMP),
        "old.go.th is no domain of OPM",
    ),
    (
        lambda: replace_domain(agency(), held("old.go.th"), held("new.go.th"), 1, 3, STAMP),
        "3 addresses of new.go.th are given out or rest, and might exist at both",
    ),
    (
        lambda: replace_domain(
            agency(), held("a.go.th", replaced_by="b.go.th"), free("c.go.th"), 2, 0, STAMP
        ),
        "a.go.th was replaced by b.go.th already: replace that one",
    ),
    (
        lambda: replace_domain(agency(), held("c.go.th"), held("b.go.th", stem="a.go.th"), 3, 0, STAMP),
        "b.go.th is another name of a.go.th already",
    ),
    (
        lambda: replace_domain(agency(), held("a.go.th"), held("a.go.th"), 1, 0, STAMP),
        "a.go.th cannot replace itself",
    ),
    (
        lambda: replace_domain(agency(NextHop("mx", 25)), held("a.go.th"), free("b.go.th"), 1, 0, STAMP),
        "the mailboxes of OPM are on mx:25: add b.go.th instead",
    ),
    (lambda: remove_domain(agency(), held("a.go.th"), 1, 0, STAMP), "a.go.th is the last domain of OPM"),
    (lambda: remove_domain(agency(), held("a.go.th"), 2, 1, STAMP), "1 addresses of a.go.th are given out"),
    (
        lambda: remove_domain(agency(), held("b.go.th", stem="a.go.th"), 2, 0, STAMP),
        "b.go.th and a.go.th are names of the same addresses: it stays",
    ),
]


@pytest.mark.parametrize(("decide", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_does_not_fit_is_refused_in_one_sentence(decide: Callable[[], object], said: str) -> None:
    with pytest.raises(Refused) as refused:
        decide()
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_a_domain_that_was_given_up_is_nobodys_and_may_be_claimed_again() -> None:
    gone = remove_domain(agency(), held("a.go.th"), 2, 0, STAMP)
    claimed = add_domain(agency(), free("a.go.th"), 1, STAMP)
    assert claim_told([claimed.facts[0].event, gone.facts[0].event]) is None
    both = [claimed.facts[0].event, gone.facts[0].event, claimed.facts[0].event]
    assert claim_told(both) == Claim("a.go.th", OPM, "a.go.th")
