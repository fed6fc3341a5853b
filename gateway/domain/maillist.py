"""MailList: an account of kind `list` passes its mail on to members. Who they are is sealed under its key.

A list is told in a history of its own, beside that of its account; who is a member at a version of it is
said by the events up to there, for ever. Members are in the order they came.

Source: issue 2/9 (lists); RFC 5321 §3.9.2 (a list's own return path).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Literal, Self

from msgspec import Struct

from gateway.domain.account import Account
from gateway.domain.aggregate import Aggregate, AggregateEvent, CreatedEvent, replay
from gateway.domain.aliases import add_alias
from gateway.domain.events import Event, Stamp
from gateway.domain.histories import history_of
from gateway.domain.registration import (
    Holding,
    NewAccount,
    Refused,
    Registration,
    Standing,
    Unknown,
    register_account,
)
from gateway.domain.sealing import seal, unseal
from gateway.mail.address import LOCAL_PART_OCTETS_MAX, Address, parse_address
from gateway.mail.ids import AccountId, AgencyId, MailId

MEMBERS_MAX: Final = 10_000
MEMBERS_AT_ONCE: Final = 1_000  # in one event: 254 octets each at most, sealed
POSTERS_MAX: Final = 100
BOUNCES: Final = "-bounces"  # name-bounces@ is where reports about the list's mails go: its own mailbox

Posting = Literal["members", "anyone", "named"]


class AddressesSecret(Struct, frozen=True):
    """Sealed under the list's `account.<account_id>`, label `list:<account_id>`."""

    addresses: tuple[str, ...]


class ListCreated(CreatedEvent, frozen=True, kw_only=True):
    """list.<account_id>: mail to it goes to members. Who may post: they, anyone, or those in `sealed`."""

    TOPIC: ClassVar[str] = "list.created/1"

    account_id: AccountId
    posting: Posting
    sealed: bytes  # AddressesSecret: who may post when it is "named"


class MembersAdded(AggregateEvent, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "list.members_added/1"

    sealed: bytes  # AddressesSecret

    def apply(self, aggregate: "MailList") -> None:
        aggregate.changes.append((True, self.sealed))


class MembersRemoved(AggregateEvent, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "list.members_removed/1"

    sealed: bytes  # AddressesSecret

    def apply(self, aggregate: "MailList") -> None:
        aggregate.changes.append((False, self.sealed))


class PostingSet(AggregateEvent, frozen=True, kw_only=True):
    """Who may post from here on: members, anyone, or those in `sealed`."""

    TOPIC: ClassVar[str] = "list.posting_set/1"

    posting: Posting
    sealed: bytes  # AddressesSecret: who may post when it is "named"

    def apply(self, aggregate: "MailList") -> None:
        aggregate.posting, aggregate.sealed = self.posting, self.sealed


class ListExpanded(Event, frozen=True, kw_only=True):
    """mail.<slot>: these recipients are a list; the mail is for its members as they were at this version.

    They follow as mails of their own, `mail.accepted` with `expands`, in parts.
    """

    TOPIC: ClassVar[str] = "list.expanded/1"

    mail_id: MailId
    recipients: tuple[int, ...]
    agency_id: AgencyId  # the list's
    account_id: AccountId  # the list's
    version: int  # of its history
    members: int
    report_success: tuple[int, ...] = ()  # whose sender wants to know that it is at the list


class MailList(Aggregate):
    TOPIC: ClassVar[str] = "list"

    def __init__(self, account_id: AccountId, posting: Posting, sealed: bytes) -> None:
        self.account_id = account_id
        self.posting: Posting = posting
        self.sealed = sealed
        self.changes: list[tuple[bool, bytes]] = []  # added or removed, and whom

    @classmethod
    def create(cls, account_id: AccountId, stamp: Stamp, *, posting: Posting, sealed: bytes) -> Self:
        return cls.create_as(
            ListCreated, list_id(account_id), stamp, account_id=account_id, posting=posting, sealed=sealed
        )

    def members(self, key: bytes) -> dict[str, Address]:
        """By normalised address, in the order they came; as they were written."""
        found: dict[str, Address] = {}
        for is_added, sealed in self.changes:
            for address in open_addresses(sealed, self.account_id, key):
                if is_added:
                    found.setdefault(str(address.normalise()), address)
                else:
                    found.pop(str(address.normalise()), None)
        return found

    def posters(self, key: bytes) -> list[Address]:
        """Who may post where it is "named"; nobody is named otherwise."""
        return open_addresses(self.sealed, self.account_id, key)

    def may_post(self, sender: Address | None, key: bytes) -> bool:
        """sender: of the envelope; None: nobody, and nobody posts nothing."""
        if sender is None:
            return False
        name = str(sender.normalise())
        match self.posting:
            case "anyone":
                return True
            case "members":
                return name in self.members(key)
            case "named":
                return any(str(poster.normalise()) == name for poster in self.posters(key))


@dataclass(frozen=True, slots=True)
class NewList:
    """What an administrator asks for beside the account. bounces: whose `name-bounces@` is."""

    posting: Posting
    posters: Sequence[Address]
    bounces: Holding
    nonces: tuple[bytes, bytes] = field(repr=False)  # 12 random octets each


def list_id(account_id: AccountId) -> str:
    """`list_…`: an aggregate's id is its own even where it is one with its account."""
    return "list" + account_id.removeprefix("acc")


def list_label(account_id: AccountId) -> str:
    """The label under which an AddressesSecret is sealed."""
    return f"list:{account_id}"


def bounces_of(address: Address) -> Address:
    """The list's own return path (RFC 5321 §3.9.2). Raises Refused when that would be no address."""
    local_part = address.local_part + BOUNCES
    if len(local_part.encode()) > LOCAL_PART_OCTETS_MAX:
        raise Refused(f"a list's name has at most {LOCAL_PART_OCTETS_MAX - len(BOUNCES)} octets")
    return Address(local_part, address.domain)


def open_addresses(sealed: bytes, account_id: AccountId, key: bytes) -> list[Address]:
    secret = unseal(AddressesSecret, sealed, key, label=list_label(account_id))
    return [parse_address(address) for address in secret.addresses]


def seal_addresses(addresses: Sequence[Address], account_id: AccountId, key: bytes, nonce: bytes) -> bytes:
    secret = AddressesSecret(tuple(map(str, addresses)))
    return seal(secret, key, nonce=nonce, label=list_label(account_id))


def register_list(
    new: NewAccount, asked: NewList, stamp: Stamp, standing: Standing, *, account_key: bytes, site_key: bytes
) -> Registration:
    """A new account of kind list, its list and its return path, in one append. Raises Refused."""
    check_posting(asked.posting, asked.posters)
    bounces = bounces_of(new.address)
    registered = register_account(new, stamp, standing, account_key=account_key, site_key=site_key)
    sealed = seal_addresses(asked.posters, new.account_id, account_key, asked.nonces[0])
    mail_list = MailList.create(new.account_id, stamp, posting=asked.posting, sealed=sealed)
    account = replay(Account, [registered.facts[0].event])
    assert account is not None, "it was just made"
    claimed = add_alias(
        account,
        0,
        bounces,
        replace(standing, holding=asked.bounces),
        stamp,
        account_key=account_key,
        site_key=site_key,
        nonce=asked.nonces[1],
    )
    expected = {**registered.expected, **claimed.expected}
    expected.pop(history_of(new.account_id))  # it is new, and so is its id
    return Registration(
        (*registered.facts, *mail_list.collect_facts(), *claimed.facts),
        expected,
        {**registered.versions, history_of(mail_list.id): 1},
    )


def add_members(
    mail_list: MailList,
    position: int,
    addresses: Sequence[Address],
    stamp: Stamp,
    *,
    own: Address,
    key: bytes,
    nonce: bytes,
) -> Registration | None:
    """Some more members, MEMBERS_AT_ONCE at most; None: they all are already. own: the list's address.

    position: where the list's history ends. Raises Refused.
    """
    assert len(addresses) <= MEMBERS_AT_ONCE, len(addresses)
    members = mail_list.members(key)
    new = {str(address.normalise()): address for address in addresses}
    if str(own.normalise()) in new:
        raise Refused("a list is no member of itself")
    new = {name: address for name, address in new.items() if name not in members}
    if len(members) + len(new) > MEMBERS_MAX:
        raise Refused(f"a list has at most {MEMBERS_MAX} members, this one has {len(members)}")
    if not new:
        return None
    first = mail_list.version + 1
    sealed = seal_addresses(list(new.values()), mail_list.account_id, key, nonce)
    mail_list.trigger(MembersAdded, stamp, sealed=sealed)
    return _registration(mail_list, position, first)


def remove_member(
    mail_list: MailList, position: int, address: Address, stamp: Stamp, *, key: bytes, nonce: bytes
) -> Registration:
    """Raises Unknown when it is no member."""
    if str(address.normalise()) not in mail_list.members(key):
        raise Unknown(f"{address} is no member of this list")
    first = mail_list.version + 1
    sealed = seal_addresses([address], mail_list.account_id, key, nonce)
    mail_list.trigger(MembersRemoved, stamp, sealed=sealed)
    return _registration(mail_list, position, first)


def set_posting(
    mail_list: MailList,
    position: int,
    posting: Posting,
    posters: Sequence[Address],
    stamp: Stamp,
    *,
    key: bytes,
    nonce: bytes,
) -> Registration:
    """Who may post from here on. Raises Refused."""
    check_posting(posting, posters)
    first = mail_list.version + 1
    sealed = seal_addresses(posters, mail_list.account_id, key, nonce)
    mail_list.trigger(PostingSet, stamp, posting=posting, sealed=sealed)
    return _registration(mail_list, position, first)


def check_posting(posting: Posting, posters: Sequence[Address]) -> None:
    """Raises Refused."""
    if (posting == "named") != bool(posters):
        raise Refused("name who may post, and nobody where members or anyone may")
    if len(posters) > POSTERS_MAX:
        raise Refused(f"a list names at most {POSTERS_MAX} who may post")


def _registration(mail_list: MailList, position: int, first: int) -> Registration:
    history = history_of(mail_list.id)
    return Registration(mail_list.collect_facts(), {history: position}, {history: first})
