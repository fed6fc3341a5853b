"""Who may administer what: roles granted to accounts and revoked.

Source: architecture §2 (9: roles are checked by `web`), §4 (aggregates).
"""

from gateway.domain.account import Account, Role, RoleGranted, RoleRevoked
from gateway.domain.events import Stamp
from gateway.domain.histories import history_of
from gateway.domain.registration import Refused, Registration
from gateway.mail.ids import AgencyId


def grant_role(
    account: Account, position: int, role: Role, agency_id: AgencyId | None, stamp: Stamp, *, reason: bytes
) -> Registration:
    """agency_id: where it holds; None for an operator alone. reason: of `seal_reason`. Raises Refused."""
    _check_scope(role, agency_id)
    if account.status == "closed":
        raise Refused("the account is closed")
    if (role, agency_id) in account.roles:
        raise Refused(f"the account is {named(role, agency_id)} already")
    account.trigger(RoleGranted, stamp, role=role, agency_id=agency_id, sealed=reason)
    return _registration(account, position)


def revoke_role(
    account: Account, position: int, role: Role, agency_id: AgencyId | None, stamp: Stamp, *, reason: bytes
) -> Registration:
    """Raises Refused, also when the account does not have the role."""
    _check_scope(role, agency_id)
    if (role, agency_id) not in account.roles:
        raise Refused(f"the account is not {named(role, agency_id)}")
    account.trigger(RoleRevoked, stamp, role=role, agency_id=agency_id, sealed=reason)
    return _registration(account, position)


def named(role: Role, agency_id: AgencyId | None) -> str:
    """As a person says it: `helpdesk of ag_…`."""
    return f"{role} of {agency_id}" if agency_id else role


def _check_scope(role: Role, agency_id: AgencyId | None) -> None:
    if role == "operator" and agency_id is not None:
        raise Refused("an operator is one everywhere, not of one agency")
    if role != "operator" and agency_id is None:
        raise Refused(f"the role {role} is of one agency: say which")


def _registration(account: Account, position: int) -> Registration:
    """The account's pending event, guarded by where its history ends."""
    history = history_of(account.id)
    return Registration(account.collect_facts(), {history: position}, {history: account.version})
