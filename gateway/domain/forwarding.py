"""Forwarding: an account's mail goes on to other addresses, as far as its agency allows.

A rule is one fact of the account's history, whole each time; whom it names is sealed under the account's key.
What the agency allows is asked at each mail: a rule it allows no more stops working, and its mail is in the
mailbox again.

Source: issue 2/9 (account); RFC 5321 §3.9.1 (aliases), RFC 3461 §5.2.7 (what the sender is told).
"""

from collections.abc import Sequence
from typing import ClassVar, Final, Literal

from msgspec import Struct

from gateway.domain.account import Account
from gateway.domain.agency import Agency, ForwardingPolicy
from gateway.domain.aggregate import AggregateEvent
from gateway.domain.events import Event, Stamp, Wrap
from gateway.domain.histories import history_of
from gateway.domain.registration import Refused, Registration, Unknown
from gateway.domain.sealing import seal, unseal
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AccountId, AgencyId, MailId

TARGETS_MAX: Final = 5  # more are a list, which says who may post and can be left


class ForwardingSecret(Struct, frozen=True):
    """Sealed under `account.<account_id>`, label `forwarding:<account_id>`."""

    targets: tuple[str, ...]


class ForwardingSet(AggregateEvent, frozen=True, kw_only=True):
    """account.<account_id>: its mail goes to these from here on, whatever was set before.

    keeps_copy: it comes into the mailbox as well.
    """

    TOPIC: ClassVar[str] = "forwarding.set/1"

    keeps_copy: bool
    sealed: bytes  # ForwardingSecret

    def apply(self, aggregate: Account) -> None:
        aggregate.forwarding = (self.keeps_copy, self.sealed)


class ForwardingRemoved(AggregateEvent, frozen=True, kw_only=True):
    """account.<account_id>: its mail comes into the mailbox and nowhere else."""

    TOPIC: ClassVar[str] = "forwarding.removed/1"

    def apply(self, aggregate: Account) -> None:
        aggregate.forwarding = None


class ForwardedSecret(Struct, frozen=True):
    """What happened by a rule. Sealed under the mail's data key, label of `forwarded_label`."""

    mail_from: str | None  # of the mail as it came: reports go there
    address: str  # the account's own, by whose rule it is
    targets: tuple[str, ...]


class MailForwarded(Event, frozen=True, kw_only=True):
    """mail.<slot>: for these recipients, all of one account, the mail goes on by the rule of that account.

    It follows as a mail of its own, `mail.accepted` with `expands`. keeps_copy: mail.delivered is beside it.
    """

    TOPIC: ClassVar[str] = "mail.forwarded/1"

    mail_id: MailId
    recipients: tuple[int, ...]
    agency_id: AgencyId  # the account's, whose key is in `keys`
    account_id: AccountId
    keeps_copy: bool
    targets: int  # how many
    keys: tuple[Wrap, ...]
    sealed: bytes  # ForwardedSecret
    report_success: tuple[int, ...] = ()  # whose sender wants to know that it went on


def set_forwarding(
    account: Account,
    position: int,
    targets: Sequence[Address],
    stamp: Stamp,
    *,
    keeps_copy: bool,
    account_key: bytes,
    nonce: bytes,
) -> Registration:
    """Let the account's mail go on. position: where its history ends. Raises Refused.

    Whether the agency allows the targets is for `check_target`.
    """
    if account.status == "closed":
        raise Refused("the account is closed")
    if account.kind == "list":
        raise Refused("a list passes its mail on to its members: add one")
    named = {str(target.normalise()): target for target in targets}
    if not 1 <= len(named) <= TARGETS_MAX:
        raise Refused(f"mail is forwarded to at most {TARGETS_MAX} addresses, and to one at least")
    secret = ForwardingSecret(tuple(map(str, named.values())))
    account_id, had = AccountId(account.id), account.forwarding
    if had and had[0] == keeps_copy and open_targets(had[1], account_id, account_key) == [*named.values()]:
        raise Refused("the account has this rule already")
    sealed = seal(secret, account_key, nonce=nonce, label=forwarding_label(account_id))
    account.trigger(ForwardingSet, stamp, keeps_copy=keeps_copy, sealed=sealed)
    return _registration(account, position)


def remove_forwarding(account: Account, position: int, stamp: Stamp) -> Registration:
    """Let its mail come into the mailbox and nowhere else. Raises Unknown where there is no rule."""
    if account.forwarding is None:
        raise Unknown("the account forwards its mail to nobody")
    account.trigger(ForwardingRemoved, stamp)
    return _registration(account, position)


def check_target(target: Address, agency: Agency, *, is_inside: bool) -> None:
    """Raises Refused for an address to which the agency's accounts may not forward."""
    if not allows(agency.forwarding, is_inside=is_inside):
        raise Refused(f"{agency.name} does not let mail be forwarded to {target}: {SAYS[agency.forwarding]}")


def allows(policy: ForwardingPolicy, *, is_inside: bool) -> bool:
    """is_inside: whether the domain of the target is that of an agency of this gateway."""
    return policy == "anywhere" or (policy == "inside" and is_inside)


SAYS: Final[dict[ForwardingPolicy, str]] = {
    "none": "its policy is none",
    "inside": "its policy is inside, to agencies of this gateway alone",
    "anywhere": "its policy is anywhere",
}


def open_targets(sealed: bytes, account_id: AccountId, key: bytes) -> list[Address]:
    secret = unseal(ForwardingSecret, sealed, key, label=forwarding_label(account_id))
    return [parse_address(target) for target in secret.targets]


def forwarding_label(account_id: AccountId) -> str:
    """The label under which a ForwardingSecret is sealed."""
    return f"forwarding:{account_id}"


def forwarded_label(mail_id: MailId, account_id: AccountId) -> str:
    """The label under which a ForwardedSecret is sealed."""
    return f"forwarded:{mail_id}:{account_id}"


def _registration(account: Account, position: int) -> Registration:
    history = history_of(account.id)
    return Registration(account.collect_facts(), {history: position}, {history: account.version})


ForwardingRefusal = Literal["policy", "suspended"]
