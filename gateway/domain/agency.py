"""Agency: an organisation whose domains are ours to serve, with mailboxes here or a mail server of its own.

Source: architecture §4 (aggregates); issue 1/9, section 5.
"""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from msgspec import Struct

from gateway.domain.agency_tls import NO_TLS_POLICY
from gateway.domain.aggregate import Aggregate, AggregateEvent, CreatedEvent
from gateway.domain.events import Instant, Stamp
from gateway.domain.trial import Trial
from gateway.mail.ids import AccountId, AgencyId

if TYPE_CHECKING:
    from gateway.domain.route import Route, WayName

ATTACHMENT_OCTETS_MAX: Final = 26_214_400  # 25 MiB, what people know from elsewhere

# suspended, expired (a trial that has ended): none of its accounts signs in or sends, mail still comes in.
# closing: it has been exported, as far as its messages are there.
# closed: its accounts are, and no mail comes in.
AgencyStatus = Literal["trial", "active", "suspended", "expired", "closing", "closed"]


# Where its accounts may forward their mail: nowhere, to agencies of this gateway, or to any address.
ForwardingPolicy = Literal["none", "inside", "anywhere"]
FORWARDING_DEFAULT: Final[ForwardingPolicy] = "inside"


class NextHop(Struct, frozen=True):
    """Where an agency's own mail server listens."""

    host: str  # name or IP address
    port: int  # 1..65535

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Limits(Struct, frozen=True):
    """What an agency may use; never more than the gateway allows. None: as much as that."""

    accounts_max: int | None = None  # open ones; None: any number
    recipients_max: int | None = None  # of one mail
    message_octets_max: int | None = None  # of one message as sent
    attachment_octets_max: int | None = ATTACHMENT_OCTETS_MAX  # of one attachment, decoded
    trace_days: int | None = None  # how long its traffic log is kept; None: as long as the gateway's
    relay_connections_max: int | None = None  # at once to its next hop, of all relays together
    relay_mails_a_minute: int | None = None  # to its next hop, likewise


class IdentityProvider(Struct, frozen=True, omit_defaults=True):
    """Where an agency's people prove who they are (OpenID Connect)."""

    issuer: str  # its URL, exactly as in its tokens
    audience: str  # for whom its tokens have to be
    client_id: str = ""  # ours there, to ask about tokens (RFC 7662); "": its keys alone are looked at
    claim: str = "email"  # which claim is the person's address here


class AgencyCreated(CreatedEvent, frozen=True, kw_only=True):
    """agency.<agency_id>. relay_to: the next hop of its mail; None: its mailboxes are here.

    trial_ends_at: None: it is no trial.
    """

    TOPIC: ClassVar[str] = "agency.created/1"

    name: str
    relay_to: NextHop | None = None
    trial_ends_at: Instant | None = None


class AgencyRenamed(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: this is its name from here on; what happened before keeps the one of its time."""

    TOPIC: ClassVar[str] = "agency.renamed/1"

    name: str

    def apply(self, aggregate: "Agency") -> None:
        aggregate.name = self.name


class AgencySuspended(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: none of its accounts signs in or sends; their mail still comes in."""

    TOPIC: ClassVar[str] = "agency.suspended/1"

    sealed: bytes  # ReasonSecret, under `agency.<agency_id>`

    def apply(self, aggregate: "Agency") -> None:
        aggregate.is_suspended = True


class AgencyActivated(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: its accounts are what they are by themselves again, or it is a trial no more.

    A trial that was suspended goes on as a trial; one that was not is active for good.
    """

    TOPIC: ClassVar[str] = "agency.activated/1"

    sealed: bytes  # ReasonSecret, under `agency.<agency_id>`

    def apply(self, aggregate: "Agency") -> None:
        if aggregate.is_suspended:
            aggregate.is_suspended = False
        else:
            aggregate.trial = None


class AgencyContactSet(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: mail to postmaster at its domains goes to this account (RFC 5321 §4.5.1)."""

    TOPIC: ClassVar[str] = "agency.contact_set/1"

    account_id: AccountId

    def apply(self, aggregate: "Agency") -> None:
        aggregate.contact_id = self.account_id


class AgencyLimitsSet(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: these hold from here on, all of them, whatever was set before."""

    TOPIC: ClassVar[str] = "agency.limits_set/1"

    limits: Limits

    def apply(self, aggregate: "Agency") -> None:
        aggregate.limits = self.limits


class AgencyIdentitySet(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: its people may sign in by tokens of this provider; None: by none."""

    TOPIC: ClassVar[str] = "agency.identity_set/1"

    provider: IdentityProvider | None

    def apply(self, aggregate: "Agency") -> None:
        aggregate.provider = self.provider


class AgencyForwardingSet(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: where its accounts may forward their mail; rules that go further stop working."""

    TOPIC: ClassVar[str] = "agency.forwarding_set/1"

    policy: ForwardingPolicy

    def apply(self, aggregate: "Agency") -> None:
        aggregate.forwarding = self.policy


class Agency(Aggregate):
    TOPIC: ClassVar[str] = "agency"

    def __init__(
        self, name: str, relay_to: NextHop | None, trial_ends_at: datetime | None, timestamp: datetime
    ) -> None:
        self.name = name
        self.relay_to = relay_to  # the first of its route
        self.is_suspended = self.is_closed = False
        self.trial = Trial(timestamp, trial_ends_at) if trial_ends_at else None
        self.limits = Limits()
        self.contact_id: AccountId | None = None  # None: its oldest account answers for it
        self.catch_all_id: AccountId | None = None  # None: what nobody has is refused
        self.plus_addressing = True
        self.provider: IdentityProvider | None = None
        self.forwarding: ForwardingPolicy = FORWARDING_DEFAULT
        self.tls = NO_TLS_POLICY
        self.route: Route | None = None  # None: relay_to and nobody beside it
        self.way: WayName = "main"  # of its route, that its mail goes by

    @classmethod
    def create(
        cls,
        agency_id: AgencyId,
        stamp: Stamp,
        *,
        name: str,
        relay_to: NextHop | None,
        trial_ends_at: datetime | None = None,
    ) -> Self:
        return cls.create_as(
            AgencyCreated, agency_id, stamp, name=name, relay_to=relay_to, trial_ends_at=trial_ends_at
        )

    @property
    def status(self) -> AgencyStatus:
        """What holds, of all that was said of it."""
        if self.is_closed:
            return "closed"
        if self.trial is not None and self.trial.is_closing:
            return "closing"
        if self.is_suspended:
            return "suspended"
        if self.trial is None:
            return "active"
        return "trial" if self.trial.closes_at is None else "expired"

    @property
    def is_hosted(self) -> bool:
        """True when its mailboxes are here."""
        return self.relay_to is None


def identity_secret_name(agency_id: AgencyId) -> str:
    """The KeyStore's name of our secret at the agency's identity provider."""
    return f"identity.{agency_id}"


def agency_key_name(agency_id: AgencyId) -> str:
    """The KeyStore's name of the key that opens the agency's share of history."""
    return f"agency.{agency_id}"
