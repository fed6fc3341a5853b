"""What mail programs fetch when somebody types an address: without signing in, and for our domains alone.

Whether an address is somebody's is told to nobody: every one at a domain of ours gets the same answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from gateway.mail.address import Address, parse_address
from gateway.ports import Unavailable
from gateway.protocols.autoconfig import apple, mozilla, outlook
from gateway.protocols.autoconfig.offer import Offer
from projections.directory.query import agency_of_domain
from projections.readmodel import Pool

TIMEOUT_S: Final = 10.0
REQUEST_OCTETS_MAX: Final = 16 * 1024
XML: Final = "application/xml"
JSON: Final = "application/json"


def is_here(path: str) -> bool:
    return _kind(path) is not None


class Autoconfiguration:
    """The ASGI application."""

    def __init__(self, pool: Pool, offer: Offer) -> None:
        self._pool, self._offer = pool, offer
        self._answers: Mapping[str, Callable[[Request], Awaitable[Response]]] = {
            "mozilla": self._mozilla,
            "outlook": self._outlook,
            "outlook-json": self._outlook_json,
            "apple": self._apple,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        kind = _kind(request.url.path)
        assert kind is not None, "is_here was asked"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                response = await self._answers[kind](request)
        except ClientDisconnect:
            return
        except (Unavailable, TimeoutError):
            response = PlainTextResponse("Cannot look that up now, try again later\n", 503)
        await response(scope, receive, send)

    async def _mozilla(self, request: Request) -> Response:
        address = _address(request.query_params.get("emailaddress", ""))
        # Who names no address asks at autoconfig.DOMAIN, or at the domain itself.
        domain = address.domain if address else (request.url.hostname or "").removeprefix("autoconfig.")
        if not await self._is_ours(domain):
            return _nobodys()
        return Response(mozilla.mozilla(self._offer, domain), media_type=XML)

    async def _outlook(self, request: Request) -> Response:
        if request.method != "POST":
            return PlainTextResponse("Ask by POST\n", 405, headers={"Allow": "POST"})
        octets = b""
        async for piece in request.stream():
            octets += piece
            if len(octets) > REQUEST_OCTETS_MAX:
                return PlainTextResponse("That is no request for settings\n", 413)
        asked = outlook.address_in(octets)
        address = None if asked is None else _address(asked)
        if address is None:
            return PlainTextResponse("Ask for an address, in the schema of Outlook\n", 400)
        if not await self._is_ours(address.domain):
            return _nobodys()
        return Response(outlook.pox(self._offer, str(address)), media_type=XML)

    async def _outlook_json(self, request: Request) -> Response:
        protocol = {name.lower(): value for name, value in request.query_params.items()}.get("protocol", "")
        status, octets = outlook.where(self._offer, protocol)
        return Response(octets, status, media_type=JSON)

    async def _apple(self, request: Request) -> Response:
        address = _address(request.query_params.get("email", ""))
        if address is None or not await self._is_ours(address.domain):
            return _nobodys()
        octets = apple.profile(self._offer, str(address))
        if octets is None:
            return PlainTextResponse("Nobody reads and sends mail here\n", 404)
        headers = {"Content-Disposition": 'attachment; filename="email.mobileconfig"'}
        return Response(octets, media_type=apple.MEDIA_TYPE, headers=headers)

    async def _is_ours(self, domain: str) -> bool:
        async with self._pool.rows() as rows:
            return await agency_of_domain(rows, domain.lower()) is not None


def _kind(path: str) -> str | None:
    if path in mozilla.PATHS:
        return "mozilla"
    if path == apple.PATH:
        return "apple"
    path = path.lower()
    if path == outlook.PATH:
        return "outlook"
    if path == outlook.JSON_PATH or path.startswith(f"{outlook.JSON_PATH}/"):
        return "outlook-json"
    return None


def _address(text: str) -> Address | None:
    try:
        return parse_address(text).normalise()
    except ValueError:
        return None


def _nobodys() -> Response:
    return PlainTextResponse("No agency here has that domain\n", 404)
