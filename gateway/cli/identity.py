"""Identity providers of agencies as `saraban agency identity` works with them."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from msgspec.structs import asdict

from gateway.cli.desk import Where
from gateway.cli.registering import agencies
from gateway.cli.remote import Remote
from gateway.domain.agency import IdentityProvider
from gateway.domain.registration import Unknown
from gateway.mail.ids import AgencyId
from gateway.wiring.desk import Desk
from projections.directory import query as directory


@dataclass(frozen=True, slots=True)
class LocalIdentity:
    """Each raises Refused, Unknown, Unavailable."""

    desk: Desk

    async def show(self, agency_id: AgencyId) -> dict[str, Any]:
        async with self.desk.pool.rows() as rows:
            if not any(row.agency_id == agency_id for row in await directory.list_agencies(rows)):
                raise Unknown(f"there is no agency {agency_id}")
            found = await directory.identity_provider_of(rows, agency_id)
        return {"agency_id": agency_id, "issuer": None, **(asdict(found) if found else {})}

    async def set(self, agency_id: AgencyId, provider: IdentityProvider | None, secret: str) -> None:
        await agencies(self.desk).set_identity(agency_id, provider, secret)


@dataclass(frozen=True, slots=True)
class RemoteIdentity:
    """The same, through the API."""

    remote: Remote

    async def show(self, agency_id: AgencyId) -> dict[str, Any]:
        return dict(await self.remote.ask("GET", _path(agency_id)))

    async def set(self, agency_id: AgencyId, provider: IdentityProvider | None, secret: str) -> None:
        if provider is None:
            await self.remote.ask("DELETE", _path(agency_id))
        else:
            await self.remote.ask("PUT", _path(agency_id), {**asdict(provider), "secret": secret})


def identity_at(where: Where) -> LocalIdentity | RemoteIdentity:
    return RemoteIdentity(where) if isinstance(where, Remote) else LocalIdentity(where)


def _path(agency_id: AgencyId) -> str:
    return f"/agencies/{quote(agency_id, safe='')}/identity"
