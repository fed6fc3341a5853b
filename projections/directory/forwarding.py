"""Which accounts forward their mail, to whom, and whether that holds now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.agency import FORWARDING_DEFAULT, AgencyStatus, ForwardingPolicy
from gateway.domain.forwarding import ForwardingRefusal, allows
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId, AgencyId
from projections.directory.project import DirectoryModel
from projections.readmodel import Rows, schema_of

_SCHEMA = schema_of(DirectoryModel)
SENDING: Final[frozenset[AgencyStatus]] = frozenset({"active", "trial"})  # agencies whose people may send


@dataclass(frozen=True, slots=True)
class Target:
    """refusal: why mail does not go there now; None: it does."""

    address: str
    refusal: ForwardingRefusal | None


@dataclass(frozen=True, slots=True)
class Rule:
    """An account's forwarding. address: its own. targets: none when erased. set_by: of the event's actor."""

    account_id: AccountId
    address: str
    policy: ForwardingPolicy
    keeps_copy: bool
    targets: tuple[Target, ...]
    set_at: datetime
    set_by: str

    @property
    def allowed(self) -> tuple[str, ...]:
        """Where mail goes now."""
        return tuple(target.address for target in self.targets if target.refusal is None)


async def rules_of(rows: Rows, account_ids: Collection[AccountId]) -> dict[AccountId, Rule]:
    """The rules of those accounts that have one.

    Who may not send now does not forward either: of a suspended account, or one whose agency is or whose
    agency's trial has ended, no rule holds. It may be another's doing.
    """
    found = await rows.fetch(
        f"""SELECT account_id, account.address, account.status, agency.status AS agency_status,
            agency.forwarding AS policy, keeps_copy, targets, set_at, set_by
        FROM {_SCHEMA}.forwarding JOIN {_SCHEMA}.account USING (account_id)
            JOIN {_SCHEMA}.agency USING (agency_id)
        WHERE account_id = ANY($1::text[])""",
        list(account_ids),
    )
    domains = {_domain(target) for row in found if row["policy"] == "inside" for target in row["targets"]}
    inside = await _ours(rows, domains) if domains else set()
    rules = dict[AccountId, Rule]()
    for row in found:
        is_suspended = row["status"] == "suspended" or row["agency_status"] not in SENDING
        targets = tuple(
            Target(target, _refusal(row["policy"], _domain(target) in inside, is_suspended=is_suspended))
            for target in row["targets"]
        )
        account_id = AccountId(row["account_id"])
        rules[account_id] = Rule(
            account_id,
            row["address"],
            row["policy"],
            row["keeps_copy"],
            targets,
            row["set_at"],
            row["set_by"],
        )
    return rules


async def leaves_mailbox_alone(rows: Rows, account_id: AccountId) -> bool:
    """Whether the account's mail goes on without a copy, so that a full mailbox is no matter."""
    rule = (await rules_of(rows, [account_id])).get(account_id)
    return rule is not None and not rule.keeps_copy and bool(rule.allowed)


async def policy_of(rows: Rows, agency_id: AgencyId) -> ForwardingPolicy:
    """Where an agency's accounts may forward; the default for an agency the rows do not know."""
    policy: ForwardingPolicy | None = await rows.fetchval(
        f"SELECT forwarding FROM {_SCHEMA}.agency WHERE agency_id = $1", agency_id
    )
    return policy or FORWARDING_DEFAULT


def _refusal(policy: ForwardingPolicy, is_inside: bool, *, is_suspended: bool) -> ForwardingRefusal | None:
    if is_suspended:
        return "suspended"
    return None if allows(policy, is_inside=is_inside) else "policy"


def _domain(target: str) -> str:
    return parse_address(target).normalise().domain


async def _ours(rows: Rows, domains: Collection[str]) -> set[str]:
    found = await rows.fetch(
        f"SELECT domain FROM {_SCHEMA}.domain WHERE domain = ANY($1::text[])", list(domains)
    )
    return {row["domain"] for row in found}
