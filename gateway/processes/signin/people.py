"""Who may sign in, by the directory's rows."""

from typing import Protocol

from gateway.domain.agency import IdentityProvider
from gateway.mail.address import Address
from gateway.mail.ids import AccountId, AgencyId
from projections.directory.query import (
    AppPasswordRow,
    Person,
    app_passwords_of,
    identity_provider_of,
    person_of,
)
from projections.readmodel import Pool


class People(Protocol):
    async def find(self, address: Address) -> Person | None:
        """Whose address it is; None: nobody's here. Raises Unavailable."""

    async def app_passwords(self, account_id: AccountId) -> list[AppPasswordRow]:
        """Those that are not revoked. Raises Unavailable."""

    async def provider(self, agency_id: AgencyId) -> IdentityProvider | None:
        """Where the agency's people prove who they are; None: nowhere. Raises Unavailable."""


class PeopleRows:
    """The port above, on the rows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, address: Address) -> Person | None:
        async with self._pool.rows() as rows:
            return await person_of(rows, address)

    async def app_passwords(self, account_id: AccountId) -> list[AppPasswordRow]:
        async with self._pool.rows() as rows:
            return await app_passwords_of(rows, account_id)

    async def provider(self, agency_id: AgencyId) -> IdentityProvider | None:
        async with self._pool.rows() as rows:
            return await identity_provider_of(rows, agency_id)
