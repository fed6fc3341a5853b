"""The trace as `saraban trace` works with it: on the data folder, or through the API."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from gateway.cli.desk import Where
from gateway.cli.remote import Remote
from gateway.domain.registration import Refused
from gateway.wiring.desk import Desk
from projections.trace.query import RefusalRow, Wanted
from projections.trace.stories import Story, read_refusals, read_stories

REMOTE_MAILS_MAX: Final = 1_000  # what the API gives in one answer


class LocalTraces:
    """Each raises Unavailable."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def stories(self, wanted: Wanted, *, after: int, limit: int) -> list[Story]:
        """Mails that match, with their steps behind a position."""
        pages = self._pages(wanted, after, limit)
        return merged([page async for page in pages])

    async def _pages(self, wanted: Wanted, after: int, limit: int) -> AsyncIterator[list[Story]]:
        async with self._desk.pool.snapshot() as rows:
            more: int | None = after
            while more is not None:
                page, more = await read_stories(rows, wanted, after=more, limit=limit)
                yield page

    async def refusals(self, wanted: Wanted, *, after: int, limit: int) -> list[RefusalRow]:
        async with self._desk.pool.rows() as rows:
            return await read_refusals(rows, wanted, after=after, limit=limit)


class RemoteTraces:
    """The same, as far as who logged in may see it. Raises Refused, Unavailable."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def stories(self, wanted: Wanted, *, after: int, limit: int) -> list[Story]:
        if limit > REMOTE_MAILS_MAX:
            raise Refused(f"the API tells of {REMOTE_MAILS_MAX} mails at most: --limit {REMOTE_MAILS_MAX}")
        pages: list[list[Story]] = []
        more: int | None = after
        while more is not None:
            told = await self._remote.ask("GET", f"/trace?{_query(wanted, more, limit)}")
            pages.append(msgspec.convert(told["mails"], list[Story]))
            more = told["next"]
        return merged(pages)

    async def refusals(self, wanted: Wanted, *, after: int, limit: int) -> list[RefusalRow]:
        told = await self._remote.ask("GET", f"/trace/refusals?{_query(wanted, after, limit)}")
        return msgspec.convert(told["refusals"], list[RefusalRow])


def traces_at(where: Where) -> LocalTraces | RemoteTraces:
    return RemoteTraces(where) if isinstance(where, Remote) else LocalTraces(where)


def merged(pages: list[list[Story]]) -> list[Story]:
    """Each mail once, with its steps of all pages."""
    found: dict[str, Story] = {}
    for page in pages:
        for story in page:
            before = found.get(story.mail_id)
            found[story.mail_id] = story if before is None else _joined(before, story)
    return sorted(found.values(), key=lambda story: story.position)


def _joined(story: Story, further: Story) -> Story:
    return replace(
        story,
        called_now=story.called_now | further.called_now,
        agencies=story.agencies | further.agencies,
        steps=story.steps + further.steps,
    )


def _query(wanted: Wanted, after: int, limit: int) -> str:
    asked: dict[str, Any] = {
        "mail_id": wanted.mail_id,
        "message_id": wanted.message_id,
        "from": wanted.from_,
        "to": wanted.to,
        "ip": wanted.remote_ip,
        "subject": wanted.subject,
        "since": wanted.since.isoformat() if isinstance(wanted.since, datetime) else None,
        "after": after,
        "limit": limit,
    }
    return urlencode({name: value for name, value in asked.items() if value is not None})
