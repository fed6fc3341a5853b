"""Aliases: further addresses of an account, claimed and released as its first one is.

Source: architecture §4 (Subjects: one owner, always); RFC 5321 §3.9.1 (alias).
"""

from typing import Final

from gateway.domain.account import Account, AliasAdded, AliasRemoved
from gateway.domain.addresses import AddressSecret, address_label
from gateway.domain.events import Stamp
from gateway.domain.histories import address_name, history_of
from gateway.domain.registration import (
    Holding,
    Refused,
    Registration,
    Standing,
    Unknown,
    check_free,
    check_home,
    claim_of,
    release_of,
)
from gateway.domain.sealing import seal
from gateway.mail.address import Address
from gateway.mail.ids import AccountId

# An account is closed in one append, and that takes 500 facts at most.
ALIASES_MAX: Final = 100


def add_alias(
    account: Account,
    position: int,
    address: Address,
    standing: Standing,
    stamp: Stamp,
    *,
    account_key: bytes,
    site_key: bytes,
    nonce: bytes,
) -> Registration:
    """A further address for an account, in its agency's domains. position: where the account's history ends.

    Guarded by account and address. A domain is given up without addresses, and one that is moved takes them
    along, so what `standing` says of it needs no guard. Raises Refused.
    """
    account_id = AccountId(account.id)
    if account.status == "closed":
        raise Refused("the account is closed")
    if standing.holding.owner == account_id:
        raise Refused(f"{address} is an address of this account already")
    check_free(address, standing.holding, account_id, stamp.at)
    check_home(address, account.agency_id, standing)
    if len(account.aliases) >= ALIASES_MAX:
        raise Refused(f"an account has at most {ALIASES_MAX} aliases")
    looked_up = str(standing.looked_up(address))
    name = address_name(standing.looked_up(address), site_key)
    secret = AddressSecret(looked_up, "" if str(address) == looked_up else str(address))
    sealed = seal(secret, account_key, nonce=nonce, label=address_label(account_id))
    first = account.version + 1
    account.trigger(AliasAdded, stamp, name=name)
    claim = claim_of(name, account, stamp, sealed, is_alias=True)
    return Registration(
        (*account.collect_facts(), claim),
        {history_of(account.id): position, claim.subject: standing.holding.position},
        {history_of(account.id): first},
    )


def remove_alias(
    account: Account, position: int, address: Address, holding: Holding, stamp: Stamp
) -> Registration:
    """Give a further address up; it rests then. Raises Refused when it is the account's own address."""
    if holding.owner != account.id or holding.last is None:
        raise Unknown(f"{address} is no alias of this account")
    name = holding.last.name
    if name not in account.aliases:
        raise Refused(f"{address} is the address its account was made with, no alias")
    first = account.version + 1
    account.trigger(AliasRemoved, stamp, name=name)
    released = release_of(name, account, stamp)
    return Registration(
        (*account.collect_facts(), released),
        {history_of(account.id): position, released.subject: holding.position},
        {history_of(account.id): first},
    )
