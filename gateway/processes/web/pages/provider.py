"""Signing in at the agency's OpenID provider, and whether somebody who did may still come in there.

The way there and back needs nothing kept here: its secrets are made of one that the browser has in a cookie.

Source: OpenID Connect Core 1.0 §3.1.2; RFC 9700 §2.1 (one transaction, one browser).
"""

import asyncio
import hmac
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import msgspec
from starlette.responses import Response

from gateway.domain.agency import IdentityProvider, identity_secret_name
from gateway.mail.address import Address
from gateway.mail.ids import AgencyId
from gateway.ports import Admission, Attempt, KeyForgotten
from gateway.processes.signin.signin import ClaimRefused, Origin
from gateway.processes.web.office import CodeFlows, Office
from gateway.processes.web.pages.faults import PageFault
from gateway.processes.web.pages.forms import derived
from gateway.processes.web.pages.sessions import Session, Sessions, Vouched, cookie, new_secret
from gateway.processes.web.pages.visit import SIGN_IN, Visit
from projections.directory import query as directory

MECHANISM: Final = "openid"
RETURN: Final = "/account/signed-in"  # below the public URL: the redirect URI to register at a provider
COOKIE: Final = "__Host-saraban-provider"  # <secret>.<agency_id>
WAY_HOLDS_FOR: Final = timedelta(minutes=10)
ASKED_AGAIN_AFTER: Final = timedelta(minutes=4)  # who is shut out there is shut out here within 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where the people of an agency sign in."""

    flows: CodeFlows
    agency_id: AgencyId
    provider: IdentityProvider
    secret: str = field(repr=False)

    def attempt(self, secret: str) -> Attempt:
        """secret: the browser's, of this attempt alone."""
        state, nonce, verifier = (derived(secret, purpose) for purpose in ("state", "nonce", "verifier"))
        return Attempt(f"{self.flows.public_url}{RETURN}", state, nonce, verifier)


async def place_of(office: Office, address: Address) -> Place | None:
    """By the domain alone: whether somebody has the address is not told. None: they sign in here."""
    async with office.pool.rows() as rows:
        (found,) = await directory.find_recipients(rows, [address])
    return None if isinstance(found, directory.NotOurs) else await _place(office, found.agency_id)


async def _place(office: Office, agency_id: AgencyId) -> Place | None:
    if office.code_flows is None:
        return None
    async with office.pool.rows() as rows:
        provider = await directory.identity_provider_of(rows, agency_id)
    if provider is None or not provider.client_id:
        return None
    secret = ""
    with suppress(KeyError, KeyForgotten):
        secret = (await office.keys.get(identity_secret_name(agency_id))).decode()
    return Place(office.code_flows, agency_id, provider, secret) if secret else None


async def show_way(visit: Visit, place: Place, address: Address) -> Response:
    """A page with a link: a form may lead nowhere but to ourselves (form-action)."""
    secret = new_secret(visit.office.entropy)
    where = await place.flows.flow.address(place.provider, place.attempt(secret), str(address))
    visit.set_cookie(cookie(COOKIE, f"{secret}.{place.agency_id}", WAY_HOLDS_FOR))
    host = urlsplit(where).netloc
    return visit.page("provider.html", where=where, host=host, address=str(address), here=SIGN_IN)


async def come_back(visit: Visit) -> Response:
    """What the provider has sent the browser back with. On record before it is answered."""
    asked, office = visit.request.query_params, visit.office
    secret, _, agency_id = visit.request.cookies.get(COOKIE, "").partition(".")
    visit.set_cookie(cookie(COOKIE, "", timedelta(0)))
    place = await _place(office, AgencyId(agency_id)) if secret and agency_id else None
    if place is None:
        raise PageFault(HTTPStatus.BAD_REQUEST, "wrong-way")
    attempt = place.attempt(secret)
    if not hmac.compare_digest(asked.get("state", "").encode(), attempt.state.encode()):
        raise PageFault(HTTPStatus.BAD_REQUEST, "wrong-way")
    if "code" not in asked:
        raise PageFault(HTTPStatus.FORBIDDEN, "not-let-in")
    if not office.sign_ins.may_show_code(visit.remote_ip):
        raise PageFault(HTTPStatus.TOO_MANY_REQUESTS, "throttled")
    flow, issuer = place.flows.flow, asked.get("iss", "")
    admission = await flow.admit(place.provider, place.secret, attempt, asked["code"], issuer)
    name = admission.name if admission else ""
    origin = Origin("web", MECHANISM, visit.remote_ip)
    found = await office.sign_ins.check_vouched(name, place.agency_id, origin)
    if isinstance(found, ClaimRefused):
        raise _refusal(found, name)
    assert admission is not None, "nobody is let in"
    vouched = Vouched(place.provider.issuer, admission, office.clock.now())
    return visit.let_in(await visit.sessions.begin(found.account_id, vouched=vouched))


def _refusal(refused: ClaimRefused, name: str) -> PageFault:
    match refused.reason:
        case "suspended" | "closed" | "banned" | "trial-ended" as told:
            return PageFault(HTTPStatus.FORBIDDEN, told)
        case "token":
            return PageFault(HTTPStatus.FORBIDDEN, "not-let-in")
    return PageFault(HTTPStatus.FORBIDDEN, "not-ours", name=name)


class AskingAgain:
    """Asks providers about those who are signed in, for all requests of one process."""

    def __init__(self) -> None:
        # A refresh token counts once: two requests of one browser must not both show it.
        self._locks = WeakValueDictionary[str, asyncio.Lock]()

    async def still(self, office: Office, sessions: Sessions, text: str) -> Session | None:
        """The session, if its holder may come in at the provider; None: there is none any more.

        Raises Unavailable: the provider does not say, and it was long ago that it did.
        """
        session = await sessions.find(text)
        if session is None or not _is_due(office, session):
            return session
        lock = self._locks.setdefault(text, asyncio.Lock())
        async with lock:
            session = await sessions.find(text)
            if session is None or not _is_due(office, session):
                return session
            admission = await self._ask(office, session)
            if session.vouched is None or admission is None:
                await sessions.end(text)
                return None
            vouched = Vouched(session.vouched.issuer, admission, office.clock.now())
            session = msgspec.structs.replace(session, vouched=vouched)
            await sessions.keep(text, session)
            return session

    async def _ask(self, office: Office, session: Session) -> Admission | None:
        """None also when the agency has another provider now, or none."""
        async with office.pool.rows() as rows:
            account = await directory.account_with_id(rows, session.account_id)
        place = await _place(office, account.agency_id) if account else None
        if place is None or session.vouched is None or place.provider.issuer != session.vouched.issuer:
            return None
        return await place.flows.flow.still(place.provider, place.secret, session.vouched.admission)


def _is_due(office: Office, session: Session) -> bool:
    vouched = session.vouched
    return vouched is not None and office.clock.now() >= vouched.said_at + ASKED_AGAIN_AFTER
