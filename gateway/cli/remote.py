"""The registry as the API has it: the same calls as at the desk, made over HTTP in one's own name."""

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from http.client import HTTPException, HTTPResponse
from typing import IO, Any, Final
from urllib.parse import quote, urlencode

import msgspec

from gateway.cli.session import Session
from gateway.domain.account import Role
from gateway.domain.agency import AgencyStatus, ForwardingPolicy, Limits, NextHop
from gateway.domain.agency_tls import AgencyTls
from gateway.domain.registration import Refused, Unknown
from gateway.domain.route import Route, WeightedHop
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Unavailable

TIMEOUT_S: Final = 60.0
CHUNK_OCTETS: Final = 64 * 1024
Opened = Callable[[], AbstractContextManager[IO[bytes]]]
PAGE: Final = 1_000
SIGN_IN_AGAIN: Final = "the token does not hold any more: saraban login {url}"


class Remote:
    """One API, asked with one token. What it refuses is raised as the registry would: Refused, Unknown."""

    def __init__(self, url: str, token: str = "", ca: str = "") -> None:
        self._url, self._token = url, token
        self._tls = ssl.create_default_context(cadata=ca or None) if url.startswith("https:") else None

    @classmethod
    def of(cls, session: Session) -> "Remote":
        return cls(session.url, session.token, session.ca)

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What the API answers. Raises Refused, Unknown, Unavailable; each with the API's own sentence."""
        return await asyncio.to_thread(self._ask, method, path, body)

    async def download(self, path: str, body: Mapping[str, Any], opened: Opened) -> int:
        """Write the file that the API answers with; how many octets it has.

        opened: where to, asked for when nothing was refused. Raises as `ask`; OSError, the file's own.
        """
        return await asyncio.to_thread(self._download, path, body, opened)

    def _download(self, path: str, body: Mapping[str, Any], opened: Opened) -> int:
        count = 0
        with self._open("POST", path, body) as answer, opened() as file:
            while octets := self._read(answer, CHUNK_OCTETS):
                count += file.write(octets)
        return count

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        with self._open(method, path, body) as answer:
            told = self._read(answer)
        return json.loads(told) if told else None

    def _read(self, answer: HTTPResponse, octets_max: int | None = None) -> bytes:
        try:
            return answer.read(octets_max)
        except (OSError, HTTPException) as error:
            raise Unavailable(self._url, "the answer broke off: ask again") from error

    def _open(self, method: str, path: str, body: Mapping[str, Any] | None) -> HTTPResponse:
        octets = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"} if octets is not None else {}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        asked = urllib.request.Request(f"{self._url}/api/v1{path}", octets, headers, method=method)
        try:
            answer: HTTPResponse = urllib.request.urlopen(asked, timeout=TIMEOUT_S, context=self._tls)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, error.read()) from error
        except OSError as error:
            raise Unavailable(self._url, str(getattr(error, "reason", error))) from error
        return answer

    def _refusal(self, status: int, octets: bytes) -> Exception:
        if status == 401 and self._token:
            return Refused(SIGN_IN_AGAIN.format(url=self._url))
        try:
            detail = str(json.loads(octets)["detail"])
        except (ValueError, KeyError, TypeError):
            return Unavailable(self._url, f"it answered with {status}, not as Saraban's API")
        return Unknown(detail) if status == 404 else Refused(detail)

    async def pages(self, path: str, name: str, **wanted: str | None) -> list[dict[str, Any]]:
        """All of a list."""
        found: list[dict[str, Any]] = []
        asked = {key: value for key, value in wanted.items() if value is not None}
        while True:
            page = await self.ask("GET", f"{path}?{urlencode({**asked, 'limit': PAGE})}")
            found += page[name]
            if page["next"] is None:
                return found
            asked["after"] = page["next"]

    async def path_of(self, address: Address) -> str:
        """`/me` where the address is one's own, its account's otherwise."""
        me = await self.ask("GET", "/me")
        is_mine = me["account_id"] and parse_address(me["username"]).normalise() == address.normalise()
        return "/me" if is_mine else self.account_path(address)

    def account_path(self, address: Address) -> str:
        return f"/accounts/{_quoted(address)}"


class RemoteRegistry:
    """`Registry`, through the API."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def add_agency(
        self,
        name: str,
        domains: Sequence[str],
        *,
        relay_to: NextHop | None = None,
        trial_days: int | None = None,
    ) -> AgencyId:
        """trial_days: 0: as many as the gateway gives."""
        new = {
            "name": name,
            "domains": list(domains),
            "relay_to": str(relay_to) if relay_to else None,
            "trial_days": trial_days,
        }
        return AgencyId((await self._remote.ask("POST", "/agencies", new))["agency_id"])

    async def suspend_account(self, address: Address, reason: str) -> AccountId:
        return await self._change(address, "suspend", reason)

    async def activate_account(self, address: Address, reason: str) -> AccountId:
        return await self._change(address, "activate", reason)

    async def close_account(self, address: Address, reason: str) -> AccountId:
        return await self._change(address, "close", reason)

    async def add_alias(self, of: Address, alias: Address) -> AccountId:
        changed = await self._remote.ask("POST", "/aliases", {"alias": str(alias), "of": str(of)})
        return AccountId(changed["account_id"])

    async def remove_alias(self, alias: Address) -> AccountId:
        return AccountId((await self._remote.ask("DELETE", f"/aliases/{_quoted(alias)}"))["account_id"])

    async def _change(self, address: Address, how: str, reason: str) -> AccountId:
        changed = await self._remote.ask("POST", f"/accounts/{_quoted(address)}/{how}", {"reason": reason})
        return AccountId(changed["account_id"])


class RemoteAgencies:
    """`Agencies`, through the API."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def rename(self, agency_id: AgencyId, name: str) -> str:
        named = await self._remote.ask("PUT", f"/agencies/{quote(agency_id)}/name", {"name": name})
        return str(named["name"])

    async def suspend(self, agency_id: AgencyId, reason: str) -> None:
        await self._remote.ask("POST", f"/agencies/{quote(agency_id)}/suspend", {"reason": reason})

    async def activate(self, agency_id: AgencyId, reason: str) -> AgencyStatus:
        path = f"/agencies/{quote(agency_id)}/activate"
        status: AgencyStatus = (await self._remote.ask("POST", path, {"reason": reason}))["status"]
        return status

    async def extend_trial(self, agency_id: AgencyId, days: int, reason: str) -> datetime:
        path = f"/agencies/{quote(agency_id)}/trial"
        extended = await self._remote.ask("POST", path, {"days": days, "reason": reason})
        return datetime.fromisoformat(extended["trial_ends_at"])

    async def order_close(self, agency_id: AgencyId, reason: str) -> int:
        lacking = (await self._remote.ask("GET", f"/agencies/{quote(agency_id)}"))["lacking"]
        await self._remote.ask("POST", f"/agencies/{quote(agency_id)}/close", {"reason": reason})
        return int(lacking)

    async def set_contact(self, agency_id: AgencyId, address: Address) -> AccountId:
        path = f"/agencies/{quote(agency_id)}/contact"
        return AccountId((await self._remote.ask("PUT", path, {"address": str(address)}))["account_id"])

    async def set_catch_all(self, agency_id: AgencyId, address: Address | None) -> AccountId | None:
        body = {"address": str(address) if address else None}
        answer = await self._remote.ask("PUT", f"/agencies/{quote(agency_id)}/catch-all", body)
        return AccountId(answer["account_id"]) if answer["account_id"] else None

    async def set_plus_addressing(self, agency_id: AgencyId, *, is_on: bool) -> None:
        await self._remote.ask("PUT", f"/agencies/{quote(agency_id)}/plus-addressing", {"is_on": is_on})

    async def limits(self, agency_id: AgencyId) -> Limits:
        return msgspec.convert(await self._remote.ask("GET", f"/agencies/{quote(agency_id)}/limits"), Limits)

    async def set_limits(self, agency_id: AgencyId, changes: Mapping[str, int | None]) -> Limits:
        path = f"/agencies/{quote(agency_id)}/limits"
        return msgspec.convert(await self._remote.ask("PATCH", path, changes), Limits)

    async def forwarding_policy(self, agency_id: AgencyId) -> ForwardingPolicy:
        told = await self._remote.ask("GET", f"/agencies/{quote(agency_id)}/forwarding")
        policy: ForwardingPolicy = told["policy"]
        return policy

    async def set_forwarding_policy(self, agency_id: AgencyId, policy: ForwardingPolicy) -> None:
        await self._remote.ask("PUT", f"/agencies/{quote(agency_id)}/forwarding", {"policy": policy})

    async def tls(self, agency_id: AgencyId) -> AgencyTls:
        return msgspec.convert(await self._remote.ask("GET", f"/agencies/{quote(agency_id)}/tls"), AgencyTls)

    async def set_tls(self, agency_id: AgencyId, policy: AgencyTls, key: bytes, reason: str) -> AgencyTls:
        body = {**msgspec.to_builtins(policy), "use": policy.use, "key": key.decode(), "reason": reason}
        holding = await self._remote.ask("PUT", f"/agencies/{quote(agency_id)}/tls", body)
        return msgspec.convert(holding, AgencyTls)

    async def set_route(self, agency_id: AgencyId, route: Route, reason: str) -> None:
        def way(hops: Sequence[WeightedHop]) -> list[dict[str, Any]]:
            return [{**msgspec.to_builtins(each.hop), "weight": each.weight} for each in hops]

        spans = {"down_for_s": route.down_for_s, "back_for_s": route.back_for_s}
        body = {"main": way(route.main), "backup": way(route.backup), **spans, "reason": reason}
        await self._remote.ask("PUT", f"/agencies/{quote(agency_id)}/route", body)


class RemoteForwarding:
    """`Forwarding`, through the API: of one's own account as oneself, of others as their administrator."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def show(self, address: Address) -> dict[str, Any]:
        return dict(await self._remote.ask("GET", await self._path(address)))

    async def set(self, address: Address, targets: Sequence[Address], *, keeps_copy: bool) -> AccountId:
        rule = {"to": list(map(str, targets)), "keep_copy": keeps_copy}
        changed = await self._remote.ask("PUT", await self._path(address), rule)
        return AccountId(changed["account_id"])

    async def remove(self, address: Address) -> AccountId:
        changed = await self._remote.ask("DELETE", await self._path(address))
        return AccountId(changed["account_id"])

    async def _path(self, address: Address) -> str:
        return f"{await self._remote.path_of(address)}/forwarding"


class RemoteDomains:
    """`Domains`, through the API."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def add(self, agency_id: AgencyId, domain: str) -> str:
        return await self._change("POST", f"/agencies/{quote(agency_id)}/domains", {"domain": domain})

    async def replace(self, agency_id: AgencyId, old: str, new: str) -> str:
        return await self._change("POST", f"{self._path(agency_id, old)}/replace", {"by": new})

    async def remove(self, agency_id: AgencyId, domain: str) -> str:
        return await self._change("DELETE", self._path(agency_id, domain), None)

    async def move(self, agency_id: AgencyId, domain: str, to: AgencyId, reason: str) -> list[str]:
        body = {"to": to, "reason": reason}
        moved = await self._remote.ask("POST", f"{self._path(agency_id, domain)}/move", body)
        return list(moved["domains"])

    def _path(self, agency_id: AgencyId, domain: str) -> str:
        return f"/agencies/{quote(agency_id)}/domains/{quote(domain, safe='')}"

    async def _change(self, method: str, path: str, body: Mapping[str, Any] | None) -> str:
        return str((await self._remote.ask(method, path, body))["domain"])


class RemoteRoles:
    """`Roles`, through the API."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def grant(self, address: Address, role: Role, agency_id: AgencyId | None, reason: str) -> AccountId:
        return await self._change("grant", address, role, agency_id, reason)

    async def revoke(
        self, address: Address, role: Role, agency_id: AgencyId | None, reason: str
    ) -> AccountId:
        return await self._change("revoke", address, role, agency_id, reason)

    async def _change(
        self, how: str, address: Address, role: Role, agency_id: AgencyId | None, reason: str
    ) -> AccountId:
        change = {"address": str(address), "role": role, "agency_id": agency_id, "reason": reason}
        return AccountId((await self._remote.ask("POST", f"/roles/{how}", change))["account_id"])


def _quoted(address: Address) -> str:
    return quote(str(address), safe="@")
