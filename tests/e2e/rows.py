"""A look at the read models' tables, for counts that the command line would take too long to give."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg


class Rows:
    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def connected(cls, dsn: str) -> AsyncIterator["Rows"]:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            yield cls(connection)
        finally:
            await connection.close(timeout=5)

    async def schema(self, model: str) -> str:
        """The schema a read model lives in: `<name>_v<version>`, the newest."""
        found = await self._connection.fetch(
            "SELECT nspname FROM pg_namespace WHERE nspname ~ $1", f"^{model}_v[0-9]+$"
        )
        assert found, f"there is no read model {model}"
        return max((str(row["nspname"]) for row in found), key=lambda name: int(name.rpartition("_v")[2]))

    async def number(self, model: str, query: str) -> int:
        """One number. query: with {} where the schema goes."""
        return int(await self._connection.fetchval(query.format(await self.schema(model))))
