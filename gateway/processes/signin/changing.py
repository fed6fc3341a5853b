"""Setting passwords and authenticators: by an administrator, or by who was invited.

The fact is in the log before it holds.

Source: issue 2/9, Credentials.
"""

import asyncio
import base64
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from gateway.domain.credentials import (
    InvitationMade,
    PasswordSet,
    TotpRemoved,
    TotpSet,
    decode_invitation,
    encode_invitation,
    invitation_name,
    join_verifiers,
    split_verifiers,
    verifier_name,
)
from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.registration import Refused, Unknown
from gateway.domain.signin import access_history
from gateway.mail.address import Address
from gateway.mail.ids import AccountId
from gateway.ports import Clock, Entropy, KeyForgotten, KeyStore, Lane
from gateway.processes.signin.passwords import Passwords, make_verifier
from gateway.processes.signin.people import People
from gateway.processes.signin.strength import settable
from gateway.processes.signin.totp import new_secret, secret_name
from projections.directory.query import Person

INVITATIONS_LAST: Final = timedelta(days=30)
CODE_OCTETS: Final = 16  # 128 random bits, 22 characters of base64

HowSet = Literal["invitation", "administrator", "person"]


class NotInvited(Refused):
    """No account has that address, or no invitation with that code, or not any more: which is not told."""

    def __init__(self, address: Address) -> None:
        super().__init__(f"{address} has no invitation with this code, or it was used or has run out")


class Changing:
    """Sets passwords in one person's name. All raise Refused with the reason, Unavailable."""

    def __init__(
        self,
        *,
        people: People,
        keys: KeyStore,
        lane: Lane,
        clock: Clock,
        entropy: Entropy,
        actor: Actor,
        by: By,
    ) -> None:
        self._people, self._keys, self._lane = people, keys, lane
        self._clock, self._entropy, self._actor, self._by = clock, entropy, actor, by
        self._passwords = Passwords(clock, entropy)

    async def set_password(self, address: Address, password: str) -> Person:
        """The password that signs in from here on; it is none of the last five."""
        person = await self._person(address)
        await self._set(person, password, "administrator", self._actor)
        return person

    async def set_own_password(self, address: Address, password: str) -> Person:
        """The same by the person, who has shown to know the one that holds."""
        person = await self._person(address)
        await self._set(person, password, "person", self._actor)
        return person

    async def invite(self, address: Address) -> tuple[str, datetime]:
        """A code that sets the account's password once, and until when; one before it is worth nothing."""
        person = await self._person(address)
        code = base64.urlsafe_b64encode(self._entropy(CODE_OCTETS)).rstrip(b"=").decode()
        stamp = Stamp(at=self._clock.now(), actor=self._actor, by=self._by)
        expires_at = stamp.at + INVITATIONS_LAST
        made = InvitationMade(account_id=person.account_id, expires_at=expires_at, **stamp.fields())
        await self._lane.append([Fact(access_history(person.agency_id), made)])
        await self._keys.put(invitation_name(person.account_id), encode_invitation(code, expires_at))
        return code, expires_at

    async def accept_invitation(self, address: Address, code: str, password: str) -> Person:
        """The first password, for who has the code: once, however many show it at once. Raises NotInvited.

        A code that was taken is used up, also when the log is away just then.
        """
        person = await self._people.find(address.normalise())
        # Nobody's invitation is looked for as somebody's is: that an address is here takes a code to know.
        name = invitation_name(person.account_id if person else AccountId("nobody"))
        kept = await self._value(name)
        invitation = decode_invitation(kept)
        if person is None or invitation is None or not invitation.is_for(code, self._clock.now()):
            raise NotInvited(address)
        if person.status != "active":
            raise Refused(f"the account of {person.address} is not active")
        former, verifier = await self._verifiers(person, password)
        if not await self._keys.exchange(name, kept, b""):
            raise NotInvited(address)
        await self._hold(person, [verifier, *former], "invitation", Actor("account", person.account_id))
        return person

    async def set_totp(self, address: Address) -> tuple[Person, str]:
        """A new secret for the person's authenticator; the former one is worth nothing then."""
        person = await self._person(address)
        secret = new_secret(self._entropy)
        await self._record(person, TotpSet)
        await self._keys.put(secret_name(person.account_id), secret.encode())
        return person, secret

    async def remove_totp(self, address: Address) -> Person:
        """The password alone is enough again."""
        person = await self._person(address)
        if not await self._value(secret_name(person.account_id)):
            raise Unknown(f"{address} has no authenticator")
        await self._record(person, TotpRemoved)
        await self._keys.put(secret_name(person.account_id), b"")
        return person

    async def _record(self, person: Person, kind: type[TotpSet] | type[TotpRemoved]) -> None:
        stamp = Stamp(at=self._clock.now(), actor=self._actor, by=self._by)
        fact = Fact(access_history(person.agency_id), kind(account_id=person.account_id, **stamp.fields()))
        await self._lane.append([fact])

    async def _person(self, address: Address) -> Person:
        person = await self._people.find(address.normalise())
        if person is None:
            raise Unknown(f"{address} is no account here")
        return person

    async def _set(self, person: Person, typed: str, how: HowSet, actor: Actor) -> None:
        former, verifier = await self._verifiers(person, typed)
        await self._hold(person, [verifier, *former], how, actor)

    async def _verifiers(self, person: Person, typed: str) -> tuple[list[bytes], bytes]:
        """Those that were before, newest first, and the one of a password that may be set. Raises Refused."""
        password = settable(typed, [person.address, *person.addresses])
        former = split_verifiers(await self._value(verifier_name(person.account_id)))
        for verifier in former:
            if await self._passwords.is_right(password, verifier):
                raise Refused("this is one of the account's last five passwords")
        return former, await asyncio.to_thread(make_verifier, password)

    async def _hold(self, person: Person, verifiers: Sequence[bytes], how: HowSet, actor: Actor) -> None:
        """The first of them signs in from here on, once that is on record."""
        stamp = Stamp(at=self._clock.now(), actor=actor, by=self._by)
        done = PasswordSet(account_id=person.account_id, how=how, **stamp.fields())
        await self._lane.append([Fact(access_history(person.agency_id), done)])
        await self._keys.put(verifier_name(person.account_id), join_verifiers(verifiers))

    async def _value(self, name: str) -> bytes:
        """What the KeyStore has; b"": nothing."""
        try:
            return await self._keys.get(name)
        except (KeyError, KeyForgotten):
            return b""
