"""App passwords through the API: one's own as oneself, those of others as far as one may."""

from typing import Any
from urllib.parse import quote

from gateway.cli.remote import Remote
from gateway.domain.app_passwords import Protocol
from gateway.mail.address import Address


class RemoteAppPasswords:
    """Raises Refused, Unknown, Unavailable, each with the API's own sentence."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def make(
        self,
        of: Address,
        label: str,
        days: int | None,
        protocols: tuple[Protocol, ...],
        networks: tuple[str, ...],
    ) -> tuple[str, str]:
        """Its id and the password."""
        new = {"label": label, "days": days, "protocols": protocols, "networks": networks}
        made = await self._remote.ask("POST", await self._path(of), new)
        return str(made["app_id"]), str(made["password"])

    async def list_of(self, of: Address) -> list[dict[str, Any]]:
        return list((await self._remote.ask("GET", await self._path(of)))["app_passwords"])

    async def revoke(self, of: Address, app_id: str) -> None:
        await self._remote.ask("DELETE", f"{await self._path(of)}/{quote(app_id, safe='')}")

    async def _path(self, of: Address) -> str:
        return f"{await self._remote.path_of(of)}/app-passwords"
