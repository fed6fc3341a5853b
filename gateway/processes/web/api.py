"""The administration's HTTP API: a request is read, its caller known, and the answer or a problem given.

Source: RFC 9110 (HTTP), RFC 9457 (problem details), RFC 6750 (bearer tokens).
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gateway.domain import registration
from gateway.ports import Conflict, Deposed, Unavailable
from gateway.processes import maillog
from gateway.processes.web import bodies, openapi
from gateway.processes.web.invited import Acceptance, accept_invitation
from gateway.processes.web.office import BODY_OCTETS_MAX, Asked, Office, Operation
from gateway.processes.web.operations import OPERATIONS, PREFIX
from gateway.processes.web.peers import is_private
from gateway.processes.web.problems import (
    Problem,
    against_the_rules,
    answer,
    cannot_answer,
    forbidden,
    malformed,
    may_still_happen,
    not_here,
    shut_out,
    unauthorised,
)
from gateway.processes.web.rights import Caller
from gateway.processes.web.signing_in import sign_in
from gateway.processes.web.under_way import UnderWay

TIMEOUT_S: Final = 30.0
READ_TIMEOUT_S: Final = 60.0
SAFE: Final = frozenset({"GET", "HEAD"})  # RFC 9110 §9.2.1: nothing is changed
# Beside the answer to a change that is made and that the next request may not see yet.
ROWS: Final = "saraban-rows"
TOKEN: Final = "/token"
INVITATION: Final = "/invitation"
DESCRIPTION: Final = "/openapi.json"
_BEARER: Final = re.compile(r"bearer +([^ ]+) *", re.IGNORECASE)

# Path below the prefix, as a pattern of raw segments → method → what is done.
Routes = list[tuple[re.Pattern[str], dict[str, Operation | None]]]


class Administration:
    """The ASGI application below /api/v1. deposed: told when another process has taken our lane."""

    def __init__(self, office: Office, deposed: Callable[[Deposed], None]) -> None:
        self._office, self._deposed = office, deposed
        self._under_way = UnderWay(deposed)
        self._routes = _routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
            await response(scope, receive, _patient(send))
        except ClientDisconnect:
            return
        except (Unavailable, TimeoutError) as error:  # of a file: it has begun and is cut off
            service, reason = getattr(error, "service", "client"), str(error) or "it does not read"
            maillog.service_unavailable(service=service, reason=reason, doing="administration")

    async def finish(self) -> None:
        """Wait for changes that nobody waits for any more."""
        await self._under_way.finish()

    async def _respond(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._answer(request)
        except Problem as problem:
            return problem.response()
        except registration.Unknown as error:
            return not_here(str(error)).response()
        except registration.Refused as error:
            return against_the_rules(str(error)).response()
        except (Unavailable, Conflict) as error:
            reason = str(error)
            maillog.service_unavailable(
                service=getattr(error, "service", "log"), reason=reason, doing="administration"
            )
            return cannot_answer("the gateway cannot do this now: try again later").response()
        except TimeoutError:
            if request.method in SAFE:
                return cannot_answer("the gateway did not answer in time: try again later").response()
            return may_still_happen().response()
        except Deposed as error:
            self._deposed(error)
            return cannot_answer("this process stops: try again").response()
        except ClientDisconnect:
            raise
        except Exception as error:  # our own mistake: style.md §6
            maillog.session_failed(error)
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the gateway made a mistake").response()

    async def _answer(self, request: Request) -> Response:
        path = _path_of(request.scope)
        if path == DESCRIPTION:
            _allowed(request.method, {"GET": None})
            return answer(openapi.description())
        if not is_private(request):
            raise forbidden("passwords and tokens are taken over TLS only: use https")
        if path == TOKEN:
            _allowed(request.method, {"POST": None, "DELETE": None})
            return await self._token(request)
        if path == INVITATION:
            _allowed(request.method, {"POST": None})
            acceptance = await _body(request, Acceptance)
            accepting = accept_invitation(self._office, request, acceptance)
            return answer(await self._under_way.see_through(accepting))
        methods, found = self._find(path)
        operation = _allowed(request.method, methods)
        assert operation is not None, path
        caller = await self._caller(request)
        if operation.right is not None:
            caller.check(operation.right)
        asked = Asked(
            self._office,
            caller,
            found,
            await _body(request, operation.body, operation.octets_max) if operation.body else None,
            _query(request, operation.query) if operation.query else None,
            request.client.host if request.client else "",
        )
        if request.method in SAFE:
            return answer(await operation.handle(asked), operation.status)
        return await self._under_way.see_through(self._change(operation, asked))

    async def _change(self, operation: Operation, asked: Asked) -> Response:
        """Once begun it is not cut off: the caller may stop waiting, the change is made whole."""
        value = await operation.handle(asked)
        if isinstance(value, Response):  # a file: it changes no rows
            return value
        behind = {} if await self._office.follow() else {ROWS: "behind"}
        return answer(value, operation.status, behind)

    def _find(self, path: str) -> tuple[dict[str, Operation | None], Mapping[str, str]]:
        for pattern, methods in self._routes:
            if found := pattern.fullmatch(path):
                try:
                    named = {name: unquote(text, errors="strict") for name, text in found.groupdict().items()}
                except UnicodeDecodeError as error:
                    raise malformed("the path is not UTF-8") from error
                if not any("\0" in text for text in named.values()):
                    return methods, named
        raise not_here("there is no such thing in this API")

    async def _token(self, request: Request) -> Response:
        if request.method == "DELETE":
            await self._caller(request)
            await self._office.tokens.end(_bearer(request))
            return answer(None, HTTPStatus.NO_CONTENT)
        asked = await _body(request, bodies.SignInRequest)
        token = await self._under_way.see_through(sign_in(self._office, request, asked))
        return answer(bodies.TokenAnswer(token.text, token.expires_at), HTTPStatus.CREATED)

    async def _caller(self, request: Request) -> Caller:
        """Raises Problem: 401 without a token that holds, 403 for somebody who may not sign in any more."""
        holder = await self._office.tokens.holder(_bearer(request))
        caller = None if holder is None else await self._office.caller(holder)
        if caller is None:
            raise unauthorised("the token does not hold (any more): sign in again")
        if caller.account is not None and caller.account.status != "active":
            raise shut_out(caller.account.status)
        return caller


def _patient(send: Send) -> Send:
    """Wait for who does not read for so long and no longer."""

    async def patiently(message: Message) -> None:
        async with asyncio.timeout(READ_TIMEOUT_S):
            await send(message)

    return patiently


def _routes() -> Routes:
    by_path: dict[str, dict[str, Operation | None]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [
        (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), methods)
        for path, methods in by_path.items()
    ]


def _path_of(scope: Scope) -> str:
    """Below the prefix, still percent-encoded: a local part may have a slash in it."""
    raw: bytes = scope["raw_path"]
    return raw.decode("ascii", "replace").partition("?")[0].removeprefix(PREFIX)


def _allowed(method: str, methods: Mapping[str, Operation | None]) -> Operation | None:
    asked = "GET" if method == "HEAD" else method
    if asked not in methods:
        allowed = sorted([*methods, *(["HEAD"] if "GET" in methods else [])])
        raise Problem(
            HTTPStatus.METHOD_NOT_ALLOWED, f"{method} is not done here", {"allow": ", ".join(allowed)}
        )
    return methods[asked]


def _bearer(request: Request) -> str:
    given = _BEARER.fullmatch(request.headers.get("authorization", ""))
    if given is None:
        raise unauthorised("sign in first: POST /api/v1/token gives a token to send with each request")
    return given[1]


async def _body(request: Request, kind: type[Any], octets_max: int = BODY_OCTETS_MAX) -> Any:
    """The body as such a struct. Raises Problem: 413, 415, 400."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is not application/json")
    octets = bytearray()
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > octets_max:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {octets_max} octets")
    try:
        return msgspec.json.decode(octets, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(f"the body is not what is asked for: {error}") from error


def _query(request: Request, kind: type[Any]) -> Any:
    """What is asked for, without NUL: the rows can neither hold it nor be asked for it."""
    asked = {name: text.replace("\0", "") for name, text in request.query_params.items()}
    try:
        return msgspec.convert(asked, kind, strict=False)
    except msgspec.ValidationError as error:
        raise malformed(f"the query is not what is asked for: {error}") from error
