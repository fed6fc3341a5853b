"""DANE for SMTP: which certificates of a host its TLSA records vouch for.

Only records of an answer that DNSSEC authenticates may come here; who asks the DNS sees to that.

Source: RFC 6698 §2.1 (TLSA), RFC 7671 §5 (usages) and §9 (digest agility), RFC 7672 §3 (SMTP).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256, sha512
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from gateway.domain.dns import Tlsa

DANE_TA: Final = 2
DANE_EE: Final = 3
_DIGEST_OCTETS: Final = {1: 32, 2: 64}  # by matching type: SHA-256, SHA-512


def is_usable(record: Tlsa) -> bool:
    """False for what SMTP does not use (RFC 7672 §3.1.3) and what cannot be understood."""
    if record.usage not in (DANE_TA, DANE_EE) or record.selector not in (0, 1) or not record.data:
        return False
    return record.matching_type == 0 or _DIGEST_OCTETS.get(record.matching_type) == len(record.data)


def _means(record: Tlsa, certificate: bytes) -> bool:
    """True when a usable record is of this certificate (DER). Raises ValueError."""
    selected = certificate if record.selector == 0 else _public_key(certificate)
    match record.matching_type:
        case 0:
            return selected == record.data
        case 1:
            return sha256(selected).digest() == record.data
        case _:
            return sha512(selected).digest() == record.data


def tlsa_name(host: str, port: int) -> str:
    """Where a host's records are (RFC 7672 §2.2)."""
    return f"_{port}._tcp.{host}"


def usable(records: Iterable[Tlsa]) -> tuple[Tlsa, ...]:
    """Those a client goes by. Of digests of one kind the strongest alone (RFC 7671 §9)."""
    those = [record for record in records if is_usable(record)]
    strongest = {
        (record.usage, record.selector): max(
            other.matching_type
            for other in those
            if (other.usage, other.selector) == (record.usage, record.selector)
        )
        for record in those
    }
    return tuple(
        record for record in those if record.matching_type in (0, strongest[record.usage, record.selector])
    )


def vouches(records: Sequence[Tlsa], chain: Sequence[bytes], names: Sequence[str], at: datetime) -> bool:
    """True when the records vouch for a host that showed this chain.

    records: of `usable`. chain: DER, the host's own first. names: of the host (RFC 7672 §3.2.2), which
    DANE-TA looks at as it does at times; DANE-EE looks at neither (§3.1.1).
    """
    if not chain:
        return False
    try:
        if any(record.usage == DANE_EE and _means(record, chain[0]) for record in records):
            return True
        return any(
            _leads_to(anchor, chain, names, at)
            for record in records
            if record.usage == DANE_TA
            for anchor in _anchors(record, chain)
        )
    except ValueError:  # a certificate that cannot be read
        return False


def _anchors(record: Tlsa, chain: Sequence[bytes]) -> list[bytes]:
    """The authorities a record means: in the chain, or the certificate that the record itself is."""
    shown = [certificate for certificate in chain[1:] if _means(record, certificate)]
    if not shown and (record.selector, record.matching_type) == (0, 0):
        return [record.data]
    return shown


def _leads_to(anchor: bytes, chain: Sequence[bytes], names: Sequence[str], at: datetime) -> bool:
    """True when the host's own certificate is for one of the names, valid, and leads to the anchor."""
    leaf, *others = (x509.load_der_x509_certificate(certificate) for certificate in chain)
    store = Store([x509.load_der_x509_certificate(anchor)])
    builder = PolicyBuilder().store(store).time(at).extension_policies(ca_policy=_AUTHORITY, ee_policy=_HOST)
    for name in names:
        try:
            builder.build_server_verifier(x509.DNSName(name)).verify(leaf, others)
        except VerificationError:
            continue
        return True
    return False


def _is_authority(policy: Policy, certificate: x509.Certificate, found: x509.BasicConstraints) -> None:
    if not found.ca:
        raise ValueError("no authority")


# What private authorities leave out is not asked for; what says who may sign, and for whom, is.
_AUTHORITY: Final = ExtensionPolicy.permit_all().require_present(
    x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority
)
_HOST: Final = ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)


def _public_key(certificate: bytes) -> bytes:
    """Raises ValueError."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
