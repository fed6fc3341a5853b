"""Bans as rows would have them, for sign-ins and edges in memory."""

from dataclasses import replace
from datetime import datetime

from gateway.ports import Unavailable
from projections.bans.query import Ban
from tests.processes.world import AT


class KeptBans:
    """The port BansKept."""

    def __init__(self) -> None:
        self.bans: list[Ban] = []
        self.change, self.asked, self.fault = 0, 0, False

    async def last_change(self) -> int:
        if self.fault:
            raise Unavailable("postgres", "it is away")
        return self.change

    async def remembered(self) -> list[Ban]:
        self.asked += 1
        return list(self.bans)

    def impose(self, until: datetime, network: str | None = None, **more: object) -> Ban:
        """An operator bans a network; what else there is to say of it is in `more`."""
        ban = Ban(
            f"ban_{len(self.bans)}", "network", network, None, None, "operator", "", AT, "operator x", until
        )
        self.bans.append(replace(ban, **more))  # type: ignore[arg-type]
        self.change += 1
        return self.bans[-1]

    def lift(self, number: int = 0) -> None:
        self.bans[number] = replace(self.bans[number], lifted_at=AT)
        self.change += 1
