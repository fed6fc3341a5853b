"""Who may sign in and who gets mail: accounts suspended, closed and activated again.

Source: architecture §4 (aggregates; Subjects: one owner, always).
"""

from collections.abc import Sequence
from typing import Final

from gateway.domain.account import (
    Account,
    AccountActivated,
    AccountClosed,
    AccountSecret,
    AccountSuspended,
    ReasonSecret,
    account_label,
    reason_label,
)
from gateway.domain.addresses import AddressSecret, address_label
from gateway.domain.events import Fact, Stamp
from gateway.domain.histories import address_name, history_of
from gateway.domain.registration import (
    Holding,
    Refused,
    Registration,
    Standing,
    check_free,
    check_open,
    check_room,
    claim_of,
    release_of,
)
from gateway.domain.sealing import seal, unseal
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AccountId

REASON_CHARACTERS_MAX: Final = 1_000


def seal_reason(reason: str, originator_id: str, key: bytes, *, nonce: bytes) -> bytes:
    """Why, as the log keeps it. Raises Refused for a reason nobody can read later."""
    if not reason.strip() or len(reason) > REASON_CHARACTERS_MAX:
        raise Refused(f"a reason has from 1 to {REASON_CHARACTERS_MAX} characters")
    return seal(ReasonSecret(reason.strip()), key, nonce=nonce, label=reason_label(originator_id))


def own_address(account: Account, account_key: bytes) -> Address:
    """The address the account was made with."""
    label = account_label(AccountId(account.id))
    return parse_address(unseal(AccountSecret, account.sealed, account_key, label=label).address)


def suspend_account(account: Account, position: int, stamp: Stamp, *, reason: bytes) -> Registration:
    """Nobody signs in any more; mail still comes in. reason: of `seal_reason`. Raises Refused."""
    if account.status != "active":
        raise Refused(f"the account is {account.status} already")
    account.trigger(AccountSuspended, stamp, sealed=reason)
    return _registration(account, position, ())


def close_account(
    account: Account, position: int, holdings: Sequence[Holding], stamp: Stamp, *, reason: bytes
) -> Registration:
    """Nobody signs in any more, and its addresses rest. holdings: of all its addresses. Raises Refused."""
    if account.status == "closed":
        raise Refused("the account is closed already")
    account.trigger(AccountClosed, stamp, sealed=reason)
    held = [holding for holding in holdings if holding.owner == account.id]
    releases = tuple(release_of(holding.last.name, account, stamp) for holding in held if holding.last)
    return _registration(account, position, releases, held)


def activate_account(
    account: Account,
    position: int,
    standing: Standing,
    stamp: Stamp,
    *,
    reason: bytes,
    account_key: bytes,
    site_key: bytes,
    nonce: bytes,
) -> Registration:
    """It was suspended, or closed: then it takes its own address back, its aliases have to be added again.

    standing: of its own address. Raises Refused, also when another account has that address by now.
    """
    status, account_id = account.status, AccountId(account.id)
    if status == "active":
        raise Refused("the account is active already")
    if standing.agency is not None:
        check_open(standing.agency)
    account.trigger(AccountActivated, stamp, sealed=reason)
    if status == "suspended":
        return _registration(account, position, ())
    address = own_address(account, account_key)
    if standing.claim is None:
        raise Refused(f"no agency has the domain {address.domain} any more: add it again first")
    check_free(address, standing.holding, account_id, stamp.at)
    check_room(standing)
    looked_up = standing.looked_up(address)
    secret = AddressSecret(str(looked_up))
    sealed = seal(secret, account_key, nonce=nonce, label=address_label(account_id))
    claim = claim_of(address_name(looked_up, site_key), account, stamp, sealed)
    return _registration(account, position, (claim,), [standing.holding])


def _registration(
    account: Account, position: int, beside: Sequence[Fact], holdings: Sequence[Holding] = ()
) -> Registration:
    """The account's pending event and what happens to addresses, each guarded by where its history ends."""
    history = history_of(account.id)
    expected = {fact.subject: holding.position for fact, holding in zip(beside, holdings, strict=True)}
    return Registration(
        (*account.collect_facts(), *beside), {history: position, **expected}, {history: account.version}
    )
