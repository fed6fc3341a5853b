"""What we show to clients in TLS, from files; and what SCRAM's -PLUS proves with the password.

Source: RFC 8996 (versions), RFC 5929 §4.1 (`tls-server-end-point` is the hash of the certificate's signature,
SHA-256 for MD5 and SHA-1).
"""

import ssl
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.ports import BadCertificate, ServerContext


class CertificateFiles:
    """Implements the Certificates port: a chain and its key, PEM each."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain, self._key = chain, key

    def stamp(self) -> object:
        return _stamps([self._chain, self._key])

    def load(self) -> ServerContext:
        try:
            return _context(self._chain, self._key)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise BadCertificate(
                f"the certificate {self._chain} and the key {self._key} cannot be used together: "
                f"{_reason(error)}"
            ) from error


def _context(chain: Path, key: Path) -> ServerContext:
    """Raises OSError, ValueError."""
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.load_cert_chain(chain, key, password="")  # a key with a password fails, and asks nobody for it
    context.channel_binding = channel_binding(chain)
    return context


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _stamps(files: Iterable[Path]) -> list[tuple[Path, int, int] | None]:
    """When each file was written and how large it is; None: it is not there."""
    return [_stamp(file) for file in files]


def _stamp(file: Path) -> tuple[Path, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return file, found.st_mtime_ns, found.st_size


def channel_binding(chain: Path) -> bytes | None:
    """Of the first certificate of a PEM file; None when its signature has no hash of its own (Ed25519).

    Raises OSError, ValueError.
    """
    certificate = x509.load_pem_x509_certificate(chain.read_bytes())
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)
