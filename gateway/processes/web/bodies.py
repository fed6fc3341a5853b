"""What the API takes and gives, as JSON; the OpenAPI description is made from these."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.domain.account import QUOTA_OCTETS_DEFAULT, AccountKind, Role
from gateway.domain.agency import AgencyStatus, ForwardingPolicy
from gateway.domain.forwarding import TARGETS_MAX, ForwardingRefusal
from gateway.mail.ids import AccountId, AgencyId
from projections.directory.query import EffectiveStatus

PAGE: int = 100
PAGE_MAX: int = 1_000

Text = Annotated[str, Meta(min_length=1, max_length=1_000)]
MailAddress = Annotated[str, Meta(min_length=3, max_length=330, description="local-part@domain")]
Id = Annotated[str, Meta(min_length=1, max_length=40)]
Limit = Annotated[int, Meta(ge=0, le=1024**3)]


# --- signing in -------------------------------------------------------------------------------------------


class SignInRequest(Struct, forbid_unknown_fields=True):
    """username: an address of an account, or the name of an operator. code: of one's authenticator."""

    username: Annotated[str, Meta(min_length=1, max_length=330)]
    password: Annotated[str, Meta(min_length=1, max_length=255)]
    code: Annotated[str, Meta(max_length=12)] = ""


class TokenAnswer(Struct):
    """Send it as `Authorization: Bearer <token>`."""

    token: str
    expires_at: datetime


class RoleHeld(Struct):
    """agency_id: where; null: everywhere."""

    role: Role
    agency_id: AgencyId | None


class Me(Struct):
    """Who holds the token. Null: an operator without an account."""

    username: str
    account_id: AccountId | None
    agency_id: AgencyId | None
    display_name: str
    roles: list[RoleHeld]


# --- agencies ---------------------------------------------------------------------------------------------


class Agency(Struct):
    """next_hop: its own mail server; null: its mailboxes are here. accounts: those that are not closed."""

    agency_id: AgencyId
    name: str
    former_names: list[str]
    domains: list[str]
    next_hop: str | None
    accounts: int
    status: AgencyStatus
    reason: str
    created_at: datetime
    trial_ends_at: datetime | None  # null: it is no trial
    trial_closes_at: datetime | None  # its trial has ended, and mail comes in until then
    lacking: int  # messages that are in its mailboxes and not in the files of its export
    lacking_named: list[str]  # the first of the files that are not there
    catch_all_id: AccountId | None
    plus_addressing: bool
    tls: str  # of mail to its own server: opportunistic, required, pinned, mutual; and an exception
    way: str | None  # that mail to its own servers goes: main, backup; and since when it was switched
    relay_connections_max: int | None  # to its own servers at once; null: as many as the gateway allows
    relay_mails_a_minute: int | None  # to its own servers; null: likewise


class AgencyList(Struct):
    agencies: list[Agency]


class NewAgency(Struct, forbid_unknown_fields=True):
    """relay_to: host:port of its own mail server; null: its mailboxes are here.

    trial_days: after how many its trial ends; 0: as many as this gateway gives; null: it is no trial.
    """

    name: Text
    domains: Annotated[list[Text], Meta(min_length=1, max_length=100)]
    relay_to: Text | None = None
    trial_days: Annotated[int, Meta(ge=0, le=366)] | None = None


class AgencyMade(Struct):
    agency_id: AgencyId


class NewName(Struct, forbid_unknown_fields=True):
    name: Text


class AgencyNamed(Struct):
    agency_id: AgencyId
    name: str


class Domain(Struct):
    """shown: in U-labels. replaced_by: where its new addresses are given out; null: here."""

    domain: str
    shown: str
    agency_id: AgencyId
    replaced_by: str | None


class DomainList(Struct):
    domains: list[Domain]


class NewDomain(Struct, forbid_unknown_fields=True):
    """In A-labels or U-labels."""

    domain: Text


class NewDomainName(Struct, forbid_unknown_fields=True):
    """by: a domain that no agency has, or one of the agency's without addresses."""

    by: Text


class DomainMove(Struct, forbid_unknown_fields=True):
    """to: the agency that gets it. reason: why the roles of its people in their agency end."""

    to: Id
    reason: Text


class DomainsMoved(Struct):
    """domains: in A-labels; every name of the domain moves with it."""

    agency_id: AgencyId
    domains: list[str]


class DomainChanged(Struct):
    """domain: in A-labels."""

    agency_id: AgencyId
    domain: str


class AgencyChanged(Struct):
    agency_id: AgencyId
    status: AgencyStatus


class TrialLonger(Struct, forbid_unknown_fields=True):
    """days: from now. reason: why; it stands in the log for ever."""

    days: Annotated[int, Meta(ge=1, le=366)]
    reason: Text


class TrialExtended(Struct):
    agency_id: AgencyId
    trial_ends_at: datetime


class Reason(Struct, forbid_unknown_fields=True):
    """Why; it stands in the log for ever."""

    reason: Text


class Contact(Struct, forbid_unknown_fields=True):
    """Mail to postmaster at the agency's domains goes to the account with this address."""

    address: MailAddress


class CatchAll(Struct, forbid_unknown_fields=True):
    """Mail to addresses that nobody ever had goes to the account with this address; null: it is refused."""

    address: MailAddress | None


class CatchAllSet(Struct):
    agency_id: AgencyId
    account_id: AccountId | None


class PlusAddressing(Struct, forbid_unknown_fields=True):
    """is_on: name+tag@ is name@ where nobody has the address with its tag."""

    is_on: bool


class PlusAddressingSet(Struct):
    agency_id: AgencyId
    is_on: bool


class ContactSet(Struct):
    agency_id: AgencyId
    account_id: AccountId


class LimitsChange(Struct, forbid_unknown_fields=True):
    """What is not named stays; null: as much as the gateway allows."""

    accounts_max: Limit | UnsetType | None = UNSET
    recipients_max: Limit | UnsetType | None = UNSET
    message_octets_max: Limit | UnsetType | None = UNSET
    attachment_octets_max: Limit | UnsetType | None = UNSET
    trace_days: Limit | UnsetType | None = UNSET
    relay_connections_max: Limit | UnsetType | None = UNSET
    relay_mails_a_minute: Limit | UnsetType | None = UNSET


# --- accounts ---------------------------------------------------------------------------------------------


class Account(Struct):
    """status: what holds, of the account and its agency; reason: of that status."""

    account_id: AccountId
    agency_id: AgencyId
    address: str
    display_name: str
    kind: str
    quota_octets: int
    status: EffectiveStatus
    reason: str
    created_at: datetime


class LastPassword(Struct):
    """set_by: `operator <name>`, `account <account_id>`."""

    set_at: datetime
    how: str
    set_by: str


class AccountShown(Account):
    """password: when it was set last; null: never, as far as is on record."""

    password: LastPassword | None


class AccountList(Struct):
    """next: `after` of the page that follows; null: this is the last."""

    accounts: list[Account]
    next: str | None


class AccountsWanted(Struct, forbid_unknown_fields=True):
    """search: part of an address, an alias or a display name, in any case."""

    agency: Id | UnsetType = UNSET
    search: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    after: Id | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = PAGE


class NewAccount(Struct, forbid_unknown_fields=True):
    """password: made, and told once, when it is not given."""

    address: MailAddress
    display_name: Annotated[str, Meta(max_length=200)] = ""
    kind: AccountKind = "person"
    quota_octets: Annotated[int, Meta(ge=1, le=1024**5)] = QUOTA_OCTETS_DEFAULT
    password: Annotated[str, Meta(min_length=12, max_length=255)] | None = None


class AccountMade(Struct):
    account_id: AccountId
    agency_id: AgencyId
    address: str
    password: str  # shown once


class AccountChanged(Struct):
    account_id: AccountId
    address: str
    status: Literal["active", "suspended", "closed"]


# --- aliases and roles ------------------------------------------------------------------------------------


class Alias(Struct):
    """address: the one its account was made with. owner_since: no other account had the alias since."""

    alias: str
    address: str
    display_name: str
    account_id: AccountId
    owner_since: datetime


class AliasList(Struct):
    """next: `after` of the page that follows; null: this is the last."""

    aliases: list[Alias]
    next: str | None


class AliasesWanted(Struct, forbid_unknown_fields=True):
    """of: an address of the account they belong to."""

    of: MailAddress | UnsetType = UNSET
    after: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = PAGE


class NewAlias(Struct, forbid_unknown_fields=True):
    """of: an address the account has already."""

    alias: MailAddress
    of: MailAddress


class AliasChanged(Struct):
    alias: str
    account_id: AccountId


class RoleOf(Struct):
    """A role somebody has. agency_id: where; null: everywhere."""

    account_id: AccountId
    address: str
    display_name: str
    role: Role
    agency_id: AgencyId | None
    granted_at: datetime


class RoleList(Struct):
    roles: list[RoleOf]


class RoleChange(Struct, forbid_unknown_fields=True):
    """agency_id: where, not said: the agency of the address; an operator's is everywhere."""

    address: MailAddress
    role: Role
    reason: Text
    agency_id: Id | None = None


class RoleChanged(Struct):
    account_id: AccountId
    address: str
    role: Role
    agency_id: AgencyId | None


# --- forwarding -------------------------------------------------------------------------------------------


class ForwardingTarget(Struct):
    """refusal: why mail does not go there now; null: it does. policy: the agency does not allow it."""

    address: str
    refusal: ForwardingRefusal | None


class Forwarding(Struct):
    """Where an account's mail goes. keep_copy: it comes into the mailbox as well. policy: of its agency."""

    account_id: AccountId
    address: str
    policy: ForwardingPolicy
    targets: list[ForwardingTarget]
    keep_copy: bool
    set_at: datetime | None
    set_by: str | None


class ForwardingRule(Struct, forbid_unknown_fields=True):
    """Mail goes to these from now on, whatever was set before."""

    to: Annotated[list[MailAddress], Meta(min_length=1, max_length=TARGETS_MAX)]
    keep_copy: bool = True


class ForwardingChanged(Struct):
    """to: empty where the rule was removed."""

    account_id: AccountId
    address: str
    to: list[str]
    keep_copy: bool


class ForwardingPolicyChange(Struct, forbid_unknown_fields=True):
    """Where an agency's accounts may forward: nowhere, to agencies of this gateway, or to any address."""

    policy: ForwardingPolicy


class ForwardingPolicyOf(Struct):
    agency_id: AgencyId
    policy: ForwardingPolicy
