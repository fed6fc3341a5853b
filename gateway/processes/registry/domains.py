"""An agency's domains: added, replaced by a new name, moved, given up."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from gateway.domain.account import Role, account_key_name
from gateway.domain.domains import Moving, Stand, add_domain, move_domain, remove_domain, replace_domain
from gateway.domain.registration import Registration, domain_label
from gateway.domain.roles import revoke_role
from gateway.mail.ids import AccountId, AgencyId
from gateway.processes.registry.deciding import Deciding
from gateway.processes.registry.reading import FoundAccount
from projections.directory.domain_query import Use

# What is in a domain, by rows that know all of the log (counting.py). Raises Unavailable.
LookAtDomain = Callable[[AgencyId, str, datetime], Awaitable[Use]]


# What goes along with a domain (its stem) from one agency to another, and the roles that end. As above.
LookAtMove = Callable[[AgencyId, AgencyId, str], Awaitable[tuple[Moving, Sequence[tuple[AccountId, Role]]]]]


class Domains(Deciding):
    """Each call is durable when it returns; rows follow. All raise Refused, Unknown, Unavailable.

    They give the domain in A-labels.
    """

    def prepare(self, look: LookAtDomain, look_at_move: LookAtMove) -> None:
        self._look, self._look_at_move = look, look_at_move

    async def add(self, agency_id: AgencyId, domain: str) -> str:
        """A further domain with addresses of its own."""
        label = domain_label(domain)

        async def decide() -> Registration:
            found, stamp = await self._reading.agency(agency_id), self._stamp()
            use = await self._look(agency_id, label, stamp.at)
            return add_domain(found.agency, await self._reading.domain(label), use.domains, stamp)

        await self._decide(label, decide)
        return label

    async def replace(self, agency_id: AgencyId, old: str, new: str) -> str:
        """Every address of the old domain is called by the new one, and still reached by both."""
        was, label = domain_label(old), domain_label(new)

        async def decide() -> Registration:
            found, stamp = await self._reading.agency(agency_id), self._stamp()
            stands = await self._reading.domain(was), await self._reading.domain(label)
            use = await self._look(agency_id, label, stamp.at)
            return replace_domain(found.agency, *stands, use.domains, use.addresses, stamp)

        await self._decide(was, decide)
        return label

    async def remove(self, agency_id: AgencyId, domain: str) -> str:
        """A domain without addresses is no agency's any more."""
        label = domain_label(domain)

        async def decide() -> Registration:
            found, stamp = await self._reading.agency(agency_id), self._stamp()
            stand = await self._reading.domain(label)
            use = await self._look(agency_id, label, stamp.at)
            return remove_domain(found.agency, stand, use.domains, use.addresses, stamp)

        await self._decide(label, decide)
        return label

    async def move(self, agency_id: AgencyId, domain: str, to: AgencyId, reason: str) -> list[str]:
        """Another agency gets a domain and the accounts in it: all its names. reason: why roles end."""
        label, names = domain_label(domain), list[str]()

        async def decide() -> Registration:
            nonlocal names
            found, target = await self._reading.agency(agency_id), await self._reading.agency(to)
            claim = (await self._reading.domain(label)).of(found.agency)
            family = await self._family(claim.stem)
            names = [stand.domain for stand in family]
            moving, roles = await self._look_at_move(agency_id, to, claim.stem)
            ends = await self._revocations(agency_id, roles, reason)
            return move_domain(found.agency, target.agency, family, moving, ends, self._stamp())

        await self._decide(label, decide)
        return names

    async def _family(self, stem: str) -> list[Stand]:
        """Every domain with the same addresses, oldest first."""
        family = [await self._reading.domain(stem)]
        while (claim := family[-1].claim) is not None and claim.replaced_by:
            family.append(await self._reading.domain(claim.replaced_by))
        return family

    async def _revocations(
        self, agency_id: AgencyId, roles: Sequence[tuple[AccountId, Role]], reason: str
    ) -> list[Registration]:
        ends = list[Registration]()
        accounts = dict[AccountId, FoundAccount]()
        for account_id, role in roles:
            found = accounts.setdefault(account_id, await self._reading.account(account_id))
            if (role, agency_id) not in found.account.roles:
                continue
            sealed = self._reason(reason, account_id, await self._keys.get(account_key_name(account_id)))
            ends.append(
                revoke_role(found.account, found.position, role, agency_id, self._stamp(), reason=sealed)
            )
        return ends
