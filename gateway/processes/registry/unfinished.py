"""What a killed import leaves behind: secrets of accounts that never came to be, and codes nobody has.

The accounts under way are named in the KeyStore, with the codes of their invitations, before their keys are
made. The next import forgets the secrets of those whose events never came, and writes the codes of the others
down.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from gateway.domain.account import account_key_name
from gateway.domain.account_status import own_address
from gateway.domain.credentials import decode_invitation, invitation_name, verifier_name
from gateway.domain.histories import history_of
from gateway.mail.address import Address
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import EventLog, KeyForgotten, KeyStore
from gateway.processes.registry.reading import Reading

UNFINISHED: Final = "import.unfinished"
AT_ONCE: Final = 50

KeepCodes = Callable[[Mapping[Address, str]], Awaitable[None]]  # durable when it returns


def unfinished_name(agency_id: AgencyId | None) -> str:
    """The KeyStore's name of the accounts under way, of an import as in `import_history`."""
    return f"{UNFINISHED}.{agency_id}" if agency_id else UNFINISHED


class Unfinished:
    """The accounts under way of one import. name: of `unfinished_name`. All raise Unavailable."""

    def __init__(self, log: EventLog, keys: KeyStore, name: str) -> None:
        self._log, self._keys, self._name = log, keys, name
        self._reading = Reading(log, keys)

    async def name(self, codes: Mapping[AccountId, str]) -> None:
        """These are under way from here on, and no others. A code is of an invitation; "": there is none."""
        named = " ".join(f"{account_id}={code}" for account_id, code in codes.items())
        await self._keys.put(self._name, named.encode())

    async def settle(
        self, keep_codes: KeepCodes, now: datetime, *, stay: bool = False
    ) -> dict[AccountId, str]:
        """Finish what a former import left, before anything is named anew: the codes it had left.

        stay: their accounts are under way still, because nobody has confirmed the codes yet.
        """
        try:
            named = (await self._keys.get(self._name)).decode().split()
        except KeyError:
            return {}
        codes: dict[Address, str] = {}
        invited: dict[AccountId, str] = {}

        async def finish(account_id: AccountId, code: str) -> None:
            if await self._log.latest(history_of(account_id)) is None:
                await self.forget(account_id)
            elif code and (address := await self._invited(account_id, code, now)) is not None:
                codes[address] = invited[account_id] = code

        pairs = [each.partition("=") for each in named]
        await some_at_a_time([partial(finish, AccountId(each), code) for each, _, code in pairs])
        if codes:
            await keep_codes(codes)
        await self.name(invited if stay else {})
        return invited if stay else {}

    async def _invited(self, account_id: AccountId, code: str, now: datetime) -> Address | None:
        """Whom the code still invites; None: it was accepted, or has run out."""
        try:
            invitation = decode_invitation(await self._keys.get(invitation_name(account_id)))
            key = await self._keys.get(account_key_name(account_id))
        except (KeyError, KeyForgotten):
            return None
        if invitation is None or not invitation.is_for(code, now):
            return None
        return own_address((await self._reading.account(account_id)).account, key)

    async def forget(self, account_id: AccountId) -> None:
        """The secrets of an account that never came to be."""
        for name in (account_key_name(account_id), verifier_name(account_id), invitation_name(account_id)):
            try:
                await self._keys.get(name)
            except (KeyError, KeyForgotten):
                continue
            await self._keys.forget(name)


async def some_at_a_time(work: Sequence[Callable[[], Awaitable[None]]]) -> None:
    for start in range(0, len(work), AT_ONCE):
        await asyncio.gather(*(each() for each in work[start : start + AT_ONCE]))
