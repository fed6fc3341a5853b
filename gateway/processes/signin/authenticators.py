"""One's own authenticator: begun, confirmed by a code of it, removed by a code of it.

A secret that was begun is worth nothing until a code has shown that it is in an authenticator: nobody shuts
themselves out by a picture that was not scanned. The fact is in the log before it holds.

Source: issue 2/9, Credentials (TOTP for administrators and auditors).
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.credentials import OperatorTotpRemoved, OperatorTotpSet, TotpRemoved, TotpSet
from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.registration import Refused, Unknown
from gateway.domain.signin import access_history
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Clock, Entropy, KeyForgotten, KeyStore, Lane
from gateway.processes.signin.totp import new_secret, operator_secret_name, secret_name

NO_CODE = "this is no code of the authenticator that holds now"
CheckCode = Callable[[str, str], bool]  # a secret and a code: whether it is one of it, and was not used


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose it is: an account, or an operator without one, by name."""

    name: str
    account_id: AccountId | None = None
    agency_id: AgencyId | None = None

    @property
    def secret_name(self) -> str:
        return secret_name(self.account_id) if self.account_id else operator_secret_name(self.name)


class Authenticators:
    """All raise Refused, Unknown with the reason; Unavailable."""

    def __init__(self, *, keys: KeyStore, lane: Lane, clock: Clock, entropy: Entropy, by: By) -> None:
        self._keys, self._lane, self._clock, self._entropy, self._by = keys, lane, clock, entropy, by

    async def holds(self, owner: Owner) -> bool:
        """Whether signing in to administer takes a code."""
        return bool(await self._value(owner.secret_name))

    async def begin(self, owner: Owner) -> str:
        """A secret for the authenticator, in base32; one that was begun before is worth nothing then."""
        if await self.holds(owner):
            raise Refused("there is an authenticator already: remove it first")
        secret = new_secret(self._entropy)
        await self._keys.put(_begun(owner), secret.encode())
        return secret

    async def confirm(self, owner: Owner, code: str, check: CheckCode, actor: Actor) -> None:
        """From here on signing in to administer takes a code."""
        secret = await self._value(_begun(owner))
        if not secret:
            raise Unknown("no authenticator was begun")
        if not check(secret, code):
            raise Refused(NO_CODE)
        await self._record(owner, actor, is_set=True)
        await self._keys.put(owner.secret_name, secret.encode())
        await self._keys.put(_begun(owner), b"")

    async def remove(self, owner: Owner, code: str, check: CheckCode, actor: Actor) -> None:
        """The password alone signs in again."""
        secret = await self._value(owner.secret_name)
        if not secret:
            raise Unknown("there is no authenticator")
        if not check(secret, code):
            raise Refused(NO_CODE)
        await self._record(owner, actor, is_set=False)
        await self._keys.put(owner.secret_name, b"")

    async def _record(self, owner: Owner, actor: Actor, *, is_set: bool) -> None:
        stamp = Stamp(at=self._clock.now(), actor=actor, by=self._by).fields()
        event: TotpSet | TotpRemoved | OperatorTotpSet | OperatorTotpRemoved
        if owner.account_id is not None:
            event = (TotpSet if is_set else TotpRemoved)(account_id=owner.account_id, **stamp)
        else:
            event = (OperatorTotpSet if is_set else OperatorTotpRemoved)(name=owner.name, **stamp)
        await self._lane.append([Fact(access_history(owner.agency_id), event)])

    async def _value(self, name: str) -> str:
        """What the KeyStore has; "": nothing."""
        try:
            return (await self._keys.get(name)).decode()
        except (KeyError, KeyForgotten):
            return ""


def _begun(owner: Owner) -> str:
    return f"begun.{owner.secret_name}"
