"""Reads: where a content is, and which objects an event names."""

import asyncio
from collections.abc import Collection
from typing import Final

from gateway.ports import Place, Position
from projections.checkpoint import reached
from projections.content.project import ContentModel
from projections.readmodel import Pool, schema_of

_SCHEMA: Final = schema_of(ContentModel)

PLACES: Final = f"""
SELECT content.digest, pack.name, content.place, content.octets
FROM {_SCHEMA}.content JOIN {_SCHEMA}.pack ON pack.id = content.pack WHERE content.digest = ANY($1::bytea[])
"""
NAMED: Final = f"""
SELECT name FROM {_SCHEMA}.object WHERE name = ANY($1::text[])
UNION ALL SELECT name FROM {_SCHEMA}.pack WHERE name = ANY($1::text[])
"""


class ContentRows:
    """The port Places. hint: set by whoever hears that rows have changed; it only shortens waits."""

    def __init__(self, pool: Pool, hint: asyncio.Event | None = None) -> None:
        self._pool, self._hint = pool, hint

    async def places(self, digests: Collection[str]) -> dict[str, Place]:
        async with self._pool.rows() as rows:
            found = await rows.fetch(PLACES, [bytes.fromhex(digest) for digest in digests])
        return {digest.hex(): Place(*place) for digest, *place in found}

    async def named(self, objects: Collection[str]) -> set[str]:
        async with self._pool.rows() as rows:
            return {row["name"] for row in await rows.fetch(NAMED, list(objects))}

    async def reach(self, position: Position, timeout_s: float) -> bool:
        return await reached(self._pool, ContentModel, position, timeout_s, hint=self._hint)
