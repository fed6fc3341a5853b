"""What an administrator decides about an agency that is there: suspended and activated again.

Source: architecture §4 (aggregates).
"""

from gateway.domain.agency import Agency, AgencyActivated, AgencySuspended
from gateway.domain.events import Stamp
from gateway.domain.histories import history_of
from gateway.domain.registration import Refused, Registration


def suspend_agency(agency: Agency, position: int, stamp: Stamp, *, reason: bytes) -> Registration:
    """None of its accounts signs in or sends. reason: of `seal_reason`. Raises Refused."""
    if agency.status == "suspended":
        raise Refused(f"{agency.name} is suspended already")
    agency.trigger(AgencySuspended, stamp, sealed=reason)
    return _registration(agency, position)


def activate_agency(agency: Agency, position: int, stamp: Stamp, *, reason: bytes) -> Registration:
    """Its accounts are what they are by themselves again. Raises Refused."""
    if agency.status == "active":
        raise Refused(f"{agency.name} is active already")
    agency.trigger(AgencyActivated, stamp, sealed=reason)
    return _registration(agency, position)


def _registration(agency: Agency, position: int) -> Registration:
    """The agency's pending event, guarded by where its history ends."""
    history = history_of(agency.id)
    return Registration(agency.collect_facts(), {history: position}, {history: agency.version})
