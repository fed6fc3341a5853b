"""The queue through the API: the same as at the desk, of what is one's own to see and steer."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from gateway.cli.remote import Remote
from gateway.domain.registration import Unknown
from gateway.domain.steering import Cancel, Deed, Hold, Release, Reroute, Retry
from gateway.mail.ids import MailId
from gateway.processes.steering import Steered
from projections.queue.listing import Choice, Destination, HostTried
from projections.queue.project import Key, Recipient
from projections.queue.standing import StandingHold

PAGE: Final = 1_000  # what the API shows at once


class RemoteQueue:
    """All raise Refused, Unavailable."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def count(self, choice: Choice) -> int:
        waiting, _ = await self.recipients(choice, 1)
        return waiting

    async def destinations(self, choice: Choice, limit: int) -> tuple[int, list[Destination]]:
        wanted = {**_chosen(choice), "limit": min(limit, PAGE)}
        told = await self._remote.ask("GET", f"/queue/destinations?{urlencode(wanted)}")
        return told["waiting"], msgspec.convert(told["destinations"], list[Destination])

    async def recipients(self, choice: Choice, limit: int) -> tuple[int, list[Recipient]]:
        found, after, waiting = list[Recipient](), None, 0
        while len(found) < limit:
            wanted = _chosen(choice) | {"limit": min(limit - len(found), PAGE)}
            wanted |= {"after": after} if after else {}
            told = await self._remote.ask("GET", f"/queue/recipients?{urlencode(wanted)}")
            waiting = waiting or told["waiting"]
            found += map(_recipient, told["recipients"])
            after = told["next"]
            if after is None:
                break
        return waiting, found

    async def of_mail(self, mail_id: MailId) -> list[Recipient]:
        return list(map(_recipient, (await self._mail(mail_id))["recipients"]))

    async def hosts_tried(self, mail_id: MailId) -> list[HostTried]:
        return msgspec.convert((await self._mail(mail_id))["tried"], list[HostTried])

    async def _mail(self, mail_id: MailId) -> dict[str, Any]:
        try:
            told: dict[str, Any] = await self._remote.ask("GET", f"/queue/mails/{quote(mail_id, safe='')}")
        except Unknown:
            return {"recipients": [], "tried": []}
        return told

    async def all(self, choice: Choice) -> AsyncIterator[Recipient]:
        waiting = await self.count(choice)
        for row in (await self.recipients(choice, max(waiting, 1)))[1]:
            yield row

    async def look(self, choice: Choice, keys: Sequence[Key]) -> list[Recipient]:
        """Those recipients as they are now: those that wait from the list, the others mail by mail."""
        wanted = set(keys)
        found = {
            key: row async for row in self.all(choice) if (key := (row.mail_id, row.recipient)) in wanted
        }
        for mail_id in sorted({mail_id for mail_id, _ in wanted - found.keys()}):
            rows = await self.of_mail(MailId(mail_id))
            found |= {key: row for row in rows if (key := (row.mail_id, row.recipient)) in wanted}
        return list(found.values())

    async def standing_holds(self) -> list[StandingHold]:
        told = await self._remote.ask("GET", "/queue/holds")
        return [msgspec.convert({**hold, "position": 0}, StandingHold) for hold in told["holds"]]

    async def steer(self, choice: Choice, deed: Deed, reason: str, *, is_standing: bool = False) -> Steered:
        """The API does as much as one request has time for; it is asked until all is done."""
        path, more = _deed(deed)
        asked = {**_chosen(choice), **more, "reason": reason} | ({"standing": True} if is_standing else {})
        done = Steered()
        while True:
            told = await self._remote.ask("POST", f"/queue/{path}", asked)
            done += Steered(told["changed"], told["unchanged"], told["busy"], stands=told["stands"])
            if told["next"] is None:
                return done
            asked["after"] = told["next"]


def _chosen(choice: Choice) -> dict[str, Any]:
    fields = {
        "mail_id": choice.mail_id,
        "sender": choice.sender,
        "recipient": choice.recipient,
        "domain": choice.domain,
        "agency": choice.agency_id,
    }
    chosen = {name: str(value) for name, value in fields.items() if value is not None}
    return chosen if choice.is_held is None else {**chosen, "held": str(choice.is_held).lower()}


def _deed(deed: Deed) -> tuple[str, dict[str, Any]]:
    """The operation, and what it wants to know besides."""
    match deed:
        case Hold():
            return "hold", {}
        case Release():
            return "release", {}
        case Retry():
            return "retry", {}
        case Reroute(next_hop=hop):
            return "reroute", {"via": str(hop) if hop else None}
        case Cancel(is_reported=is_reported):
            return "cancel", {"silently": not is_reported}


def _recipient(shown: dict[str, Any]) -> Recipient:
    """Without its places in the log, which are the gateway's own."""
    return msgspec.convert({**shown, "position": 0, "changed_at": 0}, Recipient)
