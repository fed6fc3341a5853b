"""What each role may do, and to which agencies: the one place where roles are checked (architecture §2, 9).

Somebody who may not even see an agency is told that it is not here, in the words for what really is not, so
that nothing is learnt; somebody who sees it and may do no more is told so.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from gateway.domain.account import Role
from gateway.domain.events import Actor
from gateway.mail.ids import AgencyId
from gateway.processes.web.problems import forbidden, not_here
from projections.directory.query import AccountRow

# see: agencies, accounts, aliases, roles, what waits in the queue. attend: suspend and activate accounts;
# hold, release and retry what waits. change: all else about an agency's people and its mail. govern: agencies
# themselves, and how many accounts one may have.
Right = Literal["see", "attend", "change", "govern"]
RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    "operator": frozenset({"see", "attend", "change", "govern"}),
    "agency-admin": frozenset({"see", "attend", "change"}),
    "helpdesk": frozenset({"see", "attend"}),
    "auditor": frozenset({"see"}),
}
# Nobody takes anything away from somebody who may do more: helpdesk does not shut out its administrator.
RANK: Final[dict[Role, int]] = {"auditor": 0, "helpdesk": 0, "agency-admin": 1, "operator": 2}

NEEDS_TOTP: Final = "your role asks for an authenticator: saraban account totp, then sign in again"
MEMBERS_SEE: Final = "a member sees /api/v1/me and nothing else"


@dataclass(frozen=True, slots=True)
class Grant:
    """A role somebody has. agency_id: where; None: everywhere, an operator's alone."""

    role: Role
    agency_id: AgencyId | None

    def covers(self, agency_id: AgencyId) -> bool:
        return self.role == "operator" or self.agency_id == agency_id


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a token. account: None for an operator without one.

    lacks_totp: its role asks for an authenticator and there is none: it sees itself alone.
    """

    actor: Actor
    account: AccountRow | None
    grants: frozenset[Grant]
    lacks_totp: bool = False

    @property
    def is_operator(self) -> bool:
        return any(grant.role == "operator" for grant in self.grants)

    @property
    def sees(self) -> frozenset[AgencyId] | None:
        """The agencies it may see; None: all."""
        return self.having("see")

    def having(self, right: Right) -> frozenset[AgencyId] | None:
        """The agencies where it has this right; None: all."""
        if self.is_operator:
            return None
        return frozenset(
            grant.agency_id for grant in self.grants if grant.agency_id and right in RIGHTS[grant.role]
        )

    def may(self, right: Right, agency_id: AgencyId) -> bool:
        return any(grant.covers(agency_id) and right in RIGHTS[grant.role] for grant in self.grants)

    @property
    def own_account(self) -> AccountRow:
        """What everybody may see and use. Raises Problem, 403, for an operator without an account."""
        if self.account is None:
            raise forbidden("an operator of `saraban init` has no account")
        return self.account

    def check(self, right: Right) -> None:
        """Raises Problem, 403, for who has this right nowhere; a member has none."""
        if not self.grants:
            raise forbidden(MEMBERS_SEE)
        if self.lacks_totp:
            raise forbidden(NEEDS_TOTP)
        if not any(right in RIGHTS[grant.role] for grant in self.grants):
            raise forbidden(self._not_allowed())

    def check_in(self, right: Right, agency_id: AgencyId | None, unknown: str) -> None:
        """Raises Problem: 404, in the words `unknown`, where the agency is not its to see; 403 where it is.

        agency_id: None when there is no such thing at all.
        """
        if agency_id is None or not self.may("see", agency_id):
            raise not_here(unknown)
        if not self.may(right, agency_id):
            raise forbidden(self._not_allowed())

    def check_rank(self, others: Collection[Grant], agency_id: AgencyId) -> None:
        """Raises Problem, 403, when the account it would change belongs to somebody who may do more."""
        own = max((RANK[grant.role] for grant in self.grants if grant.covers(agency_id)), default=-1)
        if any(RANK[grant.role] > own for grant in others):
            raise forbidden("the account belongs to somebody whose role is higher than yours")

    def _not_allowed(self) -> str:
        names = sorted({grant.role for grant in self.grants})
        return f"the role {' and '.join(names)} does not allow this"


def check_grantable(caller: Caller, role: Role) -> None:
    """Raises Problem, 403: an operator is made by operators alone."""
    if role == "operator" and not caller.is_operator:
        raise forbidden("operators are made by operators alone")
