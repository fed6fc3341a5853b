"""How the API says no: problem details (RFC 9457), one clear sentence each."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import Response

PROBLEM: Final = "application/problem+json"
TRY_AGAIN_AFTER_S: Final = 5


class ProblemDetails(msgspec.Struct, frozen=True):
    """RFC 9457 §3.1, without `type`: the status says it all (§4.2.1, about:blank)."""

    title: str  # of the status, RFC 9110 §15
    status: int
    detail: str  # one sentence


class Problem(Exception):
    """A request that is not done. detail: one sentence, for the person who asked."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    def response(self) -> Response:
        details = ProblemDetails(self.status.phrase, self.status.value, self.detail)
        return answer(details, self.status, self.headers, PROBLEM)


def answer(
    value: Any,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    kind: str = "application/json",
) -> Response:
    """A JSON answer that nobody keeps; value: None for none."""
    octets = b"" if value is None else msgspec.json.encode(value)
    kept = {"cache-control": "no-store", **(headers or {})}
    return Response(octets, status, kept, kind if octets else None)


def unauthorised(detail: str) -> Problem:
    """Nobody has signed in (RFC 6750 §3)."""
    return Problem(HTTPStatus.UNAUTHORIZED, detail, {"www-authenticate": 'Bearer realm="saraban"'})


def forbidden(detail: str) -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, detail)


def shut_out(status: str) -> Problem:
    """Who may not sign in (any more). status: of the account and its agency, or why not."""
    if status == "trial-ended":
        return forbidden("the trial of your agency has ended: ask its administrator")
    told = status if status in ("closed", "banned") else "suspended"
    return forbidden(f"the account is {told}: ask your administrator")


def not_here(detail: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, detail)


def malformed(detail: str) -> Problem:
    """What was sent is not what is asked for."""
    return Problem(HTTPStatus.BAD_REQUEST, detail)


def against_the_rules(detail: str) -> Problem:
    """What was asked for is not possible as things are."""
    return Problem(HTTPStatus.CONFLICT, detail)


def cannot_answer(detail: str) -> Problem:
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"retry-after": str(TRY_AGAIN_AFTER_S)})


def may_still_happen() -> Problem:
    """A change was begun and is not answered for: it is made to its end, or fails, without the caller."""
    detail = "the gateway did not answer in time and the change may still happen: look before you try again"
    return Problem(HTTPStatus.GATEWAY_TIMEOUT, detail)
