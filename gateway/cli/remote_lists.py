"""Mailing lists through the API."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from gateway.cli.remote import Remote
from gateway.domain.maillist import Posting
from gateway.mail.address import Address
from gateway.mail.ids import AccountId

MEMBERS_AT_ONCE: Final = 200  # what the API takes in one request


class RemoteLists:
    """`MailLists`, through the API. Raises Refused, Unknown, Unavailable."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def add_list(
        self, address: Address, *, display_name: str, posting: Posting, posters: Sequence[Address]
    ) -> AccountId:
        new = {
            "address": str(address),
            "display_name": display_name,
            "posting": posting,
            "posters": list(map(str, posters)),
        }
        return AccountId((await self._remote.ask("POST", "/lists", new))["account_id"])

    async def members(self, address: Address) -> list[str]:
        return list((await self._remote.ask("GET", f"{_path(address)}/members"))["members"])

    async def add_members(self, address: Address, members: Sequence[Address]) -> int:
        added = 0
        for start in range(0, len(members), MEMBERS_AT_ONCE):
            some = {"members": list(map(str, members[start : start + MEMBERS_AT_ONCE]))}
            added += (await self._remote.ask("POST", f"{_path(address)}/members", some))["added"]
        return added

    async def remove_member(self, address: Address, member: Address) -> None:
        await self._remote.ask("DELETE", f"{_path(address)}/members/{quote(str(member), safe='@')}")

    async def set_posting(self, address: Address, posting: Posting, posters: Sequence[Address]) -> None:
        change = {"posting": posting, "posters": list(map(str, posters))}
        await self._remote.ask("PUT", f"{_path(address)}/posting", change)

    async def remove(self, address: Address, reason: str) -> None:
        await self._remote.ask("POST", f"{_path(address)}/remove", {"reason": reason})


def _path(address: Address) -> str:
    return f"/lists/{quote(str(address), safe='@')}"
