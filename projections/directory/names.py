"""What addresses and agencies were called and are called now, where a trace tells of both."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AgencyId
from projections.directory.domain_query import list_domains, namesakes
from projections.directory.query import list_agencies
from projections.readmodel import Rows


async def other_names(rows: Rows, text: str | None) -> tuple[str, ...]:
    """The further names of an address, where its domain has replaced another or was replaced."""
    address = _address(text)
    if address is None:
        return ()
    normal = address.normalise()
    found = await namesakes(rows, normal.domain)
    return tuple(str(Address(normal.local_part, each)) for each, _ in found if each != normal.domain)


@dataclass(frozen=True, slots=True)
class Names:
    """By replaced domain the newest one that has its addresses; by agency its names, newest first."""

    domains: Mapping[str, str]
    agencies: Mapping[AgencyId, tuple[str, ...]]

    def now(self, text: str) -> str | None:
        """What an address is called now; None: as it is written."""
        address = _address(text)
        newest = self.domains.get(address.normalise().domain) if address else None
        return str(Address(address.local_part, newest)) if address and newest else None

    def changed(self, texts: Iterable[str]) -> dict[str, str]:
        """Those that are called otherwise now."""
        return {text: now for text in texts if (now := self.now(text)) is not None}

    def agency(self, agency_id: AgencyId | None) -> str:
        """An agency that has had other names, by all of them; "" for any other."""
        newest, *former = self.agencies.get(agency_id, ("",)) if agency_id else ("",)
        return f"{newest} (formerly {', '.join(former)})" if former else ""


async def known_names(rows: Rows, of: Collection[AgencyId] | None = None) -> Names:
    """of: these agencies alone; None: all."""
    domains = {row.domain: row for row in await list_domains(rows, of)}
    newest = dict[str, str]()
    for domain in domains:
        last = domain
        while (successor := domains[last].replaced_by) is not None and successor in domains:
            last = successor
        if last != domain:
            newest[domain] = domains[last].shown
    agencies = [row for row in await list_agencies(rows) if of is None or row.agency_id in of]
    return Names(newest, {row.agency_id: (row.name, *reversed(row.former_names)) for row in agencies})


def _address(text: str | None) -> Address | None:
    try:
        return parse_address(text) if text else None
    except ValueError:
        return None
