"""The account page below /account: which request is answered by what, and how it says no."""

import asyncio
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.domain import registration
from gateway.ports import Conflict, Deposed, Unavailable
from gateway.processes import maillog
from gateway.processes.web.office import Office
from gateway.processes.web.pages import entrance, forwarding, invited, own, provider, rendering, sign_ins
from gateway.processes.web.pages.faults import NotSignedIn, PageFault
from gateway.processes.web.pages.forms import read_form
from gateway.processes.web.pages.visit import HOME, SIGN_IN, Door, Visit
from gateway.processes.web.peers import is_private
from gateway.processes.web.under_way import UnderWay

TIMEOUT_S: Final = 30.0
STYLE: Final = "/account/style.css"

DOORS: Final = (
    Door("GET", HOME, own.home),
    Door("GET", SIGN_IN, entrance.ask_address, is_inside=False),
    Door("POST", SIGN_IN, entrance.take_address, is_inside=False),
    Door("GET", "/account/password", entrance.start_again, is_inside=False),
    Door("POST", "/account/password", entrance.take_password, is_inside=False),
    Door("GET", invited.PATH, invited.ask, is_inside=False),
    Door("POST", invited.PATH, invited.take, is_inside=False),
    Door("GET", provider.RETURN, provider.come_back, is_inside=False),
    Door("POST", "/account/sign-out", entrance.sign_out),
    Door("GET", sign_ins.PATH, sign_ins.show),
    Door("GET", forwarding.PATH, forwarding.show),
    Door("POST", forwarding.PATH, forwarding.put),
    Door("POST", f"{forwarding.PATH}/remove", forwarding.remove),
    Door("GET", "/account/app-passwords", entrance.start_again),
    Door("POST", "/account/app-passwords", own.make),
    Door("GET", "/account/app-passwords/{app_id}/revoke", own.ask_revoke),
    Door("POST", "/account/app-passwords/{app_id}/revoke", own.revoke),
)


def is_here(path: str) -> bool:
    return path == HOME or path.startswith(f"{HOME}/")


class AccountPage:
    """The ASGI application. deposed: told when another process has taken our lane."""

    def __init__(self, office: Office, deposed: Callable[[Deposed], None]) -> None:
        self._office, self._deposed = office, deposed
        self._doors, self._asking = _doors(), provider.AskingAgain()
        self._under_way = UnderWay(deposed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(Request(scope, receive))
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def finish(self) -> None:
        """Wait for changes that nobody waits for any more."""
        await self._under_way.finish()

    async def _respond(self, request: Request) -> Response:
        visit = Visit(self._office, request, {})
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._answer(visit)
        except NotSignedIn as reason:
            return visit.go(f"{SIGN_IN}?why={reason.text}" if reason.text else SIGN_IN)
        except PageFault as fault:
            return _told(visit, fault)
        except registration.Refused as error:  # Unknown too: our forms offer nothing that is refused
            return _told(visit, PageFault(HTTPStatus.CONFLICT, "refused", str(error)))
        except TimeoutError:
            text = "may-happen" if request.method == "POST" else "unavailable"
            return _told(visit, PageFault(HTTPStatus.GATEWAY_TIMEOUT, text))
        except (Unavailable, Conflict) as error:
            service = getattr(error, "service", "log")
            maillog.service_unavailable(service=service, reason=str(error), doing="account page")
            text = "provider-away" if service == "identity provider" else "unavailable"
            return _told(visit, PageFault(HTTPStatus.SERVICE_UNAVAILABLE, text))
        except Deposed as error:
            self._deposed(error)
            return _told(visit, PageFault(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"))
        except ClientDisconnect:
            raise
        except Exception as error:  # our own mistake: style.md §6
            maillog.session_failed(error)
            return _told(visit, PageFault(HTTPStatus.INTERNAL_SERVER_ERROR, "mistake"))

    async def _answer(self, visit: Visit) -> Response:
        request = visit.request
        if not is_private(request):
            raise PageFault(HTTPStatus.FORBIDDEN, "use-https")
        if request.url.path == STYLE:
            return rendering.style()
        door, visit.parts = self._find(request)
        if door.is_inside:
            await self._under_way.see_through(visit.enter(self._asking.still))
        if door.method == "POST":
            visit.form = await read_form(request)
            visit.check_form()
        return await self._under_way.see_through(door.handle(visit))

    def _find(self, request: Request) -> tuple[Door, Mapping[str, str]]:
        method = "GET" if request.method == "HEAD" else request.method
        is_known = False
        for pattern, door in self._doors:
            if found := pattern.fullmatch(request.url.path):
                is_known = True
                if door.method == method:
                    return door, found.groupdict()
        if is_known:
            raise PageFault(HTTPStatus.METHOD_NOT_ALLOWED, "not-done")
        raise PageFault(HTTPStatus.NOT_FOUND, "not-here")


def _doors() -> list[tuple[re.Pattern[str], Door]]:
    return [(re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", door.path)), door) for door in DOORS]


def _told(visit: Visit, fault: PageFault) -> Response:
    return visit.page(
        "fault.html",
        fault.status,
        fault_said=visit.say(fault.text, **fault.values),
        detail=fault.detail,
        here=HOME,
    )
