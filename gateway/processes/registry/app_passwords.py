"""Making and revoking app passwords."""

from gateway.domain.app_passwords import Use, make_app_password, revoke_app_password
from gateway.domain.registration import Refused, Registration
from gateway.domain.sealing import NONCE_OCTETS
from gateway.mail.address import Address
from gateway.processes.registry.deciding import Deciding
from gateway.processes.signin.app_passwords import app_password_name, keep, new_password, salt_of


class AppPasswords(Deciding):
    """Further passwords of accounts. Each call is durable when it returns; rows follow."""

    async def make(self, of: Address, use: Use) -> tuple[str, str]:
        """Its id and the password, which nobody can show again. Raises Refused, Unknown, Unavailable.

        The verifier is kept first: an event never names one that is not there.
        """
        app_id, password = self._new_id("app"), new_password(self._entropy)
        found, _ = await self._account(of)
        await keep(self._keys, app_id, password, await salt_of(self._keys, found.account.id))

        async def decide() -> Registration:
            found, key = await self._account(of)
            return make_app_password(
                found.account,
                found.position,
                self._stamp(),
                use,
                app_id=app_id,
                account_key=key,
                nonce=self._entropy(NONCE_OCTETS),
            )

        try:
            await self._decide(str(of), decide)
        except Refused:
            await self._keys.forget(app_password_name(app_id))
            raise
        return app_id, password

    async def revoke(self, of: Address, app_id: str) -> None:
        """It opens nothing any more, within seconds on every process. Raises Unknown, Unavailable."""

        async def decide() -> Registration:
            found, _ = await self._account(of)
            return revoke_app_password(found.account, found.position, self._stamp(), app_id)

        await self._decide(str(of), decide)
        await self._keys.forget(app_password_name(app_id))
