"""Claims: which account an address belongs to, which agency a domain belongs to; one owner, always.

Each address and each domain has a history of its own, guarded by its last position, so two
administrators who give it out at once cannot both succeed. An address is in the log as an HMAC and
sealed; a domain is public and stands in the clear.

Source: architecture §4, Subjects.
"""

from typing import ClassVar

from msgspec import Struct

from gateway.domain.events import Event
from gateway.mail.ids import AccountId, AgencyId


class AddressSecret(Struct, frozen=True):
    """Sealed under `account.<account_id>`, label `address:<account_id>`."""

    address: str  # normalised (`Address.normalise`), as it is looked up


class AddressClaimed(Event, frozen=True, kw_only=True):
    """address.<name>: the address is this account's from here on."""

    TOPIC: ClassVar[str] = "address.claimed/1"

    name: str  # HMAC of the normalised address under the site's address key
    account_id: AccountId
    agency_id: AgencyId
    sealed: bytes  # AddressSecret


class DomainClaimed(Event, frozen=True, kw_only=True):
    """domain.<A-label>: mail to this domain is this agency's from here on."""

    TOPIC: ClassVar[str] = "domain.claimed/1"

    domain: str  # A-labels, lower case
    agency_id: AgencyId


def address_label(account_id: AccountId) -> str:
    """The label under which AddressSecret is sealed."""
    return f"address:{account_id}"
