"""How the registry decides: read what the decision rests on, decide, append; again on a Conflict.

Used by the command line and the HTTP API. No process of its own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from gateway.domain.account import account_key_name
from gateway.domain.account_status import seal_reason
from gateway.domain.aggregate import AggregateEvent
from gateway.domain.events import Actor, By, Stamp
from gateway.domain.registration import Registration, Standing
from gateway.domain.sealing import NONCE_OCTETS
from gateway.mail.address import Address
from gateway.mail.ids import ID_ENTROPY_OCTETS, AccountId, AgencyId, new_id
from gateway.ports import Clock, Conflict, Entropy, EventLog, KeyStore, Position
from gateway.processes.registry.reading import FoundAccount, Reading

DECISIONS_MAX: Final = 10  # style.md §6: a Conflict is decided again, at most this often

# How many open accounts an agency has (counting.py). Raises Unavailable.
CountAccounts = Callable[[AgencyId], Awaitable[int]]


class Deciding:
    """What a decision is made with and appended by, in one person's name."""

    def __init__(
        self,
        *,
        log: EventLog,
        keys: KeyStore,
        count_accounts: CountAccounts,
        clock: Clock,
        entropy: Entropy,
        actor: Actor,
        by: By,
    ) -> None:
        self._log, self._keys, self._count_accounts = log, keys, count_accounts
        self._clock, self._entropy = clock, entropy
        self._actor, self._by = actor, by
        self._reading = Reading(log, keys)

    async def _account(self, address: Address) -> tuple[FoundAccount, bytes]:
        """The account at an address, and its key."""
        found = await self._reading.account_at(address)
        return found, await self._keys.get(account_key_name(AccountId(found.account.id)))

    async def _standing(self, agency_id: AgencyId, address: Address) -> Standing:
        """What an account with this address is decided on; accounts are counted where there is a limit."""
        standing = await self._reading.standing(agency_id, address)
        if standing.agency is None or standing.agency.limits.accounts_max is None:
            return standing
        return replace(standing, accounts=await self._count_accounts(agency_id))

    def _reason(self, reason: str, originator_id: str, key: bytes) -> bytes:
        return seal_reason(reason, originator_id, key, nonce=self._entropy(NONCE_OCTETS))

    async def _decide(self, about: str, decide: Callable[[], Awaitable[Registration]]) -> Registration:
        """Read, decide, append; on a Conflict again. decide: reads and decides, may raise Refused."""
        for _ in range(DECISIONS_MAX):
            registration = await decide()
            try:
                await self._append(registration)
            except Conflict:
                continue
            return registration
        raise Conflict(f"the histories of {about} move too fast")

    async def _append(self, registration: Registration) -> None:
        expected = {subject: Position(at) for subject, at in registration.expected.items()}
        await self._log.append_guarded(registration.facts, expected, registration.versions)

    def _stamp(self) -> Stamp:
        return Stamp(at=self._clock.now(), actor=self._actor, by=self._by)

    def _new_id(self, prefix: str) -> str:
        return new_id(prefix, self._clock.now(), self._entropy(ID_ENTROPY_OCTETS))


def account_of(registration: Registration) -> AccountId:
    """The account whose event comes first."""
    event = registration.facts[0].event
    assert isinstance(event, AggregateEvent), event
    return AccountId(event.originator_id)
