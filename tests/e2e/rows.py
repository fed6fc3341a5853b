"""A look at the read models' tables, and dropping them, without the gateway's help."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

MODELS = ("directory", "mailbox", "queue", "trace", "content", "bans")


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

    async def everything(self) -> dict[str, list[str]]:
        """`model.table` → each row as text, sorted, of all read models."""
        found = {}
        for model in MODELS:
            schema = await self.schema(model)
            tables = await self._connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1", schema
            )
            for (table,) in tables:
                rows = await self._connection.fetch(f'SELECT t::text FROM {schema}."{table}" AS t')
                found[f"{model}.{table}"] = sorted(str(row[0]) for row in rows)
        return found

    async def drop_everything(self) -> None:
        """Drop every read model: its tables and how far it had read. Leases are no projection: they stay."""
        for model in MODELS:
            await self._connection.execute(f"DROP SCHEMA {await self.schema(model)} CASCADE")
        await self._connection.execute("DROP SCHEMA checkpoints CASCADE")
