"""Account: who has mailboxes here, and by which addresses. Those and its name are sealed under its own key.

Source: architecture §4 (Sealed), §1 (base of UIDVALIDITY).
"""

from typing import ClassVar, Final, Literal, Self

from msgspec import Struct

from gateway.domain.aggregate import Aggregate, AggregateEvent, CreatedEvent
from gateway.domain.events import Stamp
from gateway.mail.ids import AccountId, AgencyId

QUOTA_OCTETS_MAX: Final = 1024**5  # a pebibyte: more is a slip of the pen
QUOTA_OCTETS_DEFAULT: Final = 10 * 1024**3

# An office's mailbox is read by several people (สารบรรณกลาง); a list's mail goes to its members.
AccountKind = Literal["person", "office", "list"]


# suspended: no sign-in, mail still comes in. closed: no sign-in, and its addresses are nobody's.
AccountStatus = Literal["active", "suspended", "closed"]

# What somebody may do here beyond having a mailbox; all but the operator's for one agency. Everybody is a
# member, which nobody grants. What each may do is said in gateway/processes/web/rights.py and nowhere else.
Role = Literal["operator", "agency-admin", "auditor", "helpdesk"]


class AccountSecret(Struct, frozen=True, omit_defaults=True):
    """Sealed under `account.<account_id>`, label `account:<account_id>`."""

    address: str  # as the administrator wrote it
    display_name: str = ""


class AccountCreated(CreatedEvent, frozen=True, kw_only=True):
    """account.<account_id>. base: Unix seconds of creation; mailboxes' UIDVALIDITY counts from there."""

    TOPIC: ClassVar[str] = "account.created/1"

    agency_id: AgencyId
    kind: AccountKind
    quota_octets: int
    base: int
    sealed: bytes  # AccountSecret


class ReasonSecret(Struct, frozen=True):
    """Why somebody lost or got back access. Sealed under its key, label `reason:<its id>`."""

    reason: str


class AccountSuspended(AggregateEvent, frozen=True, kw_only=True):
    """account.<account_id>: nobody signs in to it; its mail still comes in."""

    TOPIC: ClassVar[str] = "account.suspended/1"

    sealed: bytes  # ReasonSecret

    def apply(self, aggregate: "Account") -> None:
        aggregate.status = "suspended"


class AccountActivated(AggregateEvent, frozen=True, kw_only=True):
    """account.<account_id>: it was suspended, or closed: then the claim of its address is beside it."""

    TOPIC: ClassVar[str] = "account.activated/1"

    sealed: bytes  # ReasonSecret

    def apply(self, aggregate: "Account") -> None:
        aggregate.status = "active"


class AccountClosed(AggregateEvent, frozen=True, kw_only=True):
    """account.<account_id>: nobody signs in or writes to it; its addresses are released beside it.

    Its roles and its forwarding end, and do not come back with it.
    """

    TOPIC: ClassVar[str] = "account.closed/1"

    sealed: bytes  # ReasonSecret

    def apply(self, aggregate: "Account") -> None:
        aggregate.status = "closed"
        aggregate.aliases.clear()
        aggregate.roles.clear()
        aggregate.forwarding = None


class AliasAdded(AggregateEvent, frozen=True, kw_only=True):
    """account.<account_id>: mail to a further address is this account's too; its claim is beside it."""

    TOPIC: ClassVar[str] = "alias.added/1"

    name: str  # as in address.claimed

    def apply(self, aggregate: "Account") -> None:
        aggregate.aliases.add(self.name)


class AliasRemoved(AggregateEvent, frozen=True, kw_only=True):
    """account.<account_id>: a further address is not this account's any more; its release is beside it."""

    TOPIC: ClassVar[str] = "alias.removed/1"

    name: str

    def apply(self, aggregate: "Account") -> None:
        aggregate.aliases.remove(self.name)


class RoleGranted(AggregateEvent, frozen=True, kw_only=True):
    """account.<account_id>: its owner may do from now on what the role allows, in that agency."""

    TOPIC: ClassVar[str] = "role.granted/1"

    role: Role
    agency_id: AgencyId | None = None  # None: everywhere; an operator's alone
    sealed: bytes  # ReasonSecret

    def apply(self, aggregate: "Account") -> None:
        aggregate.roles.add((self.role, self.agency_id))


class RoleRevoked(AggregateEvent, frozen=True, kw_only=True):
    """account.<account_id>: its owner may not do any more what the role allowed."""

    TOPIC: ClassVar[str] = "role.revoked/1"

    role: Role
    agency_id: AgencyId | None = None
    sealed: bytes  # ReasonSecret

    def apply(self, aggregate: "Account") -> None:
        aggregate.roles.remove((self.role, self.agency_id))


class Account(Aggregate):
    TOPIC: ClassVar[str] = "account"

    def __init__(
        self, agency_id: AgencyId, kind: AccountKind, quota_octets: int, base: int, sealed: bytes
    ) -> None:
        self.agency_id = agency_id
        self.kind = kind
        self.quota_octets = quota_octets
        self.base = base
        self.sealed = sealed
        self.status: AccountStatus = "active"
        self.aliases: set[str] = set()  # names of its further addresses
        self.app_passwords: set[str] = set()  # ids of those that open something
        self.roles: set[tuple[Role, AgencyId | None]] = set()
        self.forwarding: tuple[bool, bytes] | None = None  # as in forwarding.set; None: it has no rule

    @classmethod
    def create(
        cls,
        account_id: AccountId,
        stamp: Stamp,
        *,
        agency_id: AgencyId,
        kind: AccountKind,
        quota_octets: int,
        sealed: bytes,
    ) -> Self:
        return cls.create_as(
            AccountCreated,
            account_id,
            stamp,
            agency_id=agency_id,
            kind=kind,
            quota_octets=quota_octets,
            base=int(stamp.at.timestamp()),
            sealed=sealed,
        )


def account_key_name(account_id: AccountId) -> str:
    """The KeyStore's name of the key that opens the account's share of history."""
    return f"account.{account_id}"


def account_label(account_id: AccountId) -> str:
    """The label under which AccountSecret is sealed."""
    return f"account:{account_id}"


def reason_label(originator_id: str) -> str:
    """The label under which a ReasonSecret is sealed."""
    return f"reason:{originator_id}"
