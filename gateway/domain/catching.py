"""What becomes of addresses that nobody has: names with a tag, and an agency's catch-all.

The edge at RCPT and the router ask the same function, about the same rows.

Source: RFC 5233 §1 (name+tag); ADR 0014.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gateway.domain.account import Account
from gateway.domain.aggregate import AggregateEvent
from gateway.domain.routing import Hosted, UnknownHere, Whereabouts
from gateway.mail.ids import AccountId

if TYPE_CHECKING:
    from gateway.domain.agency import Agency


@dataclass(frozen=True, slots=True)
class Looked:
    """What is known of one spelling of an address.

    plus: its agency takes name+tag@ for name@. was_held: somebody had it and gave it up. catcher: where its
    agency's catch-all is; None: it has none.
    """

    where: Whereabouts
    plus: bool = True
    was_held: bool = False
    catcher: Hosted | None = None


def settle(own: Looked, untagged: Looked | None = None) -> Whereabouts:
    """Where a mail to an address goes. untagged: the same without its tag; None: it has none.

    Who has the address itself comes first, then who has it without its tag, then the agency's catch-all; but
    what was somebody's is never caught: its mail is for the one who left, and its sender has to hear so.
    """
    looked = [own, untagged] if untagged is not None and own.plus else [own]
    for each in looked:
        if isinstance(each.where, Hosted):
            return each.where
    if isinstance(own.where, UnknownHere) and own.catcher and not any(each.was_held for each in looked):
        return own.catcher
    return own.where


class AgencyCatchAllSet(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: mail to addresses of its domains that nobody ever had goes to this account."""

    TOPIC: ClassVar[str] = "agency.catch_all_set/1"

    account_id: AccountId | None  # None: it is refused

    def apply(self, aggregate: "Agency") -> None:
        aggregate.catch_all_id = self.account_id


class AgencyPlusAddressingSet(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: name+tag@ is name@ where nobody has the address with its tag; or it is not."""

    TOPIC: ClassVar[str] = "agency.plus_addressing_set/1"

    is_on: bool

    def apply(self, aggregate: "Agency") -> None:
        aggregate.plus_addressing = self.is_on


def cannot_catch(account: Account) -> str:
    """Why an account cannot be a catch-all; "": it can."""
    if account.status == "closed":
        return "the account is closed"
    return "a list cannot catch what is for nobody: name a mailbox" if account.kind == "list" else ""
