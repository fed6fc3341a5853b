"""What an agency demands of TLS with its own mail server, and until when it does without.

Source: RFC 7435 (opportunistic), RFC 9525 (names in certificates); ADR 0019.
"""

from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from msgspec import Struct, structs

from gateway.domain.aggregate import AggregateEvent
from gateway.domain.events import Instant

if TYPE_CHECKING:
    from gateway.domain.agency import Agency

# opportunistic: TLS where it can be had, with anybody. required: with the host that is meant, by the
# authorities this machine trusts. pinned: by the agency's own authorities alone. mutual: we show a
# certificate as well.
TlsUse = Literal["opportunistic", "required", "pinned", "mutual"]
PEM_CHARACTERS_MAX: Final = 64 * 1024
EXCEPTION_MAX: Final = timedelta(days=366)  # an exception that nobody looks at again is a policy


class AgencyTls(Struct, frozen=True, omit_defaults=True):
    """Of mail to one agency's own server. Nothing secret: the key of `certificate` is in the KeyStore."""

    use: TlsUse = "opportunistic"
    authorities: str = ""  # PEM: who alone vouches for the server; "": whom this machine trusts
    certificate: str = ""  # PEM, a chain: who we are to the server; "": we show none
    exception_until: Instant | None = None  # TLS is opportunistic until then, whoever demands more

    def __str__(self) -> str:
        if self.exception_until is None:
            return self.use
        return f"{self.use}, opportunistic until {self.exception_until:%Y-%m-%d %H:%M} UTC"


NO_TLS_POLICY: Final = AgencyTls()


class AgencyTlsSet(AggregateEvent, frozen=True, kw_only=True):
    """agency.<agency_id>: this is demanded of TLS with its server from here on, all of it."""

    TOPIC: ClassVar[str] = "agency.tls_set/1"

    policy: AgencyTls
    sealed: bytes  # ReasonSecret, under `agency.<agency_id>`

    def apply(self, aggregate: "Agency") -> None:
        aggregate.tls = self.policy


def client_key_name(certificate: str) -> str:
    """The KeyStore's name of the private key of a certificate we show to servers (PEM)."""
    return f"client-key.{sha256(certificate.encode()).hexdigest()}"


def plain(policy: AgencyTls) -> AgencyTls:
    """The same without what files of certificates have besides certificates; what is none stays as it is."""
    return structs.replace(
        policy, authorities=_plain(policy.authorities), certificate=_plain(policy.certificate)
    )


def _plain(pem: str) -> str:
    if not pem or _unreadable(pem):
        return pem
    certificates = x509.load_pem_x509_certificates(pem.encode())
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates)


def check_authorities(pem: str) -> str:
    """Why these cannot vouch for a server; "": they can."""
    return _unreadable(pem)


def check_certificate(pem: str, key: bytes) -> str:
    """Why this certificate cannot be shown with this key; "": it can. key: PEM, without a password."""
    if why := _unreadable(pem):
        return why
    certificate = x509.load_pem_x509_certificates(pem.encode())[0]
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError):
        return "the key is no PEM private key without a password"
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        return "the key is not that of the certificate: the first one in the file has to be ours"
    return ""


def _unreadable(pem: str) -> str:
    if len(pem) > PEM_CHARACTERS_MAX:
        return f"certificates have at most {PEM_CHARACTERS_MAX} characters"
    try:
        x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return "there is no PEM certificate in it"
    return ""
