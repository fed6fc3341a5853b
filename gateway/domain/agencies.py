"""What an administrator decides about an agency that is there: suspended and activated, who answers for it.

Source: architecture §4 (aggregates).
"""

from gateway.domain.account import Account
from gateway.domain.agency import Agency, AgencyActivated, AgencyContactSet, AgencySuspended
from gateway.domain.events import Stamp
from gateway.domain.histories import history_of
from gateway.domain.registration import Refused, Registration
from gateway.mail.address import Address
from gateway.mail.ids import AccountId


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


def set_contact(
    agency: Agency, position: int, account: Account, named: Address, stamp: Stamp
) -> Registration:
    """Mail to postmaster at the agency's domains goes to this account. named: as it was asked for.

    An account that is closed later is passed over. Raises Refused.
    """
    if account.agency_id != agency.id:
        raise Refused(f"{named} is no account of {agency.name}")
    if account.status == "closed":
        raise Refused("the account is closed")
    if agency.contact_id == account.id:
        raise Refused(f"{named} is the contact of {agency.name} already")
    agency.trigger(AgencyContactSet, stamp, account_id=AccountId(account.id))
    return _registration(agency, position)


def _registration(agency: Agency, position: int) -> Registration:
    """The agency's pending event, guarded by where its history ends."""
    history = history_of(agency.id)
    return Registration(agency.collect_facts(), {history: position}, {history: agency.version})
