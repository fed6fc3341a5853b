"""Claims: which account an address belongs to, which agency a domain belongs to; one owner, always.

Each address and each domain has a history of its own, guarded by its last position, so two
administrators who give it out at once cannot both succeed. An address is in the log as an HMAC and
sealed; a domain is public and stands in the clear. An address that was given up rests: for some months
only the account that had it may take it back, so that nobody gets mail that was meant for somebody else.

Source: architecture §4, Subjects.
"""

from datetime import timedelta
from typing import ClassVar, Final

from msgspec import Struct

from gateway.domain.events import Event
from gateway.mail.ids import AccountId, AgencyId

# Half a year: who writes to an address that is gone has had a bounce by then and knows.
ADDRESS_RESTS: Final = timedelta(days=180)


class AddressSecret(Struct, frozen=True, omit_defaults=True):
    """Sealed under `account.<account_id>`, label `address:<account_id>`."""

    address: str  # normalised (`Address.normalise`), as it is looked up
    written: str = ""  # as the administrator wrote it, where that is another spelling


class AddressClaimed(Event, frozen=True, kw_only=True):
    """address.<name>: the address is this account's from here on."""

    TOPIC: ClassVar[str] = "address.claimed/1"

    name: str  # HMAC of the normalised address under the site's address key
    account_id: AccountId
    agency_id: AgencyId
    sealed: bytes  # AddressSecret
    is_alias: bool = False  # a further address of the account, beside the one it was made with


class AddressReleased(Event, frozen=True, kw_only=True):
    """address.<name>: nobody's from here on. It rests for ADDRESS_RESTS from `at`."""

    TOPIC: ClassVar[str] = "address.released/1"

    name: str
    account_id: AccountId  # whose it was


class DomainClaimed(Event, frozen=True, kw_only=True):
    """domain.<A-label>: mail to this domain is this agency's from here on."""

    TOPIC: ClassVar[str] = "domain.claimed/1"

    domain: str  # A-labels, lower case
    agency_id: AgencyId
    stem: str = ""  # the domain that its addresses are claimed under; "": itself (claims.py)


def address_label(account_id: AccountId) -> str:
    """The label under which AddressSecret is sealed."""
    return f"address:{account_id}"
