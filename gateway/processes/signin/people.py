"""Who may sign in, by the directory's rows."""

from typing import Protocol

from gateway.mail.address import Address
from projections.directory.query import Person, person_of
from projections.readmodel import Pool


class People(Protocol):
    async def find(self, address: Address) -> Person | None:
        """Whose address it is; None: nobody's here. Raises Unavailable."""


class PeopleRows:
    """The port above, on the rows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, address: Address) -> Person | None:
        async with self._pool.rows() as rows:
            return await person_of(rows, address)
