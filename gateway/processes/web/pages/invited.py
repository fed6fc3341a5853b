"""The first password of somebody who was invited, set on a page before signing in."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from gateway.domain.registration import Refused
from gateway.processes.signin.signin import ClaimRefused
from gateway.processes.web import invited
from gateway.processes.web.pages.entrance import address_of
from gateway.processes.web.pages.forms import field
from gateway.processes.web.pages.visit import SIGN_IN, Visit
from gateway.processes.web.signing_in import WAIT_S

PATH: Final = "/account/invitation"


async def ask(visit: Visit) -> Response:
    return visit.page("invitation.html", detail="", typed={"address": "", "code": ""})


async def take(visit: Visit) -> Response:
    """Then they sign in, with a code of their authenticator if they have one: an invitation is none."""
    address = address_of(field(visit.form, "address"))
    if address is None:
        return _again(visit, "no-address")
    # Spaces at its ends are a password's own.
    password, repeated = ((visit.form.get(name) or [""])[0] for name in ("password", "repeated"))
    if password != repeated:
        return _again(visit, "not-repeated")
    try:
        found = await invited.accept(
            visit.office, visit.remote_ip, address, field(visit.form, "code"), password
        )
    except Refused as error:
        return _again(visit, "refused", detail=str(error), status=HTTPStatus.CONFLICT)
    if isinstance(found, ClaimRefused):
        if found.reason == "throttled":
            return _again(visit, "throttled", status=HTTPStatus.TOO_MANY_REQUESTS)
        return _again(visit, "not-invited", status=HTTPStatus.FORBIDDEN)
    return visit.go(f"{SIGN_IN}?why=password-set")


def _again(
    visit: Visit, fault: str, *, detail: str = "", status: HTTPStatus = HTTPStatus.BAD_REQUEST
) -> Response:
    """The form with what was typed, but for the passwords."""
    headers = {"retry-after": str(WAIT_S)} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    typed = {name: field(visit.form, name) for name in ("address", "code")}
    return visit.page("invitation.html", status, headers, fault=fault, detail=detail, typed=typed)
