"""Accepting an invitation: the first password, set by who has not signed in, through the API or on the page.

Codes are guessed no faster than passwords, and a wrong one says the same whatever was wrong.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request

from gateway.domain.events import Actor
from gateway.mail.address import Address
from gateway.mail.ids import AccountId
from gateway.processes.signin.changing import Changing, NotInvited
from gateway.processes.signin.people import PeopleRows
from gateway.processes.signin.signin import ClaimRefused, Origin
from gateway.processes.web.credentials import Password
from gateway.processes.web.office import Office, address_in
from gateway.processes.web.problems import forbidden
from gateway.processes.web.signing_in import refusal
from projections.directory.query import Person

MECHANISM: Final = "invitation"


class Acceptance(Struct, forbid_unknown_fields=True):
    """code: of the invitation. password: 12 characters or more, none of the last five."""

    address: Annotated[str, Meta(min_length=1, max_length=330)]
    code: Annotated[str, Meta(min_length=1, max_length=100)]
    password: Password


class Accepted(Struct):
    """The account signs in with that password from here on."""

    account_id: AccountId
    address: str


async def accept(
    office: Office, remote_ip: str, address: Address, code: str, password: str
) -> Person | ClaimRefused:
    """Whose password it is now; or `invitation`, `throttled`. Raises Refused, for who has the code."""
    if office.sign_ins.has_to_wait(str(address), remote_ip):
        return ClaimRefused("throttled")
    changing = Changing(
        people=PeopleRows(office.pool),
        keys=office.keys,
        lane=office.lane,
        clock=office.clock,
        entropy=office.entropy,
        actor=Actor("remote"),
        by=office.by,
    )
    try:
        return await changing.accept_invitation(address, code, password)
    except NotInvited:
        origin = Origin("web", MECHANISM, remote_ip)
        return await office.sign_ins.refuse_invitation(str(address), origin)


async def accept_invitation(office: Office, request: Request, asked: Acceptance) -> Accepted:
    """Raises Problem, Refused."""
    address = address_in(asked.address)
    remote_ip = request.client.host if request.client else ""
    found = await accept(office, remote_ip, address, asked.code, asked.password)
    if isinstance(found, ClaimRefused):
        raise forbidden(str(NotInvited(address))) if found.reason == "invitation" else refusal(found)
    return Accepted(found.account_id, str(found.address))
