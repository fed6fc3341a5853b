"""Forwarding rules of accounts: set and removed."""

from collections.abc import Sequence

from gateway.domain.forwarding import check_target, remove_forwarding, set_forwarding
from gateway.domain.registration import Refused, Registration
from gateway.domain.sealing import NONCE_OCTETS
from gateway.mail.address import Address
from gateway.mail.ids import AccountId
from gateway.processes.registry.deciding import Deciding, account_of


class Forwarding(Deciding):
    """Each call is durable when it returns; rows follow. All raise Refused, Unknown, Unavailable."""

    async def set(self, address: Address, targets: Sequence[Address], *, keeps_copy: bool) -> AccountId:
        """Let the mail of the account with this address go to others, whatever its rule was before."""

        async def decide() -> Registration:
            found, key = await self._account(address)
            agency = (await self._reading.agency(found.account.agency_id)).agency
            for target in targets:
                claim, _ = await self._reading.claim_of(target.domain)
                check_target(target, agency, is_inside=claim is not None)
                if (await self._reading.holding(target)).owner == found.account.id:
                    raise Refused(f"{target} is an address of this account itself")
            return set_forwarding(
                found.account,
                found.position,
                targets,
                self._stamp(),
                keeps_copy=keeps_copy,
                account_key=key,
                nonce=self._entropy(NONCE_OCTETS),
            )

        return account_of(await self._decide(str(address), decide))

    async def remove(self, address: Address) -> AccountId:
        """Let its mail come into the mailbox and nowhere else. Raises Unknown where there is no rule."""

        async def decide() -> Registration:
            found, _ = await self._account(address)
            return remove_forwarding(found.account, found.position, self._stamp())

        return account_of(await self._decide(str(address), decide))
