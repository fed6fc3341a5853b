"""Signing in to the account page: an address decides where; with a password it is here. And signing out."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from gateway.mail.address import Address, parse_address
from gateway.processes.signin.signin import ClaimRefused, Origin
from gateway.processes.web.pages.forms import field
from gateway.processes.web.pages.provider import place_of, show_way
from gateway.processes.web.pages.visit import HOME, SIGN_IN, Visit
from gateway.processes.web.signing_in import MECHANISM, WAIT_S
from gateway.protocols.sasl.exchange import BadResponse, PasswordClaim, prepare_password

REASONS: Final = frozenset(
    {"ended", "suspended", "trial-ended", "signed-out", "password-set"}
)  # why somebody is sent here, in a URL


async def ask_address(visit: Visit) -> Response:
    why = visit.request.query_params.get("why", "")
    return visit.page("sign_in.html", notice=why if why in REASONS else "", address="")


async def take_address(visit: Visit) -> Response:
    """Where somebody of that domain signs in: at the agency's provider, or with a password here."""
    address = address_of(field(visit.form, "address"))
    if address is None:
        return _address_again(visit)
    if (place := await place_of(visit.office, address)) is not None:
        return await show_way(visit, place, address)
    return visit.page("password.html", address=str(address), here=SIGN_IN)


async def take_password(visit: Visit) -> Response:
    """On record either way, before it is answered."""
    address = address_of(field(visit.form, "address"))
    if address is None:
        return _address_again(visit)
    if (place := await place_of(visit.office, address)) is not None:
        return await show_way(visit, place, address)
    try:
        # Spaces at its ends are a password's own.
        password = prepare_password((visit.form.get("password") or [""])[0])
    except BadResponse:
        return refused(visit, ClaimRefused("password"), str(address))
    claim = PasswordClaim(str(address), password)
    origin = Origin("web", MECHANISM, visit.remote_ip)
    mark = await visit.office.sign_ins.mark(claim.username)
    found = await visit.office.sign_ins.check(claim, origin, field(visit.form, "code"))
    if isinstance(found, ClaimRefused):
        return refused(visit, found, str(address))
    return visit.let_in(await visit.sessions.begin(found.account_id, mark))


async def sign_out(visit: Visit) -> Response:
    await visit.leave()
    return visit.go(f"{SIGN_IN}?why=signed-out")


async def start_again(visit: Visit) -> Response:
    """What only an answer to a form is: where that form is."""
    return visit.go(HOME)


def refused(visit: Visit, refusal: ClaimRefused, address: str) -> Response:
    """The form again, and why."""
    status, headers = HTTPStatus.FORBIDDEN, {}
    match refusal.reason:
        case "throttled":
            status, headers = HTTPStatus.TOO_MANY_REQUESTS, {"retry-after": str(WAIT_S)}
            fault = "throttled"
        case "suspended" | "closed" | "banned" | "trial-ended" as told:
            fault = told
        case "code":
            fault = "wrong-code"
        case _:
            fault = "wrong"
    return visit.page("password.html", status, headers, fault=fault, address=address, here=SIGN_IN)


def _address_again(visit: Visit) -> Response:
    typed = field(visit.form, "address")
    return visit.page("sign_in.html", HTTPStatus.BAD_REQUEST, fault="no-address", address=typed, here=SIGN_IN)


def address_of(typed: str) -> Address | None:
    """None: it is none."""
    try:
        return parse_address(typed).normalise()
    except ValueError:
        return None
