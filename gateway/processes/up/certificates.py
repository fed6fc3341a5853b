"""A certificate authority of one's own, and the server certificate it signs: for machines without real ones.

Source: RFC 5280 §4.2 (extensions), RFC 9525 §6.3 (the name is in subjectAltName).
"""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.processes.up.children import StartFailed
from gateway.processes.up.credentials import write_secret

AUTHORITY_FOR: Final = timedelta(days=3650)
SERVER_FOR: Final = timedelta(days=397)  # what clients accept (CA/Browser Forum baseline §6.3.2)
RENEW_BEFORE: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the files are: PEM each."""

    authority: Path
    chain: Path
    key: Path


def self_made(tls: Path, secrets: Path, hostname: str, now: datetime) -> Certificates:
    """The certificates in the folder, made or renewed where needed. Existing private keys stay."""
    files = Certificates(tls / "ca.pem", tls / "server.pem", secrets / "server.key")
    authority_key = _key(secrets / "ca.key")
    if not files.authority.exists():
        write_secret(files.authority, _pem(_authority(authority_key, now)))
        files.authority.chmod(0o644)
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    if _is_due(files.chain, hostname, now):
        made = _server(_key(files.key), hostname, authority, authority_key, now)
        write_secret(files.chain, _pem(made) + _pem(authority))
    return files


def _is_due(chain: Path, hostname: str, now: datetime) -> bool:
    if not chain.exists():
        return True
    found = x509.load_pem_x509_certificate(chain.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.not_valid_after_utc - now < RENEW_BEFORE or hostname not in names.get_values_for_type(
        x509.DNSName
    )


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Saraban self-made authority")])
    return (
        _builder(name, name, key, now, AUTHORITY_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _server(
    key: ec.EllipticCurvePrivateKey,
    hostname: str,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys((hostname, "localhost"))]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _builder(subject, authority.subject, key, now, SERVER_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, valid: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clients' clocks are a little off
        .not_valid_after(now + valid)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key(file: Path) -> ec.EllipticCurvePrivateKey:
    if not file.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PrivateFormat.PKCS8
        write_secret(file, made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), file
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def check(chain: Path, key: Path) -> None:
    """Raises StartFailed when a server cannot show this certificate chain with this key."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key)
    except (OSError, ssl.SSLError) as error:
        raise StartFailed(
            f"the certificate {chain} and the key {key} cannot be used together: {error.strerror or error}"
        ) from error


def utc_now() -> datetime:
    return datetime.now(UTC)
