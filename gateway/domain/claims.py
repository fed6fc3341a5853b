"""Claims of domains: which agency has one, what it stands for, and what has become of it.

A domain that replaces another one has the other's addresses: each is claimed once, under the domain that all
its names come from (its stem), so that old and new address are one and the same, for ever and at one stroke.
Only the newest name takes new addresses.

Source: architecture §4, Subjects (one owner, always); ADR 0014.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from gateway.domain.addresses import DomainClaimed
from gateway.domain.events import Event
from gateway.mail.address import Address
from gateway.mail.ids import AgencyId


class DomainReplaced(Event, frozen=True, kw_only=True):
    """domain.<A-label>: its addresses are called by another domain from here on, and still by this one."""

    TOPIC: ClassVar[str] = "domain.replaced/1"

    domain: str
    successor: str  # A-labels, lower case; its claim is beside this


class DomainMoved(Event, frozen=True, kw_only=True):
    """domain.<A-label>: this agency's from here on, and so are accounts whose own addresses are in it."""

    TOPIC: ClassVar[str] = "domain.moved/1"

    domain: str
    agency_id: AgencyId  # whose it is now
    moved_from: AgencyId


class DomainReleased(Event, frozen=True, kw_only=True):
    """domain.<A-label>: no agency's from here on; it had no addresses."""

    TOPIC: ClassVar[str] = "domain.released/1"

    domain: str
    agency_id: AgencyId  # whose it was


@dataclass(frozen=True, slots=True)
class Claim:
    """A domain that an agency has, as its history tells of it. stem: its addresses are claimed there."""

    domain: str  # A-labels, lower case
    agency_id: AgencyId
    stem: str
    replaced_by: str = ""  # where new addresses are given out instead; "": here

    @property
    def is_alone(self) -> bool:
        """True when no other domain has its addresses too."""
        return self.stem == self.domain and not self.replaced_by

    def stem_of(self, address: Address) -> Address:
        """The one of its names under which an address in this domain is claimed and looked up."""
        return Address(address.normalise().local_part, self.stem)


def claim_told(events: Iterable[Event]) -> Claim | None:
    """Whose a domain is by its history; None: no agency's."""
    claim: Claim | None = None
    for event in events:
        match event:
            case DomainClaimed(domain=domain, agency_id=agency_id, stem=stem):
                claim = Claim(domain, agency_id, stem or domain)
            case DomainReplaced(successor=successor):
                assert claim is not None, event
                claim = replace(claim, replaced_by=successor)
            case DomainMoved(agency_id=agency_id):
                assert claim is not None, event
                claim = replace(claim, agency_id=agency_id)
            case DomainReleased():
                claim = None
            case _:
                raise AssertionError(event)
    return claim
