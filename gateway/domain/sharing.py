"""Who may do what with a mailbox that is somebody else's.

Rights are given by mailbox and holder: an account, or an agency for everybody in it ("anyone"). They are
looked at anew for each command; whoever is suspended has none meanwhile.

Source: RFC 4314 §2 (ACL), §2.1 (rights); ADR 0027.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gateway.mail.ids import AccountId, AgencyId
from gateway.mail.rights import ALL, rights_text

HowRights = Literal["add", "remove", "replace"]
ALL_RIGHTS: Final = frozenset(ALL)


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody a right is about. is_active: may sign in; is_closed: for good."""

    account_id: AccountId
    agency_id: AgencyId
    is_active: bool = True
    is_closed: bool = False

    @property
    def holders(self) -> tuple[str, str]:
        """As whom it has rights."""
        return self.account_id, self.agency_id


def rights_of(person: Party, owner: Party, given: Mapping[str, str]) -> frozenset[str]:
    """What somebody may do with a mailbox. given: its rights by holder.

    Its owner may do everything. What somebody who was suspended has shared stays open to the others: a desk
    goes on when one person is away; what a closed account has shared does not.
    """
    if person.account_id == owner.account_id:
        return ALL_RIGHTS
    if person.agency_id != owner.agency_id or not person.is_active or owner.is_closed:
        return frozenset()
    return frozenset("".join(given.get(holder, "") for holder in person.holders))


def changed_rights(had: str, how: HowRights, rights: frozenset[str]) -> str:
    """What a holder has afterwards (RFC 4314 §3.1)."""
    match how:
        case "add":
            return rights_text({*had, *rights})
        case "remove":
            return rights_text(set(had) - rights)
        case "replace":
            return rights_text(rights)
