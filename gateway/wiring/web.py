"""The web put together: figures, the API, and the account page."""

from collections.abc import Callable

from gateway.adapters.code_flow import OpenIdCodeFlow
from gateway.adapters.system import entropy
from gateway.processes.web.office import CodeFlows, Office
from gateway.processes.web.serving import SecureListener, serve
from gateway.settings import Settings
from gateway.wiring.doors import bans_of, open_door, server_tls
from gateway.wiring.ground import ground
from gateway.wiring.offers import offer


async def run(settings: Settings, serving: Callable[[], None]) -> None:
    async with (
        ground(settings, "web") as g,
        g.rows(8) as pool,
        g.lane() as lane,
        bans_of(g, pool, lane).watching() as bans,
    ):
        sign_ins = open_door(g, pool, lane, bans)
        url = settings.public_url.rstrip("/")
        flows = CodeFlows(OpenIdCodeFlow(g.clock), url) if url else None
        figures = g.gauge(pool)
        office = Office(
            g.log,
            pool,
            g.keys,
            g.clock,
            entropy,
            g.by,
            sign_ins,
            flows,
            settings.trial_days,
            lane=lane,
            figures=figures.read,
            mail_ports=settings.mail_ports,
            needs_totp=settings.roles_need_totp,
        )
        tls = server_tls(settings)
        secure = SecureListener(settings.listen_https, tls) if tls and settings.listen_https else None
        await serve(
            figures, settings.listen_http, serving, office=office, offer=offer(settings), secure=secure
        )
