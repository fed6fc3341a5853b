"""Registering agencies and accounts: from what is known to guarded facts, all or none.

Source: issue 1/9, section 5; architecture §4 (two ways in, Subjects).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.account import (
    QUOTA_OCTETS_MAX,
    Account,
    AccountKind,
    AccountSecret,
    account_label,
)
from gateway.domain.addresses import (
    ADDRESS_RESTS,
    AddressClaimed,
    AddressReleased,
    AddressSecret,
    DomainClaimed,
    address_label,
)
from gateway.domain.agency import Agency, NextHop
from gateway.domain.claims import Claim
from gateway.domain.events import Fact, Stamp
from gateway.domain.histories import address_history, address_name, domain_history, history_of
from gateway.domain.mailboxtree import MailboxTree, tree_id
from gateway.domain.sealing import seal
from gateway.domain.trial import TRIAL_DAYS_MAX
from gateway.mail.address import Address, normalise_domain
from gateway.mail.ids import AccountId, AgencyId, MailboxId

NAME_CHARACTERS_MAX: Final = 200
NAME_RULE: Final = f"a name has at most {NAME_CHARACTERS_MAX} characters, all of them printable"

TRIAL_RULE: Final = f"a trial has from 1 to {TRIAL_DAYS_MAX} days"


class Refused(Exception):
    """An administrator asked for what the rules do not allow; the text says why, to that person."""


class Unknown(Refused):
    """What an administrator named is not here."""


@dataclass(frozen=True, slots=True)
class Registration:
    """Facts for one guarded append. expected: last position per history, 0 for a new one."""

    facts: tuple[Fact, ...]
    expected: Mapping[str, int]
    versions: Mapping[str, int]  # of the first event of each aggregate among them


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an administrator asks for, and the ids and nonces chosen for it."""

    account_id: AccountId
    inbox_id: MailboxId
    agency_id: AgencyId
    address: Address
    display_name: str
    kind: AccountKind
    quota_octets: int
    nonces: tuple[bytes, bytes]  # 12 random octets each


@dataclass(frozen=True, slots=True)
class Holding:
    """Whose an address is or was, by the last event of its history, and where that is."""

    last: AddressClaimed | AddressReleased | None
    position: int

    @property
    def owner(self) -> AccountId | None:
        """Whose it is now."""
        return self.last.account_id if isinstance(self.last, AddressClaimed) else None


UNHELD: Final = Holding(None, 0)
NOT_HELD: Final[Mapping[str, int]] = {}


@dataclass(frozen=True, slots=True)
class Standing:
    """What an address is decided on: agency, claim of its domain, who holds it; and where these end."""

    agency: Agency | None
    agency_position: int
    claim: Claim | None
    claim_position: int
    holding: Holding = UNHELD
    accounts: int = 0  # open ones of the agency, as far as its limit wants to know

    def looked_up(self, address: Address) -> Address:
        """The form of an address that it is claimed under: one for all spellings and names of its domain."""
        return self.claim.stem_of(address) if self.claim else address.normalise()


def register_agency(
    agency_id: AgencyId,
    stamp: Stamp,
    *,
    name: str,
    domains: Sequence[str],
    relay_to: NextHop | None,
    positions: Mapping[str, int] = NOT_HELD,
    trial_days: int | None = None,
) -> Registration:
    """A new agency that claims its domains. A domain that is taken makes the append a Conflict.

    positions: where the histories of domains end that agencies gave up before, by A-labels. trial_days: None:
    it is no trial. Raises Refused for a name, domain, next hop or trial nobody can use.
    """
    if trial_days is not None and not 1 <= trial_days <= TRIAL_DAYS_MAX:
        raise Refused(TRIAL_RULE)
    name = agency_name(name)
    if relay_to is not None and not (relay_to.host and 1 <= relay_to.port <= 65535):
        raise Refused(f"{relay_to} is no host and port")
    labels = [domain_label(domain) for domain in domains]
    if not labels:
        raise Refused("an agency has at least one domain")
    if len(set(labels)) < len(labels):
        raise Refused("a domain is named twice")

    ends_at = None if trial_days is None else stamp.at + timedelta(days=trial_days)
    agency = Agency.create(agency_id, stamp, name=name, relay_to=relay_to, trial_ends_at=ends_at)
    claims = tuple(
        Fact(domain_history(label), DomainClaimed(domain=label, agency_id=agency_id, **stamp.fields()))
        for label in labels
    )
    facts = (*agency.collect_facts(), *claims)
    expected = {domain_history(label): positions.get(label, 0) for label in labels}
    return Registration(facts, {history_of(agency_id): 0, **expected}, {history_of(agency_id): 1})


def register_account(
    new: NewAccount, stamp: Stamp, standing: Standing, *, account_key: bytes, site_key: bytes
) -> Registration:
    """A new account with its INBOX, that claims its address; all in one append.

    Guarded by the address, and by agency and domain, which must stand as they were read; the account's own
    histories need no guard, their ids are new. Raises Refused when the agency is not hosted here, the domain
    is not its own, it has all the accounts it may have, or the address is given out or rests.
    """
    check_free(new.address, standing.holding, new.account_id, stamp.at)
    check_home(new.address, new.agency_id, standing)
    check_room(standing)
    assert standing.claim is not None
    if not 0 < new.quota_octets <= QUOTA_OCTETS_MAX:
        raise Refused("a quota is from 1 octet to 1024T")
    if len(new.display_name) > NAME_CHARACTERS_MAX or not new.display_name.isprintable():
        raise Refused(NAME_RULE)

    looked_up = standing.looked_up(new.address)
    facts = _account_facts(new, looked_up, stamp, account_key=account_key, site_key=site_key)
    expected = {
        facts[-1].subject: standing.holding.position,
        history_of(new.agency_id): standing.agency_position,
        domain_history(standing.claim.domain): standing.claim_position,
    }
    versions = {history_of(new.account_id): 1, history_of(tree_id(new.account_id)): 1}
    return Registration(facts, expected, versions)


def check_home(address: Address, agency_id: AgencyId, standing: Standing) -> None:
    """Raises Refused unless the agency has mailboxes here and the domain of the address."""
    agency, claim = standing.agency, standing.claim
    if agency is None:
        raise Unknown(f"there is no agency {agency_id}")
    check_open(agency)
    if not agency.is_hosted:
        raise Refused(f"the mailboxes of {agency.name} are on {agency.relay_to}, not here")
    if claim is None or claim.agency_id != agency_id:
        raise Refused(f"the domain {address.domain} does not belong to {agency.name}")
    if claim.replaced_by:
        raise Refused(
            f"{address.domain} was replaced by {claim.replaced_by}: "
            "give addresses out there, they are reached by both"
        )


def check_open(agency: Agency) -> None:
    """Raises Refused when there is no way back into the agency."""
    if agency.status in ("closing", "closed"):
        raise Refused(f"{agency.name} is {agency.status}: its trial ended and its mail was exported")


def check_room(standing: Standing) -> None:
    """Raises Refused when the agency has as many open accounts as it may have.

    How many it has is no invariant: of two administrators who take the last place at once both get one
    (architecture §9, quota use).
    """
    agency = standing.agency
    limit = agency.limits.accounts_max if agency else None
    if agency and limit is not None and standing.accounts >= limit:
        raise Refused(f"{agency.name} has {standing.accounts} accounts and may have {limit}")


def check_free(address: Address, holding: Holding, account_id: AccountId, at: datetime) -> None:
    """Raises Refused when an address is given out, or rests and was another account's."""
    match holding.last:
        case AddressClaimed():
            raise Refused(f"the address {address} is given out already")
        case AddressReleased() as released if released.account_id != account_id:
            free_at = released.at + ADDRESS_RESTS
            if at < free_at:
                raise Refused(
                    f"the address {address} was given up and rests until {free_at:%Y-%m-%d}: "
                    "before that day only the account that had it may take it back"
                )


def _account_facts(
    new: NewAccount, looked_up: Address, stamp: Stamp, *, account_key: bytes, site_key: bytes
) -> tuple[Fact, ...]:
    """account.created, tree.created and address.claimed."""
    secret = AccountSecret(str(new.address), new.display_name)
    account = Account.create(
        new.account_id,
        stamp,
        agency_id=new.agency_id,
        kind=new.kind,
        quota_octets=new.quota_octets,
        sealed=seal(secret, account_key, nonce=new.nonces[0], label=account_label(new.account_id)),
    )
    tree = MailboxTree.create(new.account_id, stamp, base=account.base, inbox_id=new.inbox_id)
    name = address_name(looked_up, site_key)
    sealed = seal(
        AddressSecret(str(looked_up)), account_key, nonce=new.nonces[1], label=address_label(new.account_id)
    )
    claimed = claim_of(name, account, stamp, sealed)
    return (*account.collect_facts(), *tree.collect_facts(), claimed)


def claim_of(name: str, account: Account, stamp: Stamp, sealed: bytes, *, is_alias: bool = False) -> Fact:
    """The fact that an address is this account's. sealed: an AddressSecret."""
    claimed = AddressClaimed(
        name=name,
        account_id=AccountId(account.id),
        agency_id=account.agency_id,
        sealed=sealed,
        is_alias=is_alias,
        **stamp.fields(),
    )
    return Fact(address_history(name), claimed)


def release_of(name: str, account: Account, stamp: Stamp) -> Fact:
    """The fact that an address is nobody's any more."""
    released = AddressReleased(name=name, account_id=AccountId(account.id), **stamp.fields())
    return Fact(address_history(name), released)


def agency_name(text: str) -> str:
    """A name an agency may have. Raises Refused."""
    if not text.strip():
        raise Refused("an agency has a name")
    if len(text) > NAME_CHARACTERS_MAX or not text.isprintable():
        raise Refused(NAME_RULE)
    return text.strip()


def domain_label(text: str) -> str:
    """A domain an agency may have, in A-labels. Raises Refused."""
    try:
        label = normalise_domain(text)
    except ValueError as error:
        raise Refused(f"{text}: {error}") from error
    if label.startswith("["):
        raise Refused(f"{text}: an address literal is no agency's domain")
    return label
