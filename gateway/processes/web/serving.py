"""The HTTP side of the gateway: /healthz and /metrics, the API below /api/v1, the account page, and
what mail programs look for."""

import asyncio
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.ports import Deposed, Unavailable
from gateway.processes import maillog
from gateway.processes.listening.sockets import listen
from gateway.processes.web import autoconfig
from gateway.processes.web.api import Administration
from gateway.processes.web.autoconfig import Autoconfiguration
from gateway.processes.web.figures import Gauge
from gateway.processes.web.office import Office
from gateway.processes.web.operations import PREFIX
from gateway.processes.web.pages.site import AccountPage, is_here
from gateway.processes.web.peers import is_loopback
from gateway.protocols.autoconfig.offer import Offer

TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class SecureListener:
    """Where the same is served with TLS."""

    address: str
    tls: ssl.SSLContext


def application(
    gauge: Gauge,
    administration: Administration | None = None,
    account_page: AccountPage | None = None,
    autoconfiguration: Autoconfiguration | None = None,
) -> ASGIApp:
    """GET /healthz: 200 with figures, 503 when a server is away or a consumer far behind. GET /metrics.

    Destinations are named to who asks from this machine.
    """

    async def healthz(request: Request) -> Response:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                figures = await gauge.read()
        except (Unavailable, TimeoutError) as error:
            return JSONResponse({"is_well": False, "reason": str(error) or "no answer in time"}, 503)
        shown = figures.as_dict(names_destinations=is_loopback(request))
        status = 200 if figures.is_well else 503
        return Response(msgspec.json.encode(shown), status, media_type="application/json")

    async def metrics(request: Request) -> Response:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                text = (await gauge.read()).metrics(names_destinations=is_loopback(request))
        except (Unavailable, TimeoutError):
            return PlainTextResponse("saraban_up 0\n", 503, media_type="text/plain; version=0.0.4")
        return PlainTextResponse(f"saraban_up 1\n{text}", media_type="text/plain; version=0.0.4")

    rest = Starlette(routes=[Route("/healthz", healthz), Route("/metrics", metrics)])

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if account_page is not None and is_here(path):
            await account_page(scope, receive, send)
        elif administration is not None and path.startswith(f"{PREFIX}/"):
            await administration(scope, receive, send)
        elif autoconfiguration is not None and autoconfig.is_here(path):
            await autoconfiguration(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return dispatch


async def serve(
    gauge: Gauge,
    address: str,
    ready: Callable[[], None],
    *,
    office: Office | None = None,
    offer: Offer | None = None,
    secure: SecureListener | None = None,
) -> None:
    """Serve until cancelled. The role's own loop stops it: uvicorn leaves the signals alone.

    office: None: without administration and account page. offer: what mail programs are told. Raises
    Deposed when another process takes our lane.
    """
    deposed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(error: Deposed) -> None:
        if not deposed.done():
            deposed.set_exception(error)

    administration = Administration(office, end) if office is not None else None
    account_page = AccountPage(office, end) if office is not None else None
    told = Autoconfiguration(office.pool, offer) if office is not None and offer is not None else None
    app = application(gauge, administration, account_page, told)
    servers, listening = [_Server(_config(app))], [listen(address)]
    if secure is not None:
        servers.append(_Server(_config(app, secure.tls)))
        listening.append(listen(secure.address))
    tasks = [
        asyncio.create_task(server.serve(sockets=[each]))
        for server, each in zip(servers, listening, strict=True)
    ]
    maillog.role_ready(http=address, **({"https": secure.address} if secure else {}))
    ready()
    try:
        await asyncio.wait([deposed, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)
        for each in (administration, account_page):
            if each is not None:
                await each.finish()
    if deposed.done():
        deposed.result()


def _config(app: ASGIApp, tls: ssl.SSLContext | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,  # who asks is who connects: nobody names another by a header
        server_header=False,
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
    )


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the role decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
