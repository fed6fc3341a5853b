"""The HTTP side of the gateway: /healthz and /metrics. Administration and pages come with later issues."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.ports import Unavailable
from gateway.processes import maillog
from gateway.processes.listening import listen
from gateway.processes.web.figures import Gauge

TIMEOUT_S: Final = 10.0


def application(gauge: Gauge) -> Starlette:
    """GET /healthz: 200 with figures, 503 when a server is away or a consumer far behind. GET /metrics."""

    async def healthz(_: Request) -> Response:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                figures = await gauge.read()
        except (Unavailable, TimeoutError) as error:
            return JSONResponse({"is_well": False, "reason": str(error) or "no answer in time"}, 503)
        return JSONResponse(figures.as_dict(), 200 if figures.is_well else 503)

    async def metrics(_: Request) -> Response:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                text = (await gauge.read()).metrics()
        except (Unavailable, TimeoutError):
            return PlainTextResponse("saraban_up 0\n", 503, media_type="text/plain; version=0.0.4")
        return PlainTextResponse(f"saraban_up 1\n{text}", media_type="text/plain; version=0.0.4")

    return Starlette(routes=[Route("/healthz", healthz), Route("/metrics", metrics)])


async def serve(gauge: Gauge, address: str, ready: Callable[[], None]) -> None:
    """Serve until cancelled. The role's own loop stops it: uvicorn leaves the signals alone."""
    config = uvicorn.Config(application(gauge), log_config=None, access_log=False, lifespan="off")
    server = _Server(config)
    listening = listen(address)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    maillog.role_ready(http=address)
    ready()
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the role decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
