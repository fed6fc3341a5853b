"""Registering agencies and accounts: read what the decision rests on, decide, append; again on a Conflict.

Used by the command line and the HTTP API. No process of its own.
"""

from collections.abc import Sequence
from typing import Final

from gateway.domain.account import QUOTA_OCTETS_DEFAULT, AccountKind, account_key_name
from gateway.domain.addresses import DomainClaimed
from gateway.domain.agency import Agency, NextHop
from gateway.domain.aggregate import replay
from gateway.domain.events import Actor, By, Stamp
from gateway.domain.histories import (
    SITE_ADDRESS_KEY,
    address_history,
    address_name,
    domain_history,
    history_of,
)
from gateway.domain.registration import (
    NewAccount,
    Refused,
    Registration,
    Standing,
    register_account,
    register_agency,
)
from gateway.domain.sealing import NONCE_OCTETS
from gateway.mail.address import Address, normalise_domain
from gateway.mail.ids import ID_ENTROPY_OCTETS, AccountId, AgencyId, MailboxId, is_id, new_id
from gateway.ports import START, Clock, Conflict, Entropy, EventLog, KeyStore, Position

DECISIONS_MAX: Final = 10  # style.md §6: a Conflict is decided again, at most this often


class Registry:
    """Who may have mailboxes here. Each call is durable when it returns; rows follow."""

    def __init__(
        self, *, log: EventLog, keys: KeyStore, clock: Clock, entropy: Entropy, actor: Actor, by: By
    ) -> None:
        self._log, self._keys = log, keys
        self._clock, self._entropy = clock, entropy
        self._actor, self._by = actor, by

    async def add_agency(
        self, name: str, domains: Sequence[str], *, relay_to: NextHop | None = None
    ) -> AgencyId:
        """A new agency with its domains. relay_to: its own mail server; None: mailboxes are here.

        Raises Refused, also when one of the domains is another agency's; Unavailable.
        """
        agency_id = AgencyId(self._new_id("ag"))
        registration = register_agency(
            agency_id, self._stamp(), name=name, domains=domains, relay_to=relay_to
        )
        try:
            await self._append(registration)
        except Conflict as error:
            for domain in domains:
                if await self._log.latest(domain_history(normalise_domain(domain))) is not None:
                    raise Refused(f"the domain {domain} belongs to an agency already") from error
            raise
        return agency_id

    async def add_account(
        self,
        agency_id: AgencyId,
        address: Address,
        *,
        display_name: str = "",
        kind: AccountKind = "person",
        quota_octets: int = QUOTA_OCTETS_DEFAULT,
    ) -> AccountId:
        """A new account with its INBOX and its address.

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
        claimed = address_history(address_name(address, site_key))
        key_name, account_key = account_key_name(new.account_id), b""
        for _ in range(DECISIONS_MAX):
            try:
                if await self._log.latest(claimed) is not None:
                    raise Refused(f"the address {address} is given out already")
                account_key = account_key or await self._keys.get_or_make(key_name)
                registration = register_account(
                    new,
                    self._stamp(),
                    await self._standing(agency_id, address),
                    account_key=account_key,
                    site_key=site_key,
                )
            except Refused:
                if account_key:
                    await self._keys.forget(key_name)  # nothing was sealed under it
                raise
            try:
                await self._append(registration)
            except Conflict:
                continue
            return new.account_id
        raise Conflict(f"the histories of agency {agency_id} move too fast")

    async def _standing(self, agency_id: AgencyId, address: Address) -> Standing:
        history = await self._log.history(history_of(agency_id))
        claim = await self._log.latest(domain_history(normalise_domain(address.domain)))
        event = claim.event if claim else None
        assert event is None or isinstance(event, DomainClaimed), event
        return Standing(
            agency=replay(Agency, (recorded.event for recorded in history)),
            agency_position=history[-1].position if history else START.position,
            claim=event,
            claim_position=claim.position if claim else START.position,
        )

    async def _append(self, registration: Registration) -> None:
        expected = {subject: Position(at) for subject, at in registration.expected.items()}
        await self._log.append_guarded(registration.facts, expected, registration.versions)

    def _stamp(self) -> Stamp:
        return Stamp(at=self._clock.now(), actor=self._actor, by=self._by)

    def _new_id(self, prefix: str) -> str:
        return new_id(prefix, self._clock.now(), self._entropy(ID_ENTROPY_OCTETS))
