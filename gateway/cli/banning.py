"""Bans as `saraban ban` works with them: on the data folder, or through the API."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from gateway.cli.desk import Where, stamp
from gateway.cli.remote import Remote
from gateway.domain.bans import Network, network_to_ban
from gateway.domain.registration import Refused, Unknown
from gateway.mail.address import Address
from gateway.processes.signin.banning import Banning
from gateway.wiring.desk import Desk
from projections.bans import query
from projections.bans.named import named
from projections.bans.query import Ban
from projections.directory import query as directory

Banned = list[tuple[Network, datetime]]


class LocalBans:
    """Each raises Refused, Unknown, Unavailable."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def listed(self, *, everything: bool) -> list[dict[str, Any]]:
        now = self._desk.clock.now()
        async with self._desk.pool.rows() as rows:
            return [asdict(one) for one in await named(rows, now, everything=everything)]

    async def add(self, whom: Network | Address, length: timedelta, reason: str) -> dict[str, Any]:
        stood = stamp(self._desk)
        async with self._desk.lane() as lane:
            banning = Banning(self._desk.keys, lane, self._desk.entropy)
            if isinstance(whom, Address):
                async with self._desk.pool.rows() as rows:
                    owner = await directory.account_of(rows, whom)
                if owner is None:
                    raise Unknown(f"{whom} is no account here")
                imposed = await banning.account(
                    owner.account_id, owner.agency_id, stood.at + length, stood, why=reason
                )
            else:
                imposed = await banning.network(whom, stood.at + length, stood, reason="operator", why=reason)
        return {**asdict(imposed), "whom": str(whom)}

    async def whom(self, ban_id: str) -> str:
        found = await self._holding(ban_id)
        return found.network or str(found.account_id)

    async def lift(self, ban_id: str, reason: str) -> None:
        found = await self._holding(ban_id)
        async with self._desk.lane() as lane:
            await Banning(self._desk.keys, lane, self._desk.entropy).lift(
                found, stamp(self._desk), why=reason
            )

    async def _holding(self, ban_id: str) -> Ban:
        async with self._desk.pool.rows() as rows:
            found = await query.find_ban(rows, ban_id)
        if found is None:
            raise Unknown(f"there is no ban {ban_id}")
        if not found.holds(self._desk.clock.now()):
            raise Refused(f"{ban_id} has {'been lifted' if found.lifted_at else 'ended'} already")
        return found

    async def networks(self) -> tuple[Banned, Sequence[int], datetime]:
        """Those that are banned, at which ports mail comes here, and the time it is."""
        now = self._desk.clock.now()
        async with self._desk.pool.rows() as rows:
            found = await query.bans_ending_after(rows, now)
        banned = [(network_to_ban(one.network), one.until) for one in found if one.network and one.holds(now)]
        return banned, self._desk.settings.mail_ports, now


class RemoteBans:
    """The same, through the API."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def listed(self, *, everything: bool) -> list[dict[str, Any]]:
        return list((await self._remote.ask("GET", f"/bans?all={str(everything).lower()}"))["bans"])

    async def add(self, whom: Network | Address, length: timedelta, reason: str) -> dict[str, Any]:
        what = "account" if isinstance(whom, Address) else "network"
        new = {what: str(whom), "seconds": int(length.total_seconds()), "reason": reason}
        return dict(await self._remote.ask("POST", "/bans", new))

    async def whom(self, ban_id: str) -> str:
        for one in await self.listed(everything=True):
            if one["ban_id"] == ban_id:
                return str(one["whom"])
        raise Unknown(f"there is no ban {ban_id}")

    async def lift(self, ban_id: str, reason: str) -> None:
        await self._remote.ask("POST", f"/bans/{quote(ban_id, safe='')}/lift", {"reason": reason})

    async def networks(self) -> tuple[Banned, Sequence[int], datetime]:
        told = await self._remote.ask("GET", "/bans")
        banned = [
            (network_to_ban(one["network"]), datetime.fromisoformat(one["until"]))
            for one in told["bans"]
            if one["network"]
        ]
        return banned, told["ports"], datetime.fromisoformat(told["now"]).astimezone(UTC)


def bans_at(where: Where) -> LocalBans | RemoteBans:
    return RemoteBans(where) if isinstance(where, Remote) else LocalBans(where)
