"""Registering agencies and accounts: from what is known to guarded facts, all or none.

Source: issue 1/9, section 5; architecture §4 (two ways in, Subjects).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.domain.account import (
    QUOTA_OCTETS_MAX,
    Account,
    AccountKind,
    AccountSecret,
    account_label,
)
from gateway.domain.addresses import AddressClaimed, AddressSecret, DomainClaimed, address_label
from gateway.domain.agency import Agency, NextHop
from gateway.domain.events import Fact, Stamp
from gateway.domain.histories import address_history, address_name, domain_history, history_of
from gateway.domain.mailboxtree import MailboxTree, tree_id
from gateway.domain.sealing import seal
from gateway.mail.address import Address, normalise_domain
from gateway.mail.ids import AccountId, AgencyId, MailboxId

NAME_CHARACTERS_MAX: Final = 200
NAME_RULE: Final = f"a name has at most {NAME_CHARACTERS_MAX} characters, all of them printable"


class Refused(Exception):
    """An administrator asked for what the rules do not allow; the text says why, to that person."""


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
class Standing:
    """What an account is decided on: the agency and the claim of its domain, and where they end."""

    agency: Agency | None
    agency_position: int
    claim: DomainClaimed | None
    claim_position: int


def register_agency(
    agency_id: AgencyId, stamp: Stamp, *, name: str, domains: Sequence[str], relay_to: NextHop | None
) -> Registration:
    """A new agency that claims its domains. A domain that is taken makes the append a Conflict.

    Raises Refused for a name, domain or next hop nobody can use.
    """
    if not name.strip():
        raise Refused("an agency has a name")
    if len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        raise Refused(NAME_RULE)
    if relay_to is not None and not (relay_to.host and 1 <= relay_to.port <= 65535):
        raise Refused(f"{relay_to} is no host and port")
    labels = [_domain(domain) for domain in domains]
    if not labels:
        raise Refused("an agency has at least one domain")
    if len(set(labels)) < len(labels):
        raise Refused("a domain is named twice")

    agency = Agency.create(agency_id, stamp, name=name.strip(), relay_to=relay_to)
    claims = tuple(
        Fact(domain_history(label), DomainClaimed(domain=label, agency_id=agency_id, **stamp.fields()))
        for label in labels
    )
    facts = (*agency.collect_facts(), *claims)
    return Registration(facts, {fact.subject: 0 for fact in facts}, {history_of(agency_id): 1})


def register_account(
    new: NewAccount, stamp: Stamp, standing: Standing, *, account_key: bytes, site_key: bytes
) -> Registration:
    """A new account with its INBOX, that claims its address; all in one append.

    Guarded by the address, and by agency and domain, which must stand as they were read; the account's own
    histories need no guard, their ids are new. An address that is taken makes the append a Conflict. Raises
    Refused when the agency is not hosted here or the domain is not its own.
    """
    agency, claim = standing.agency, standing.claim
    if agency is None:
        raise Refused(f"there is no agency {new.agency_id}")
    if not agency.is_hosted:
        raise Refused(f"the mailboxes of {agency.name} are on {agency.relay_to}, not here")
    if claim is None or claim.agency_id != new.agency_id:
        raise Refused(f"the domain {new.address.domain} does not belong to {agency.name}")
    if not 0 < new.quota_octets <= QUOTA_OCTETS_MAX:
        raise Refused("a quota is from 1 octet to 1024T")
    if len(new.display_name) > NAME_CHARACTERS_MAX or not new.display_name.isprintable():
        raise Refused(NAME_RULE)

    facts = _account_facts(new, stamp, account_key=account_key, site_key=site_key)
    expected = {
        facts[-1].subject: 0,
        history_of(new.agency_id): standing.agency_position,
        domain_history(claim.domain): standing.claim_position,
    }
    versions = {history_of(new.account_id): 1, history_of(tree_id(new.account_id)): 1}
    return Registration(facts, expected, versions)


def _account_facts(new: NewAccount, stamp: Stamp, *, account_key: bytes, site_key: bytes) -> tuple[Fact, ...]:
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
    name = address_name(new.address, site_key)
    looked_up = AddressSecret(str(new.address.normalise()))
    claimed = AddressClaimed(
        name=name,
        account_id=new.account_id,
        agency_id=new.agency_id,
        sealed=seal(looked_up, account_key, nonce=new.nonces[1], label=address_label(new.account_id)),
        **stamp.fields(),
    )
    return (*account.collect_facts(), *tree.collect_facts(), Fact(address_history(name), claimed))


def _domain(text: str) -> str:
    try:
        label = normalise_domain(text)
    except ValueError as error:
        raise Refused(f"{text}: {error}") from error
    if label.startswith("["):
        raise Refused(f"{text}: an address literal is no agency's domain")
    return label
