"""What decisions about agencies and accounts rest on, read from the log: it knows what rows may not yet.

Source: architecture §4 (aggregates, Subjects).
"""

from dataclasses import dataclass

from gateway.domain.account import Account, account_key_name
from gateway.domain.account_status import own_address
from gateway.domain.addresses import AddressClaimed, AddressReleased
from gateway.domain.agency import Agency
from gateway.domain.aggregate import replay
from gateway.domain.claims import Claim, claim_told
from gateway.domain.domains import Stand
from gateway.domain.histories import (
    SITE_ADDRESS_KEY,
    address_history,
    address_name,
    domain_history,
    history_of,
)
from gateway.domain.registration import UNHELD, Holding, Standing, Unknown
from gateway.mail.address import Address, normalise_domain
from gateway.mail.ids import AccountId, AgencyId, is_id
from gateway.ports import START, EventLog, KeyForgotten, KeyStore


@dataclass(frozen=True, slots=True)
class FoundAgency:
    """An agency as its history tells of it, and where that ends."""

    agency: Agency
    position: int


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """An account as its history tells of it, and where that ends."""

    account: Account
    position: int


class Reading:
    """Raises Unavailable wherever the log is asked."""

    def __init__(self, log: EventLog, keys: KeyStore) -> None:
        self._log, self._keys = log, keys

    async def standing(self, agency_id: AgencyId, address: Address) -> Standing:
        """What an address of an agency is decided on."""
        agency = await self._agency(agency_id)
        claim, claim_position = await self.claim_of(address.domain)
        return Standing(
            agency=agency.agency if agency else None,
            agency_position=agency.position if agency else START.position,
            claim=claim,
            claim_position=claim_position,
            holding=await self._holding(address, claim),
        )

    async def claim_of(self, domain: str) -> tuple[Claim | None, int]:
        """Which agency has a domain, and where its history ends; None: no agency has it."""
        history = await self._log.history(domain_history(normalise_domain(domain)))
        claim = claim_told(recorded.event for recorded in history)
        return claim, history[-1].position if history else START.position

    async def domain(self, label: str) -> Stand:
        """A domain as it stands. label: of `domain_label`."""
        return Stand(label, *await self.claim_of(label))

    async def agency(self, agency_id: AgencyId) -> FoundAgency:
        """Raises Unknown, also for what is no agency's id."""
        found = await self._agency(agency_id) if is_id("ag", agency_id) else None
        if found is None:
            raise Unknown(f"there is no agency {agency_id}")
        return found

    async def _agency(self, agency_id: AgencyId) -> FoundAgency | None:
        history = await self._log.history(history_of(agency_id))
        agency = replay(Agency, (recorded.event for recorded in history))
        return FoundAgency(agency, history[-1].position) if agency else None

    async def holding(self, address: Address) -> Holding:
        """Whose an address is or was."""
        return await self._holding(address, (await self.claim_of(address.domain))[0])

    async def name_of(self, address: Address) -> str:
        """What stands in the log for an address that somebody has."""
        claim, _ = await self.claim_of(address.domain)
        site_key = await self._keys.get_or_make(SITE_ADDRESS_KEY)
        return address_name(claim.stem_of(address) if claim else address, site_key)

    async def _holding(self, address: Address, claim: Claim | None) -> Holding:
        site_key = await self._keys.get_or_make(SITE_ADDRESS_KEY)
        own = await self.holding_of(address_name(address, site_key))
        if claim is None or claim.stem == claim.domain or own.owner is not None:
            return own
        return await self.holding_of(address_name(claim.stem_of(address), site_key))

    async def holding_of(self, name: str) -> Holding:
        """The same by the name of the address (`address_name`)."""
        latest = await self._log.latest(address_history(name))
        if latest is None:
            return UNHELD
        event = latest.event
        assert isinstance(event, AddressClaimed | AddressReleased), event
        return Holding(event, latest.position)

    async def account_at(self, address: Address) -> FoundAccount:
        """The account an address belongs to, or belonged to until it was closed. Raises Unknown."""
        holding = await self.holding(address)
        if holding.last is not None:
            found = await self.account(holding.last.account_id)
            if holding.owner is not None or found.account.status == "closed":
                return found
        raise Unknown(f"{address} is no account here")

    async def _agency_of(self, account: Account) -> AgencyId:
        """Whose an account is now: it moves with the domain of its own address, its history does not tell."""
        try:
            key = await self._keys.get(account_key_name(AccountId(account.id)))
        except (KeyError, KeyForgotten):
            return account.agency_id
        claim, _ = await self.claim_of(own_address(account, key).domain)
        return claim.agency_id if claim else account.agency_id

    async def account(self, account_id: AccountId) -> FoundAccount:
        """An account that is known to be there."""
        history = await self._log.history(history_of(account_id))
        account = replay(Account, (recorded.event for recorded in history))
        assert account is not None, account_id
        account.agency_id = await self._agency_of(account)
        return FoundAccount(account, history[-1].position)
