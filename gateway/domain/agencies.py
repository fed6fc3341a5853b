"""What an administrator decides about an agency that is there: its status, contact and limits.

Source: architecture §4 (aggregates).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec

from gateway.domain.account import Account
from gateway.domain.agency import (
    Agency,
    AgencyActivated,
    AgencyContactSet,
    AgencyForwardingSet,
    AgencyIdentitySet,
    AgencyLimitsSet,
    AgencyRenamed,
    AgencySuspended,
    ForwardingPolicy,
    IdentityProvider,
)
from gateway.domain.agency_tls import EXCEPTION_MAX, AgencyTls, AgencyTlsSet, check_authorities
from gateway.domain.catching import AgencyCatchAllSet, AgencyPlusAddressingSet, cannot_catch
from gateway.domain.events import Stamp
from gateway.domain.histories import history_of
from gateway.domain.registration import TRIAL_RULE, Refused, Registration, agency_name, check_open
from gateway.domain.route import (
    HOPS_MAX,
    SPAN_S_MAX,
    WEIGHT_MAX,
    AgencyRouteSet,
    AgencyRouteSwitched,
    Route,
    Switch,
    route_of,
)
from gateway.domain.traffic import TRACE_DAYS_MAX, TRACE_DAYS_MIN
from gateway.domain.trial import TRIAL_DAYS_MAX, AgencyCloseOrdered, AgencyTrialExtended
from gateway.mail.address import Address
from gateway.mail.ids import AccountId

# What each limit is of, its least and its most. RFC 5321 §4.5.3.1.8 asks for 100 recipients at least; the
# bounds of a message are those of the gateway's own setting.
BOUNDS: Final = {
    "accounts_max": ("accounts", 0, 1_000_000),
    "recipients_max": ("recipients", 100, 1_000),
    "message_octets_max": ("octets of a message", 64 * 1024, 1024**3),
    "attachment_octets_max": ("octets of attachments", 0, 1024**3),
    "trace_days": ("days of its traffic log", TRACE_DAYS_MIN, TRACE_DAYS_MAX),
    "relay_connections_max": ("connections to its next hop", 1, 1_000),
    "relay_mails_a_minute": ("mails a minute to its next hop", 1, 100_000),
}


def rename_agency(agency: Agency, position: int, name: str, stamp: Stamp) -> Registration:
    """It has another name from here on; its domains and addresses stay as they are. Raises Refused."""
    name = agency_name(name)
    if name == agency.name:
        raise Refused(f"the agency's name is {name} already")
    agency.trigger(AgencyRenamed, stamp, name=name)
    return _registration(agency, position)


def suspend_agency(agency: Agency, position: int, stamp: Stamp, *, reason: bytes) -> Registration:
    """None of its accounts signs in or sends. reason: of `seal_reason`. Raises Refused."""
    if agency.status in ("suspended", "closing", "closed"):
        raise Refused(f"{agency.name} is {agency.status} already")
    agency.trigger(AgencySuspended, stamp, sealed=reason)
    return _registration(agency, position)


def activate_agency(agency: Agency, position: int, stamp: Stamp, *, reason: bytes) -> Registration:
    """Undo suspend; a trial that is not suspended is none any more. Raises Refused."""
    if agency.status == "active":
        raise Refused(f"{agency.name} is active already")
    check_open(agency)
    agency.trigger(AgencyActivated, stamp, sealed=reason)
    return _registration(agency, position)


def extend_trial(
    agency: Agency, position: int, ends_at: datetime, stamp: Stamp, *, reason: bytes
) -> Registration:
    """It ends then, and not before. reason: of `seal_reason`. Raises Refused."""
    check_open(agency)
    if agency.trial is None:
        raise Refused(f"{agency.name} is no trial")
    if ends_at <= agency.trial.ends_at:
        raise Refused(f"the trial of {agency.name} ends on {agency.trial.ends_at:%Y-%m-%d}: say more days")
    if ends_at > stamp.at + timedelta(days=TRIAL_DAYS_MAX):
        raise Refused(TRIAL_RULE)
    agency.trigger(AgencyTrialExtended, stamp, ends_at=ends_at, sealed=reason)
    return _registration(agency, position)


def order_close(agency: Agency, position: int, stamp: Stamp, *, reason: bytes) -> Registration:
    """Let it be closed although its files lack messages. reason: of `seal_reason`. Raises Refused."""
    if agency.trial is None or agency.status != "closing":
        raise Refused(
            f"{agency.name} is {agency.status}: only an agency that is closing and whose files lack messages "
            "is closed by hand"
        )
    if agency.trial.may_lack or not agency.trial.lack.messages:
        raise Refused(f"{agency.name} is being closed already")
    agency.trigger(AgencyCloseOrdered, stamp, sealed=reason)
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


def set_catch_all(
    agency: Agency, position: int, account: Account | None, named: str, stamp: Stamp
) -> Registration:
    """Mail to addresses that nobody ever had goes to this account; None: it is refused. Raises Refused."""
    if not agency.is_hosted:
        raise Refused(f"the mailboxes of {agency.name} are on {agency.relay_to}, not here")
    if account is not None and account.agency_id != agency.id:
        raise Refused(f"{named} is no account of {agency.name}")
    if account is not None and (why := cannot_catch(account)):
        raise Refused(why)
    account_id = AccountId(account.id) if account is not None else None
    if account_id == agency.catch_all_id:
        raise Refused(f"the catch-all of {agency.name} is {named} already")
    agency.trigger(AgencyCatchAllSet, stamp, account_id=account_id)
    return _registration(agency, position)


def set_plus_addressing(agency: Agency, position: int, is_on: bool, stamp: Stamp) -> Registration:
    """name+tag@ is name@, or is not. Raises Refused."""
    if is_on == agency.plus_addressing:
        raise Refused(f"plus-addressing of {agency.name} is {'on' if is_on else 'off'} already")
    agency.trigger(AgencyPlusAddressingSet, stamp, is_on=is_on)
    return _registration(agency, position)


def set_limits(
    agency: Agency, position: int, changes: Mapping[str, int | None], stamp: Stamp
) -> Registration:
    """Change some of the agency's limits, by name. Accounts it has already stay. Raises Refused."""
    for name, limit in changes.items():
        what, least, most = BOUNDS[name]
        if limit is not None and not least <= limit <= most:
            raise Refused(f"a limit of {what} is from {least} to {most}, not {limit}")
    limits = msgspec.structs.replace(agency.limits, **changes)
    if limits == agency.limits:
        raise Refused(f"{agency.name} has these limits already")
    agency.trigger(AgencyLimitsSet, stamp, limits=limits)
    return _registration(agency, position)


def set_forwarding_policy(
    agency: Agency, position: int, policy: ForwardingPolicy, stamp: Stamp
) -> Registration:
    """Where its accounts may forward their mail; rules that go further stop working. Raises Refused."""
    if not agency.is_hosted:
        raise Refused(f"the mailboxes of {agency.name} are on {agency.relay_to}, not here")
    if policy == agency.forwarding:
        raise Refused(f"the forwarding policy of {agency.name} is {policy} already")
    agency.trigger(AgencyForwardingSet, stamp, policy=policy)
    return _registration(agency, position)


def set_identity(
    agency: Agency, position: int, provider: IdentityProvider | None, stamp: Stamp
) -> Registration:
    """Let its people sign in by tokens of this provider; None: by none. Raises Refused."""
    if provider == agency.provider:
        raise Refused(f"{agency.name} has this identity provider already")
    if provider is not None:
        parts = urlsplit(provider.issuer)
        is_here = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if not parts.hostname or parts.scheme not in (("https", "http") if is_here else ("https",)):
            raise Refused("an issuer is an https URL")
        if not provider.audience or not provider.claim:
            raise Refused("a provider's tokens have an audience and a claim that is the address")
    agency.trigger(AgencyIdentitySet, stamp, provider=provider)
    return _registration(agency, position)


def set_tls(agency: Agency, position: int, policy: AgencyTls, stamp: Stamp, *, reason: bytes) -> Registration:
    """What TLS with its own mail server has to be, all of it. reason: of `seal_reason`. Raises Refused."""
    if agency.is_hosted:
        raise Refused(f"the mailboxes of {agency.name} are here: no mail goes to a server of its own")
    if policy.use == "pinned" and not policy.authorities:
        raise Refused("say who vouches for the server: a pinned policy has authorities")
    if policy.use not in ("pinned", "mutual") and policy.authorities:
        raise Refused("authorities are of a pinned or mutual policy")
    if bool(policy.certificate) != (policy.use == "mutual"):
        raise Refused("a mutual policy, and no other, has a certificate that we show")
    if policy.authorities and (why := check_authorities(policy.authorities)):
        raise Refused(f"these authorities cannot vouch for a server: {why}")
    if policy.exception_until is not None:
        if policy.exception_until <= stamp.at:
            raise Refused("an exception ends in the future")
        if policy.exception_until > stamp.at + EXCEPTION_MAX:
            raise Refused(f"an exception ends within {EXCEPTION_MAX.days} days; extend it then")
    if policy == agency.tls:
        raise Refused(f"the TLS policy of {agency.name} is this already")
    agency.trigger(AgencyTlsSet, stamp, policy=policy, sealed=reason)
    return _registration(agency, position)


def set_route(agency: Agency, position: int, route: Route, stamp: Stamp, *, reason: bytes) -> Registration:
    """Where its mail goes, all of it; by the main way. reason: of `seal_reason`. Raises Refused."""
    if agency.is_hosted:
        raise Refused(f"the mailboxes of {agency.name} are here: no mail goes to a server of its own")
    if not 1 <= len(route.main) <= HOPS_MAX or len(route.backup) > HOPS_MAX:
        raise Refused(f"a route has 1 to {HOPS_MAX} servers, and a backup of at most {HOPS_MAX}")
    for each in (*route.main, *route.backup):
        if not (each.hop.host and 1 <= each.hop.port <= 65535):
            raise Refused(f"{each.hop} is no host and port")
        if not 1 <= each.weight <= WEIGHT_MAX:
            raise Refused(f"a weight is from 1 to {WEIGHT_MAX}, not {each.weight}")
    if len(set(route.hops)) < len(route.hops):
        raise Refused("a server is named twice")
    for seconds in (route.down_for_s, route.back_for_s):
        if not 1 <= seconds <= SPAN_S_MAX:
            raise Refused(f"a route waits for 1 second to {SPAN_S_MAX // 86_400} days")
    if route == route_of(agency):
        raise Refused(f"the route of {agency.name} is this already")
    agency.trigger(AgencyRouteSet, stamp, route=route, sealed=reason)
    return _registration(agency, position)


def switch_route(
    agency: Agency, position: int, route: Route, switch: Switch, stamp: Stamp
) -> Registration | None:
    """Its mail goes the other way. route: the one that was looked at; None: it is so already, or the route is
    another one by now."""
    if agency.route != route or agency.way == switch.to:
        return None
    since = stamp.at - timedelta(seconds=switch.for_s)
    agency.trigger(AgencyRouteSwitched, stamp, way=switch.to, since=since)
    return _registration(agency, position)


def _registration(agency: Agency, position: int) -> Registration:
    """The agency's pending event, guarded by where its history ends."""
    history = history_of(agency.id)
    return Registration(agency.collect_facts(), {history: position}, {history: agency.version})
