"""What TLS with an agency's own mail server has to be, through the API: for operators to say.

Whoever says so can have mail go in the clear, and says which key of this gateway is used.
"""

from datetime import UTC, datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.domain.agency_tls import PEM_CHARACTERS_MAX, AgencyTls, TlsUse
from gateway.domain.events import Instant
from gateway.mail.ids import AgencyId
from gateway.processes.registry.agencies import Agencies
from gateway.processes.web.bodies import Text
from gateway.processes.web.office import Asked, Operation

Pem = Annotated[str, Meta(max_length=PEM_CHARACTERS_MAX)]


class TlsPolicy(Struct):
    """authorities, certificate: PEM, "": none. exception_until: opportunistic until then."""

    agency_id: AgencyId
    use: TlsUse
    authorities: str
    certificate: str
    exception_until: datetime | None


class NewTlsPolicy(Struct, forbid_unknown_fields=True):
    """All of it. key: of the certificate, PEM; "": of one that is in the policy already."""

    use: TlsUse
    reason: Text
    authorities: Pem = ""
    certificate: Pem = ""
    key: Pem = ""
    exception_until: Instant | None = None


async def show(asked: Asked) -> TlsPolicy:
    agency_id = asked.agency("see")
    return _shown(agency_id, await asked.registry(Agencies).tls(agency_id))


async def put(asked: Asked) -> TlsPolicy:
    agency_id, new = asked.agency("govern"), asked.body
    until = new.exception_until.astimezone(UTC) if new.exception_until else None
    policy = AgencyTls(new.use, new.authorities, new.certificate, until)
    key, agencies = new.key.encode(), asked.registry(Agencies)
    return _shown(agency_id, await agencies.set_tls(agency_id, policy, key, new.reason))


def _shown(agency_id: AgencyId, policy: AgencyTls) -> TlsPolicy:
    """Never with our key."""
    return TlsPolicy(agency_id, policy.use, policy.authorities, policy.certificate, policy.exception_until)


_TLS: Final = "/agencies/{agency_id}/tls"

OPERATIONS: Final = (
    Operation("GET", _TLS, "What TLS with an agency's own mail server has to be.", show, TlsPolicy),
    Operation(
        "PUT",
        _TLS,
        "Say what TLS with an agency's own mail server has to be.",
        put,
        TlsPolicy,
        NewTlsPolicy,
        right="govern",
    ),
)
