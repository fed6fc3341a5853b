"""An agency's domains: added, replaced by a new name, given up."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from gateway.domain.domains import add_domain, remove_domain, replace_domain
from gateway.domain.registration import Registration, domain_label
from gateway.mail.ids import AgencyId
from gateway.processes.registry.deciding import Deciding
from projections.directory.domain_query import Use

# What is in a domain, by rows that know all of the log (counting.py). Raises Unavailable.
LookAtDomain = Callable[[AgencyId, str, datetime], Awaitable[Use]]


class Domains(Deciding):
    """Each call is durable when it returns; rows follow. All raise Refused, Unknown, Unavailable.

    They give the domain in A-labels.
    """

    def prepare(self, look: LookAtDomain) -> None:
        self._look = look

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
