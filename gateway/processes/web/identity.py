"""An agency's identity provider (OpenID Connect) through the API: shown, set and removed.

Whoever says where people prove who they are can sign in as any of them, as an operator of that agency too,
and has the gateway ask a host of their choice: it is for operators to say.
"""

from typing import Annotated, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from gateway.domain.agency import IdentityProvider
from gateway.domain.registration import Unknown
from gateway.mail.ids import AgencyId
from gateway.processes.registry.agencies import Agencies
from gateway.processes.web.office import Asked, Operation
from gateway.processes.web.problems import malformed
from projections.directory.query import identity_provider_of

Url = Annotated[str, Meta(min_length=8, max_length=500)]
Name = Annotated[str, Meta(max_length=200)]


class Identity(Struct):
    """issuer: null: its people sign in by passwords alone. client_id: "": its keys alone are looked at."""

    agency_id: AgencyId
    issuer: str | None
    audience: str = ""
    client_id: str = ""
    claim: str = ""


class NewIdentity(Struct, forbid_unknown_fields=True):
    """issuer: its URL, exactly as in its tokens. client_id and secret: ours there, both or none."""

    issuer: Url
    audience: Name = ""
    client_id: Name = ""
    secret: Annotated[str, Meta(max_length=1_000)] = ""
    claim: Annotated[str, Meta(min_length=1, max_length=100)] = "email"


async def show(asked: Asked) -> Identity:
    agency_id = asked.agency("see")
    async with asked.office.pool.rows() as rows:
        return _shown(agency_id, await identity_provider_of(rows, agency_id))


async def put(asked: Asked) -> Identity:
    agency_id, new = asked.agency("govern"), asked.body
    if bool(new.client_id) != bool(new.secret):
        raise malformed("client_id and secret belong together")
    if not all(text.isprintable() for text in (new.issuer, new.audience, new.client_id, new.claim)):
        raise malformed("issuer, audience, client_id and claim are printable characters")
    try:
        urlsplit(new.issuer)
    except ValueError as error:
        raise malformed(f"the issuer is no URL: {error}") from error
    provider = IdentityProvider(new.issuer, new.audience, new.client_id, new.claim)
    await asked.registry(Agencies).set_identity(agency_id, provider, new.secret)
    return _shown(agency_id, provider)


async def remove(asked: Asked) -> Identity:
    agency_id = asked.agency("govern")
    async with asked.office.pool.rows() as rows:
        if await identity_provider_of(rows, agency_id) is None:
            raise Unknown("the agency has no identity provider")
    await asked.registry(Agencies).set_identity(agency_id, None, "")
    return _shown(agency_id, None)


def _shown(agency_id: AgencyId, provider: IdentityProvider | None) -> Identity:
    """Never with our secret."""
    if provider is None:
        return Identity(agency_id, None)
    return Identity(agency_id, provider.issuer, provider.audience, provider.client_id, provider.claim)


_IDENTITY: Final = "/agencies/{agency_id}/identity"

OPERATIONS: Final = (
    Operation("GET", _IDENTITY, "Where an agency's people prove who they are.", show, Identity),
    Operation(
        "PUT",
        _IDENTITY,
        "Let an agency's people sign in by tokens of its OpenID provider.",
        put,
        Identity,
        NewIdentity,
        right="govern",
    ),
    Operation(
        "DELETE",
        _IDENTITY,
        "Let an agency's people sign in by passwords alone.",
        remove,
        Identity,
        right="govern",
    ),
)
