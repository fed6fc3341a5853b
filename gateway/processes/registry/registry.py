"""Registering agencies and accounts, and what is changed about an account afterwards."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.domain.account import QUOTA_OCTETS_DEFAULT, AccountKind, account_key_name
from gateway.domain.account_status import activate_account, close_account, own_address, suspend_account
from gateway.domain.agency import NextHop
from gateway.domain.aliases import add_alias, remove_alias
from gateway.domain.credentials import PasswordSet
from gateway.domain.domains import check_unclaimed
from gateway.domain.events import Fact
from gateway.domain.histories import SITE_ADDRESS_KEY
from gateway.domain.registration import (
    NewAccount,
    Refused,
    Registration,
    check_free,
    domain_label,
    register_account,
    register_agency,
)
from gateway.domain.sealing import NONCE_OCTETS
from gateway.domain.signin import access_history
from gateway.mail.address import Address
from gateway.mail.ids import AccountId, AgencyId, MailboxId, is_id
from gateway.processes.registry.deciding import Deciding, account_of


class Registry(Deciding):
    """Who may have mailboxes here. Each call is durable when it returns; rows follow."""

    async def add_agency(
        self,
        name: str,
        domains: Sequence[str],
        *,
        relay_to: NextHop | None = None,
        trial_days: int | None = None,
    ) -> AgencyId:
        """A new agency with its domains. relay_to: its own mail server; None: mailboxes are here.

        trial_days: after how many its trial ends; None: it is no trial.
        Raises Refused, also when one of the domains is another agency's; Unavailable.
        """
        agency_id = AgencyId(self._new_id("ag"))

        async def decide() -> Registration:
            stands = [await self._reading.domain(domain_label(domain)) for domain in domains]
            for stand in stands:
                check_unclaimed(stand)
            positions = {stand.domain: stand.position for stand in stands}
            return register_agency(
                agency_id,
                self._stamp(),
                name=name,
                domains=domains,
                relay_to=relay_to,
                positions=positions,
                trial_days=trial_days,
            )

        await self._decide(f"agency {agency_id}", decide)
        return agency_id

    async def add_account(
        self,
        agency_id: AgencyId,
        address: Address,
        *,
        display_name: str = "",
        kind: AccountKind = "person",
        quota_octets: int = QUOTA_OCTETS_DEFAULT,
        has_password: bool = False,
    ) -> AccountId:
        """A new account with its INBOX and its address. has_password: the caller keeps one for it next.

        Raises Refused, also when the address is given out already; Unavailable.
        """
        if not is_id("ag", agency_id):
            raise Refused(f"{agency_id!r} is no agency's id")
        new = NewAccount(
            account_id=AccountId(self._new_id("acc")),
            inbox_id=MailboxId(self._new_id("mbx")),
            agency_id=agency_id,
            address=address,
            display_name=display_name,
            kind=kind,
            quota_octets=quota_octets,
            nonces=(self._entropy(NONCE_OCTETS), self._entropy(NONCE_OCTETS)),
        )
        site_key = await self._keys.get_or_make(SITE_ADDRESS_KEY)
        key_name, account_key = account_key_name(new.account_id), b""

        async def decide() -> Registration:
            nonlocal account_key
            standing = await self._standing(agency_id, address)
            check_free(address, standing.holding, new.account_id, self._clock.now())  # before a key is made
            account_key = account_key or await self._keys.get_or_make(key_name)
            stamp = self._stamp()
            made = register_account(new, stamp, standing, account_key=account_key, site_key=site_key)
            if not has_password:
                return made
            password = PasswordSet(account_id=new.account_id, how="administrator", **stamp.fields())
            return replace(made, facts=(*made.facts, Fact(access_history(agency_id), password)))

        try:
            await self._decide(f"agency {agency_id}", decide)
        except Refused:
            if account_key:
                await self._keys.forget(key_name)  # nothing was sealed under it
            raise
        return new.account_id

    async def add_alias(self, of: Address, alias: Address) -> AccountId:
        """A further address for the account that has the address `of`. Raises Refused, Unavailable."""
        site_key = await self._keys.get_or_make(SITE_ADDRESS_KEY)

        async def decide() -> Registration:
            found, key = await self._account(of)
            return add_alias(
                found.account,
                found.position,
                alias,
                await self._reading.standing(found.account.agency_id, alias),
                self._stamp(),
                account_key=key,
                site_key=site_key,
                nonce=self._entropy(NONCE_OCTETS),
            )

        return account_of(await self._decide(str(of), decide))

    async def remove_alias(self, alias: Address) -> AccountId:
        """Give a further address up; it rests then. Raises Refused, Unavailable."""

        async def decide() -> Registration:
            found = await self._reading.account_at(alias)
            holding = await self._reading.holding(alias)
            return remove_alias(found.account, found.position, alias, holding, self._stamp())

        return account_of(await self._decide(str(alias), decide))

    async def suspend_account(self, address: Address, reason: str) -> AccountId:
        """Nobody signs in any more; mail still comes in. Raises Refused, Unavailable."""

        async def decide() -> Registration:
            found, key = await self._account(address)
            sealed = self._reason(reason, found.account.id, key)
            return suspend_account(found.account, found.position, self._stamp(), reason=sealed)

        return account_of(await self._decide(str(address), decide))

    async def close_account(self, address: Address, reason: str) -> AccountId:
        """Nobody signs in any more, and its addresses are given up. Raises Refused, Unavailable."""

        async def decide() -> Registration:
            found, key = await self._account(address)
            own = await self._reading.name_of(own_address(found.account, key))
            names = [own, *sorted(found.account.aliases)]
            holdings = [await self._reading.holding_of(name) for name in names]
            sealed = self._reason(reason, found.account.id, key)
            return close_account(found.account, found.position, holdings, self._stamp(), reason=sealed)

        return account_of(await self._decide(str(address), decide))

    async def activate_account(self, address: Address, reason: str) -> AccountId:
        """It is as before it was suspended; closed, it has its address again. Raises Refused, Unavailable."""
        site_key = await self._keys.get_or_make(SITE_ADDRESS_KEY)

        async def decide() -> Registration:
            found, key = await self._account(address)
            return activate_account(
                found.account,
                found.position,
                await self._standing(found.account.agency_id, own_address(found.account, key)),
                self._stamp(),
                reason=self._reason(reason, found.account.id, key),
                account_key=key,
                site_key=site_key,
                nonce=self._entropy(NONCE_OCTETS),
            )

        return account_of(await self._decide(str(address), decide))
