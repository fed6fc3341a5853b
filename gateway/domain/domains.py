"""What an operator decides about an agency's domains: claimed, replaced by a new name, moved, given up.

Source: ADR 0014; RFC 5890 §2.3.2.1 (A-labels, U-labels).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.domain.addresses import ADDRESS_RESTS, DomainClaimed
from gateway.domain.agency import Agency
from gateway.domain.claims import Claim, DomainMoved, DomainReleased, DomainReplaced
from gateway.domain.events import Fact, Stamp
from gateway.domain.group import GROUP_FACTS_MAX
from gateway.domain.histories import domain_history
from gateway.domain.registration import Refused, Registration, Unknown, check_open
from gateway.mail.ids import AgencyId

DOMAINS_MAX: Final = 100  # of an agency


@dataclass(frozen=True, slots=True)
class Stand:
    """A domain as it stands: its name in A-labels, its claim (None: no agency's), where its history ends."""

    domain: str
    claim: Claim | None
    position: int

    def of(self, agency: Agency) -> Claim:
        """Its claim by this agency. Raises Unknown."""
        if self.claim is None or self.claim.agency_id != agency.id:
            raise Unknown(f"{self.domain} is no domain of {agency.name}")
        return self.claim


def add_domain(agency: Agency, new: Stand, domains: int, stamp: Stamp) -> Registration:
    """A further domain with addresses of its own. domains: how many the agency has. Raises Refused."""
    if new.claim is not None and new.claim.agency_id == agency.id:
        raise Refused(f"{new.domain} is a domain of {agency.name} already")
    check_unclaimed(new)
    check_number(agency, domains)
    return _registration([_claimed(new.domain, AgencyId(agency.id), stamp)], [new])


def replace_domain(
    agency: Agency, old: Stand, new: Stand, domains: int, addresses: int, stamp: Stamp
) -> Registration:
    """All addresses of the old domain are called by the new one, and go on to be reached by the old one.

    domains: how many the agency has; addresses: of the new one, given out or resting. Raises Refused.
    """
    was = old.of(agency)
    if not agency.is_hosted:
        raise Refused(f"the mailboxes of {agency.name} are on {agency.relay_to}: add {new.domain} instead")
    if was.replaced_by:
        raise Refused(f"{old.domain} was replaced by {was.replaced_by} already: replace that one")
    if old.domain == new.domain:
        raise Refused(f"{old.domain} cannot replace itself")
    if new.claim is None or new.claim.agency_id != agency.id:
        check_unclaimed(new)
        check_number(agency, domains)
    elif not new.claim.is_alone:
        raise Refused(f"{new.domain} is another name of {new.claim.replaced_by or new.claim.stem} already")
    elif addresses:
        raise Refused(
            f"{addresses} addresses of {new.domain} are given out or rest, and might exist at both: "
            "name a domain without addresses"
        )
    claimed = _claimed(new.domain, AgencyId(agency.id), stamp, stem=was.stem)
    replaced = DomainReplaced(domain=old.domain, successor=new.domain, **stamp.fields())
    return _registration([claimed, Fact(domain_history(old.domain), replaced)], [new, old])


def remove_domain(agency: Agency, gone: Stand, domains: int, addresses: int, stamp: Stamp) -> Registration:
    """No agency's any more. domains: of the agency; addresses: given out or resting. Raises Refused.

    An account that somebody makes in the same moment is out of reach until the domain is added again.
    """
    claim = gone.of(agency)
    if not claim.is_alone:
        other = claim.replaced_by or claim.stem
        raise Refused(f"{gone.domain} and {other} are names of the same addresses: it stays")
    if addresses:
        raise Refused(
            f"{addresses} addresses of {gone.domain} are given out or rest: "
            f"close their accounts, and wait {ADDRESS_RESTS.days} days"
        )
    if domains <= 1:
        raise Refused(f"{gone.domain} is the last domain of {agency.name}: add another one first")
    released = DomainReleased(domain=gone.domain, agency_id=AgencyId(agency.id), **stamp.fields())
    return _registration([Fact(domain_history(gone.domain), released)], [gone])


@dataclass(frozen=True, slots=True)
class Moving:
    """What goes along with a domain. accounts: open ones; *_there: what the agency that gets it has.

    astray: an alias that would stay behind while its account moves, or move without it: account, alias.
    """

    accounts: int
    accounts_there: int
    domains_there: int
    astray: tuple[str, str] | None = None


def move_domain(
    agency: Agency,
    to: Agency,
    family: Sequence[Stand],
    moving: Moving,
    revocations: Sequence[Registration],
    stamp: Stamp,
) -> Registration:
    """Another agency gets a domain with all its names, and the accounts in it; all in one append.

    family: every domain with the same addresses. revocations: of the roles those accounts have in `agency`,
    which end. Mailboxes, quotas and what an account is are told in its own histories, and stay as they are.
    Raises Refused.
    """
    named = family[-1].domain
    if agency.id == to.id:
        raise Refused(f"{named} is a domain of {agency.name} already")
    if not agency.is_hosted or not to.is_hosted:
        elsewhere = to if agency.is_hosted else agency
        raise Refused(f"the mailboxes of {elsewhere.name} are on {elsewhere.relay_to}, not here")
    check_open(to)
    check_number(to, moving.domains_there + len(family) - 1)
    limit = to.limits.accounts_max
    if limit is not None and moving.accounts + moving.accounts_there > limit:
        raise Refused(
            f"{to.name} has {moving.accounts_there} accounts and may have {limit}: "
            f"{moving.accounts} more do not fit"
        )
    if moving.astray is not None:
        account, alias = moving.astray
        raise Refused(f"{account} has the alias {alias}, which is in another domain: take it away first")
    facts = [fact for each in revocations for fact in each.facts]
    if len(facts) + len(family) > GROUP_FACTS_MAX:
        raise Refused(f"{len(facts)} roles in {agency.name} would end with it: revoke some of them first")
    for stand in family:
        moved = DomainMoved(
            domain=stand.domain, agency_id=AgencyId(to.id), moved_from=AgencyId(agency.id), **stamp.fields()
        )
        facts.append(Fact(domain_history(stand.domain), moved))
    claims = _registration(facts, family)
    expected, versions = dict(claims.expected), dict[str, int]()
    for each in revocations:
        expected |= each.expected
        versions = {**each.versions, **versions}  # the first of an account's counts
    return Registration(claims.facts, expected, versions)


def check_unclaimed(new: Stand) -> None:
    """Raises Refused when an agency has the domain."""
    if new.claim is not None:
        raise Refused(f"the domain {new.domain} belongs to an agency already")


def check_number(agency: Agency, domains: int) -> None:
    """Raises Refused when the agency has as many domains as there may be."""
    if domains >= DOMAINS_MAX:
        raise Refused(f"{agency.name} has {domains} domains, and may have {DOMAINS_MAX}")


def _claimed(domain: str, agency_id: AgencyId, stamp: Stamp, *, stem: str = "") -> Fact:
    event = DomainClaimed(domain=domain, agency_id=agency_id, stem=stem, **stamp.fields())
    return Fact(domain_history(domain), event)


def _registration(facts: Sequence[Fact], stands: Sequence[Stand]) -> Registration:
    """Guarded by where the history of each domain ends."""
    return Registration(tuple(facts), {domain_history(each.domain): each.position for each in stands}, {})
