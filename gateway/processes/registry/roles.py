"""Granting and revoking roles."""

from gateway.domain.account import Role
from gateway.domain.registration import Registration
from gateway.domain.roles import grant_role, revoke_role
from gateway.mail.address import Address
from gateway.mail.ids import AccountId, AgencyId
from gateway.processes.registry.deciding import Deciding, account_of


class Roles(Deciding):
    """Who may administer what. Each call is durable when it returns; rows follow.

    agency_id: where a role holds; None: everywhere, for an operator alone. All raise Refused, Unavailable.
    """

    async def grant(self, address: Address, role: Role, agency_id: AgencyId | None, reason: str) -> AccountId:
        """The owner of the account with this address may do what the role allows. Raises Unknown."""

        async def decide() -> Registration:
            found, key = await self._account(address)
            if agency_id is not None:
                await self._reading.agency(agency_id)
            sealed = self._reason(reason, found.account.id, key)
            return grant_role(found.account, found.position, role, agency_id, self._stamp(), reason=sealed)

        return account_of(await self._decide(str(address), decide))

    async def revoke(
        self, address: Address, role: Role, agency_id: AgencyId | None, reason: str
    ) -> AccountId:
        """The owner may not do it any more. Raises Unknown."""

        async def decide() -> Registration:
            found, key = await self._account(address)
            sealed = self._reason(reason, found.account.id, key)
            return revoke_role(found.account, found.position, role, agency_id, self._stamp(), reason=sealed)

        return account_of(await self._decide(str(address), decide))
