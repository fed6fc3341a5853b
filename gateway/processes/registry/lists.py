"""Mailing lists: made, and who is on them."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.account import QUOTA_OCTETS_DEFAULT, account_key_name
from gateway.domain.account_status import own_address
from gateway.domain.aggregate import replay
from gateway.domain.histories import SITE_ADDRESS_KEY, history_of
from gateway.domain.maillist import (
    MEMBERS_AT_ONCE,
    MailList,
    NewList,
    Posting,
    add_members,
    bounces_of,
    list_id,
    register_list,
    remove_member,
    set_posting,
)
from gateway.domain.registration import NewAccount, Refused, Registration, Unknown, check_free
from gateway.domain.sealing import NONCE_OCTETS
from gateway.mail.address import Address
from gateway.mail.ids import AccountId, MailboxId
from gateway.ports import Conflict, Position
from gateway.processes.registry.deciding import DECISIONS_MAX, Deciding


@dataclass(frozen=True, slots=True)
class FoundList:
    """A list as its history tells of it, where that ends, its address and what opens it."""

    mail_list: MailList
    position: Position
    address: Address
    key: bytes


class MailLists(Deciding):
    """Each call is durable when it returns. All raise Refused, Unavailable."""

    async def add_list(
        self, address: Address, *, display_name: str, posting: Posting, posters: Sequence[Address]
    ) -> AccountId:
        """A new list without members, with its own return path; the agency is that of the domain."""
        claim, _ = await self._reading.claim_of(address.domain)
        if claim is None:
            raise Refused(f"no agency has the domain {address.domain}")
        new = NewAccount(
            account_id=AccountId(self._new_id("acc")),
            inbox_id=MailboxId(self._new_id("mbx")),
            agency_id=claim.agency_id,
            address=address,
            display_name=display_name,
            kind="list",
            quota_octets=QUOTA_OCTETS_DEFAULT,
            nonces=(self._entropy(NONCE_OCTETS), self._entropy(NONCE_OCTETS)),
        )
        site_key = await self._keys.get_or_make(SITE_ADDRESS_KEY)
        bounces = bounces_of(address)
        key_name, account_key = account_key_name(new.account_id), b""

        async def decide() -> Registration:
            nonlocal account_key
            standing = await self._standing(new.agency_id, address)
            asked = NewList(
                posting,
                posters,
                await self._reading.holding(bounces),
                (self._entropy(NONCE_OCTETS), self._entropy(NONCE_OCTETS)),
            )
            check_free(address, standing.holding, new.account_id, self._clock.now())
            check_free(bounces, asked.bounces, new.account_id, self._clock.now())
            account_key = account_key or await self._keys.get_or_make(key_name)
            return register_list(
                new, asked, self._stamp(), standing, account_key=account_key, site_key=site_key
            )

        try:
            await self._decide(str(address), decide)
        except Refused:
            if account_key:
                await self._keys.forget(key_name)  # nothing was sealed under it
            raise
        return new.account_id

    async def add_members(self, address: Address, members: Sequence[Address]) -> int:
        """How many are new; who is a member already stays one. 1,000 in one append."""
        added = 0
        for start in range(0, len(members), MEMBERS_AT_ONCE):
            added += await self._add_some(address, members[start : start + MEMBERS_AT_ONCE])
        return added

    async def _add_some(self, address: Address, members: Sequence[Address]) -> int:
        for _ in range(DECISIONS_MAX):
            found = await self.find(address)
            before = len(found.mail_list.members(found.key))
            registration = add_members(
                found.mail_list,
                found.position,
                members,
                self._stamp(),
                own=found.address,
                key=found.key,
                nonce=self._entropy(NONCE_OCTETS),
            )
            if registration is None:
                return 0
            try:
                await self._append(registration)
            except Conflict:
                continue
            return len(found.mail_list.members(found.key)) - before
        raise Conflict(f"the history of {address} moves too fast")

    async def remove_member(self, address: Address, member: Address) -> None:
        """Raises Unknown when it is no member."""

        async def decide() -> Registration:
            found = await self.find(address)
            return remove_member(
                found.mail_list,
                found.position,
                member,
                self._stamp(),
                key=found.key,
                nonce=self._entropy(NONCE_OCTETS),
            )

        await self._decide(str(address), decide)

    async def set_posting(self, address: Address, posting: Posting, posters: Sequence[Address]) -> None:
        """Who may write to the list from here on."""

        async def decide() -> Registration:
            found = await self.find(address)
            return set_posting(
                found.mail_list,
                found.position,
                posting,
                posters,
                self._stamp(),
                key=found.key,
                nonce=self._entropy(NONCE_OCTETS),
            )

        await self._decide(str(address), decide)

    async def find(self, address: Address) -> FoundList:
        """The list with an address. Raises Unknown."""
        account, key = await self._account(address)
        history = await self._log.history(history_of(list_id(AccountId(account.account.id))))
        mail_list = replay(MailList, [recorded.event for recorded in history])
        if mail_list is None:
            raise Unknown(f"{address} is no list")
        return FoundList(mail_list, history[-1].position, own_address(account.account, key), key)
